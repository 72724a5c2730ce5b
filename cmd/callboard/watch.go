package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"callboard/transport/admin/adminv1"
)

const (
	defaultEvery = 2 * time.Second
	minEvery     = 100 * time.Millisecond
	maxEvery     = time.Hour
)

// reportWatched is report for a command that may look again and again.
func (o *callerOptions) reportWatched(cmd *cobra.Command) {
	o.report(cmd)
	addWatch(cmd, &o.every)
}

// addWatch adds --watch, whose value may be left out.
func addWatch(cmd *cobra.Command, every *time.Duration) {
	f := cmd.Flags()
	f.DurationVarP(every, "watch", "w", 0, "look again every so often until Ctrl-C, like --watch=5s; on a terminal in place, else one answer after the other")
	f.Lookup("watch").NoOptDefVal = defaultEvery.String()
}

// look asks the service for what is to be shown, and says how a table shows it.
type look func(ctx context.Context, client adminv1.AdminServiceClient) (proto.Message, func(*table), error)

// show looks once, or with --watch until the context is done.
func (o *callerOptions) show(cmd *cobra.Command, see look) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	if o.every != 0 && (o.every < minEvery || o.every > maxEvery) {
		return misused("--watch is %s: give %s to %s, like --watch=5s", o.every, minEvery, maxEvery)
	}
	client, err := o.dial()
	if err != nil {
		return err
	}
	if o.every == 0 {
		answer, fill, err := see(ctx, client)
		if err != nil {
			return o.explained(err)
		}
		return o.print(out, answer, fill)
	}
	s := &screen{out: out, notes: cmd.ErrOrStderr(), title: "callboard " + strings.Join(os.Args[1:], " ")}
	if file, ok := out.(*os.File); ok && o.output == asTable && term.IsTerminal(file.Fd()) {
		s.terminal = file
	}
	return o.watch(ctx, client, see, s)
}

// watch looks until the context is done, which is no error: the user has seen enough. A service that is away is waited for, once it has
// been there.
func (o *callerOptions) watch(ctx context.Context, client adminv1.AdminServiceClient, see look, s *screen) error {
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	for seen := false; ; {
		answer, fill, err := see(ctx, client)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			seen = true
			s.away = ""
			if err := s.show(answer, fill, o); err != nil {
				return err
			}
		default:
			err = o.explained(err)
			if !seen || statusOf(err) != exitUnavailable {
				return err
			}
			s.lost(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// screen is where a watch shows what it sees: a terminal, in place, or what is appended to.
type screen struct {
	out      io.Writer
	notes    io.Writer
	title    string
	terminal *os.File // nil: there is none
	shown    bool     // something has been
	away     string   // why the service is, if it is
}

func (s *screen) show(answer proto.Message, fill func(*table), o *callerOptions) error {
	if s.terminal != nil {
		var t table
		fill(&t)
		return s.draw(t.String())
	}
	if s.shown && o.output == asTable {
		if _, err := fmt.Fprintln(s.out); err != nil {
			return fmt.Errorf("printing: %w", err)
		}
	}
	s.shown = true
	return o.print(s.out, answer, fill)
}

// lost says, once, that the service is away.
func (s *screen) lost(err error) {
	if s.away == err.Error() {
		return
	}
	s.away = err.Error()
	if s.terminal != nil {
		_ = s.draw(badStyle.Render(s.away) + "\nlooking again\n") // who has closed the terminal is gone
		return
	}
	_, _ = fmt.Fprintf(s.notes, "callboard: %s; looking again\n", s.away) // who has closed stderr wants none
}

// draw puts a text where the last one was, cut to the size of the terminal.
func (s *screen) draw(text string) error {
	width, height, err := term.GetSize(s.terminal.Fd())
	if err != nil || width < 1 || height < 3 {
		width, height = 80, 24
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if room := height - 3; len(lines) > room {
		lines = append(lines[:room], fmt.Sprintf("(%d more lines)", len(lines)-room))
	}
	lines = append([]string{time.Now().Format(time.TimeOnly) + " (Ctrl-C ends)  " + printable(s.title), ""}, lines...)
	var frame strings.Builder
	if !s.shown {
		frame.WriteString(ansi.EraseEntireDisplay)
	}
	s.shown = true
	frame.WriteString(ansi.CursorHomePosition)
	for i, line := range lines {
		if i > 0 {
			frame.WriteString("\r\n")
		}
		frame.WriteString(ansi.Truncate(line, width-1, "…") + ansi.EraseLineRight)
	}
	frame.WriteString("\r\n" + ansi.EraseScreenBelow)
	// The writer takes the colours out where there are to be none.
	if _, err = colorprofile.NewWriter(s.terminal, os.Environ()).WriteString(frame.String()); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}
