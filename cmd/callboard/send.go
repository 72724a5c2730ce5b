package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"callboard/protocol"
	"callboard/transport/client"
)

// sendOptions are the flags of send.
type sendOptions struct {
	userOptions
	to   string
	wait time.Duration
}

func newSend() *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send --as USER --to USER [text]",
		Short: "Send messages as a user",
		Long: `Connect as a user and send a text to another or, without a text, each line of
standard input as a message of its own.

The service confirms no message, it only refuses some. So send waits until the
service has read everything, and --wait longer for refusals. Exit status 0 says
that none came in that time, not that somebody has read the messages. Exit
status 1 says that some were refused, each with a line on stderr if there are
more than one, or that not all could be sent.

Messages that others send to the user --as meanwhile are also delivered here,
and thrown away.`,
		Example: `  callboard send --as 1 --to 2 "hello"
  seq 1000 | callboard send --as 1 --to 2`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%d texts are given, and one can be sent: put it in quotes, like \"hello there\"", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return send(cmd.Context(), &o, oneText(args[0]), cmd.ErrOrStderr())
			}
			return send(cmd.Context(), &o, newLines(cmd.InOrStdin()), cmd.ErrOrStderr())
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.to, "to", "", "user id to send to")
	cmd.Flags().DurationVar(&o.wait, "wait", 200*time.Millisecond, "time to wait for refusals after the service has read the last message")
	return cmd
}

// send sends all texts and waits for what is refused of them.
func send(ctx context.Context, o *sendOptions, texts *texts, notes io.Writer) error {
	receiver, err := parseUser("--to", o.to)
	if err != nil {
		return err
	}
	if o.wait < 0 {
		return fmt.Errorf("--wait is %s: give 0 or more, like 200ms", o.wait)
	}
	c, err := o.dial(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	s := &sending{client: c, receiver: receiver, prefix: rand.Text() + "-", refusals: make(chan *protocol.Error), ended: make(chan struct{})}
	if texts.lines {
		s.notes = notes
	}
	go s.receive(ctx)
	err = s.all(ctx, texts)
	if settleErr := s.settle(ctx, o.wait); err == nil {
		err = settleErr
	}
	stop()
	goodbye(ctx, c)
	<-s.ended
	return s.outcome(err)
}

// sending is one run of send. Its fields belong to the goroutine that called
// send, except those that are receive's.
type sending struct {
	client   *client.Client
	receiver protocol.UserID
	prefix   string    // of this run's message ids; the number of the line follows
	notes    io.Writer // takes a line for each refusal; nil: there is only one message
	sent     int
	refused  int
	last     *protocol.Error // the last refusal

	// receive's.
	refusals chan *protocol.Error // to the other
	ended    chan struct{}        // closed at its end
	lost     error                // why the connection ended; constant when ended is closed
}

// receive passes on the refusals until the connection ends, and throws them away
// when the context is done.
func (s *sending) receive(ctx context.Context) {
	defer close(s.ended)
	for {
		m, err := s.client.Receive(context.WithoutCancel(ctx))
		if err != nil {
			s.lost = err
			return
		}
		if refusal, ok := m.(*protocol.Error); ok {
			select {
			case s.refusals <- refusal:
			case <-ctx.Done():
			}
		}
	}
}

// all sends the texts, and stops at the first that cannot be sent.
func (s *sending) all(ctx context.Context, texts *texts) error {
	for {
		select {
		case text, more := <-texts.next:
			if !more {
				return texts.err
			}
			err := s.client.Send(ctx, s.receiver, text, s.prefix+strconv.Itoa(s.sent+1))
			if err != nil {
				return s.at(err)
			}
			s.sent++
		case refusal := <-s.refusals:
			s.refuse(refusal)
		case <-s.ended:
			return s.lost
		case <-ctx.Done():
			return fmt.Errorf("interrupted after %d messages", s.sent)
		}
	}
}

// at names the line that could not be sent.
func (s *sending) at(err error) error {
	if s.notes == nil {
		return err
	}
	return fmt.Errorf("line %d: %w; sent before it: %d", s.sent+1, err, s.sent)
}

// settle waits until the server has read all that was sent, and then for the
// refusals that may still be on their way.
func (s *sending) settle(ctx context.Context, wait time.Duration) error {
	read := make(chan error, 1)
	pingCtx, cancel := context.WithCancel(ctx)
	var pinging sync.WaitGroup
	defer pinging.Wait()
	defer cancel()
	pinging.Go(func() { read <- s.client.Ping(pingCtx) })
	var over <-chan time.Time
	for s.refused < s.sent {
		select {
		case refusal := <-s.refusals:
			s.refuse(refusal)
		case err := <-read:
			if err != nil {
				return err
			}
			over = time.After(wait)
		case <-s.ended:
			return s.lost
		case <-over:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("interrupted after %d messages", s.sent)
		}
	}
	return nil
}

func (s *sending) refuse(refusal *protocol.Error) {
	s.refused++
	s.last = refusal
	if s.notes == nil {
		return
	}
	where := "a message"
	if number, ok := strings.CutPrefix(refusal.Id, s.prefix); ok {
		where = "line " + number
	}
	_, _ = fmt.Fprintf(s.notes, "%s: %s: %s\n", where, refusal.Code, printable(refusal.Reason)) // the exit status says it too
}

// outcome is the one line that the command ends with.
func (s *sending) outcome(err error) error {
	switch {
	case err != nil && s.refused > 0:
		return fmt.Errorf("%w; %d of %d messages were refused", advised(err), s.refused, s.sent)
	case err != nil:
		return advised(err)
	case s.refused == 0:
		return nil
	}
	action := advice(protocol.ErrorCode(s.last.Code))
	if s.notes == nil {
		return fmt.Errorf("refused: %s: %s; %s", s.last.Code, printable(s.last.Reason), action)
	}
	return fmt.Errorf("%d of %d messages were refused, the last with %s; %s", s.refused, s.sent, s.last.Code, action)
}
