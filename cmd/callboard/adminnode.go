package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"callboard/transport/admin/adminv1"
)

// working is how a store is that has this trouble.
func working(trouble string) string {
	if trouble == "" {
		return "works"
	}
	return badStyle.Render(printable(trouble))
}

func newStats() *cobra.Command {
	var o callerOptions
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Add up a running service",
		Long: `Show how much there is on a running service, and what has passed since it started: how many
messages were taken (they came for its users), kept, repeated (kept already) and delivered
(written to sessions); what was refused, by the code that the sender was told; how sessions
ended, by the word of the close code; and how often each limit has acted. The difference of
two looks is a rate: --watch -o json has one on each line.`,
		Example: "  callboard stats --watch\n  callboard stats -o json | jq -r .kept\n  callboard stats -o json | jq -r '.refused[] | \"\\(.code) \\(.count)\"'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return showStats(cmd, &o) },
	}
	o.reportWatched(cmd)
	return cmd
}

func showStats(cmd *cobra.Command, o *callerOptions) error {
	return o.show(cmd, func(ctx context.Context, client adminv1.AdminServiceClient) (proto.Message, func(*table), error) {
		stats, err := client.GetStats(ctx, &adminv1.GetStatsRequest{})
		return stats, func(t *table) { tableOfStats(t, stats) }, err
	})
}

func tableOfStats(t *table, s *adminv1.GetStatsResponse) {
	t.row("version\t%s\nup\t%s\ndraining\t%t\nstore\t%s", printable(s.Version), since(s.StartedMs), s.Draining, working(s.Trouble))
	t.row("sessions\t%s\nstalled\t%s\nusers\t%s\nparked\t%s", count(s.Sessions), countWord(s.Stalled), count(s.Users), countWord(s.Parked))
	t.row("taken\t%s\nkept\t%s\nrepeated\t%s\ndelivered\t%s", count(s.Taken), count(s.Kept), count(s.Repeated), count(s.Delivered))
	t.row("refused\t%s", count(sumOf(s.Refused)))
	rowsOfCounts(t, s.Refused)
	t.row("limits hit\t%s", count(sumOf(s.Limits)))
	rowsOfCounts(t, s.Limits)
	t.row("opened\t%s\nended\t%s", count(s.Opened), count(s.Ended))
	rowsOfCounts(t, s.Closed)
	t.row("failures\t%s\nsurvived panics\t%s\nunhandled\t%s", countWord(s.Failures), countWord(s.Survived), countWord(s.Unhandled))
	t.row("set aside\t%s\nset aside and lost\t%s", countWord(s.Poisoned), countWord(s.DeadlettersLost))
	t.row("heap\t%s\ngoroutines\t%s", size(s.HeapBytes), count(s.Goroutines))
}

// rowsOfCounts are the parts of the number in the row above.
func rowsOfCounts(t *table, counts []*adminv1.CodeCount) {
	for _, c := range counts {
		t.row("  %s\t%s", printable(c.Code), count(c.Count))
	}
}

func sumOf(counts []*adminv1.CodeCount) (sum uint64) {
	for _, c := range counts {
		sum += c.Count
	}
	return sum
}

// drainOptions are the flags of drain.
type drainOptions struct {
	callerOptions
	over time.Duration
	wait bool
}

func newDrain() *cobra.Command {
	var o drainOptions
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Take a running service out of use",
		Long: `Have the service open no more sessions, say on /readyz that it is not ready, and
close the sessions evenly over the time given, so that their clients connect to
another one. It cannot be taken back: the process goes on without sessions until it
is told to end, by SIGTERM.

Without --over it takes as long as the service's setting drain says. The command
returns when all sessions have gone; with --wait=false, at once.`,
		Example: "  callboard drain\n  callboard drain --over 5m --wait=false",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := &adminv1.DrainRequest{}
			if cmd.Flags().Changed("over") {
				if o.over < 0 {
					return misused("--over is %s: give 0 or more, like 10s", o.over)
				}
				over := uint64(o.over.Milliseconds())
				request.OverMs = &over
			}
			return drain(cmd.Context(), &o, request, cmd.OutOrStdout())
		},
	}
	o.report(cmd)
	cmd.Flags().DurationVar(&o.over, "over", 0, "time over which the sessions are closed, an hour at most (default: the service's setting drain)")
	cmd.Flags().BoolVar(&o.wait, "wait", true, "wait until all sessions have gone")
	return cmd
}

// drainGrace is how much longer than asked for the last sessions may take: their
// peers have to answer.
const drainGrace = 30 * time.Second

func drain(ctx context.Context, o *drainOptions, request *adminv1.DrainRequest, out io.Writer) error {
	client, err := o.dial()
	if err != nil {
		return err
	}
	answer, err := client.Drain(ctx, request)
	if err != nil {
		return o.explained(err)
	}
	over := time.Duration(answer.OverMs) * time.Millisecond
	err = o.print(out, answer, func(t *table) { t.row("draining %d sessions over %s", answer.Sessions, over) })
	if err != nil || !o.wait {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, over+drainGrace)
	defer cancel()
	every := time.NewTicker(200 * time.Millisecond)
	defer every.Stop()
	for {
		stats, err := client.GetStats(limit, &adminv1.GetStatsRequest{})
		switch {
		case ctx.Err() != nil:
			return exits(exitInterrupted, errors.New("interrupted; the service goes on draining"))
		case limit.Err() != nil:
			return exits(exitUnavailable, errors.New("sessions are left after the time: 'callboard session list' shows them, and SIGTERM ends the service"))
		case err != nil:
			return o.explained(err)
		case stats.Sessions == 0:
			if o.output == asTable {
				_, err = fmt.Fprintln(out, "no session is left; end the service with SIGTERM")
			}
			return err
		}
		select {
		case <-every.C:
		case <-limit.Done():
		}
	}
}
