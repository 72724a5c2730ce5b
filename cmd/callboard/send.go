package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"callboard/protocol"
	"callboard/transport/client"
)

// sendOptions are the flags of send.
type sendOptions struct {
	userOptions
	caller  callerOptions // without --as
	to      string
	wait    time.Duration
	shown   resultFormat // of what is confirmed
	verbose bool
}

func newSend() *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send [--as USER] --to USER [text]",
		Short: "Send messages as a user, or as the system",
		Long: `Connect as a user and send a text to another or, without a text, each line of
standard input as a message of its own. Without --as the text is from "system", and
goes through the admin API, which takes the service's admin token.

Exit status 0 says that the service has confirmed every message: they are in the
receiver's inbox, whether the receiver is connected or not. If the connection is
lost it is made again, and what was not confirmed is sent again; the service
keeps it once. --wait bounds how long a confirmation may take.

Nothing is printed of what is confirmed, but with -v. With -o json each confirmation is
a SENT frame of the protocol on a line of its own, with the message's place in the inbox,
and with -o yaml a document.

Any other exit status says that some messages were refused, each with a line on stderr
if there are more than one, or that not all were confirmed; 'callboard help exit-codes'
has the statuses. Messages that others send to the user --as meanwhile stay in that
user's inbox.`,
		Example: `  callboard send --to 2 "maintenance"
  callboard send --as 1 --to 2 "hello"
  callboard send --as 1 --to 2 -o json "hello"
  seq 1000 | callboard send --as 1 --to 2`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%d texts are given, and one can be sent: put it in quotes, like \"hello there\"", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.to == "" || o.wait < 0 || cmd.Flags().Changed("as") {
				return send(cmd.Context(), &o, textsOf(cmd, args), cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			o.caller.trust.ca, o.caller.token = o.trust.ca, o.userOptions.token // they share the flags
			return sendAsSystem(cmd.Context(), &o, textsOf(cmd, args), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.userOptions.flags(cmd)
	o.caller.flags(cmd)
	cmd.Flags().StringVar(&o.to, "to", "", "user id to send to")
	_ = cmd.RegisterFlagCompletionFunc("to", o.caller.completeUser()) // it fails for a flag that there is not
	cmd.Flags().DurationVar(&o.wait, "wait", 30*time.Second, "time that a confirmation may take; 0 for as long as it takes")
	o.shown.flags(cmd)
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "print a line for each message that is confirmed")
	return cmd
}

// textsOf is the text on the command line or, without one, what is read.
func textsOf(cmd *cobra.Command, args []string) *texts {
	if len(args) == 1 {
		return oneText(args[0])
	}
	return newLines(cmd.InOrStdin())
}

// unconfirmed is how many messages are sent before the first of them is confirmed.
const unconfirmed = 1024

// send sends all texts and waits for their confirmations.
func send(ctx context.Context, o *sendOptions, texts *texts, out, notes io.Writer) error {
	receiver, err := parseUser("--to", o.to)
	if err != nil {
		return err
	}
	if o.wait < 0 {
		return misused("--wait is %s: give 0 or more, like 30s", o.wait)
	}
	// Nothing is received, and so nothing acknowledged.
	c, err := o.dial(ctx, client.Config{ManualAck: true, Outbox: unconfirmed})
	if err != nil {
		return err
	}
	defer goodbye(ctx, c)
	life, stop := context.WithCancel(ctx)
	defer stop()
	s := &sending{
		client: c, options: o, receiver: receiver, out: out, lines: texts.lines, notes: notes,
		sent: make(chan *client.Sending, unconfirmed), ended: make(chan struct{}),
	}
	var helpers sync.WaitGroup
	helpers.Go(func() { s.confirm(life, stop) })
	helpers.Go(func() {
		defer stop() // the client has ended, if it was not this that ended the watch
		o.watch(life, c, notes, "")
	})
	err = s.all(life, texts)
	close(s.sent)
	<-s.ended
	stop()
	helpers.Wait()
	if ctx.Err() != nil {
		return exits(exitInterrupted, fmt.Errorf("interrupted after %d messages, %d of them confirmed", s.count, s.confirmed))
	}
	return s.outcome(err)
}

// sending is one run of send.
type sending struct {
	client   *client.Client
	options  *sendOptions
	receiver protocol.UserID
	out      io.Writer
	lines    bool // the messages are lines, and have numbers
	notes    io.Writer

	sent  chan *client.Sending // from all to confirm, in order
	count int                  // all's

	// confirm's.
	ended     chan struct{} // closed at its end
	confirmed int
	refused   int
	last      *client.SendError // the last refusal
	lost      error             // why it stopped before the end
}

// all sends the texts, and stops at the first that cannot be sent.
func (s *sending) all(ctx context.Context, texts *texts) error {
	for {
		select {
		case text, more := <-texts.next:
			if !more {
				return texts.err
			}
			sending, err := s.client.SendAsync(ctx, s.receiver, text)
			if err != nil {
				return s.at(err)
			}
			s.count++
			s.sent <- sending // confirm takes it, whatever becomes of it
		case <-ctx.Done():
			if state := s.client.State(); state.Phase == client.Closed {
				return state.Err
			}
			return nil // confirm says why, or the caller knows
		}
	}
}

// at names the line that could not be sent.
func (s *sending) at(err error) error {
	if !s.lines {
		return err
	}
	return fmt.Errorf("line %d: %w; sent before it: %d", s.count+1, err, s.count)
}

// confirm waits for the answers, in order, until all have come or there will be no
// more; then it stops the other.
func (s *sending) confirm(ctx context.Context, stop func()) {
	defer close(s.ended)
	for sending := range s.sent {
		if s.lost != nil {
			continue
		}
		receipt, err := s.answer(ctx, sending)
		refused, typed := errors.AsType[*client.SendError](err)
		switch {
		case err == nil:
			err = s.print(receipt)
			s.confirmed++
		case typed && refused.Code != "":
			err = nil
			s.refuse(refused)
		}
		if s.lost = err; err != nil {
			stop()
		}
	}
}

// answer waits for what the service says of one message.
func (s *sending) answer(ctx context.Context, sending *client.Sending) (client.Receipt, error) {
	limit := ctx
	if s.options.wait > 0 {
		var cancel context.CancelFunc
		limit, cancel = context.WithTimeout(ctx, s.options.wait)
		defer cancel()
	}
	receipt, err := sending.Wait(limit)
	if limit.Err() == nil || ctx.Err() != nil || err == nil {
		return receipt, err
	}
	if state := s.client.State(); state.Err != nil {
		err = state.Err
	}
	return receipt, exits(exitUnavailable, fmt.Errorf("no confirmation within %s: %w", s.options.wait, err))
}

func (s *sending) print(receipt client.Receipt) error {
	return s.options.printSent(s.out, s.receiver, &protocol.Sent{Id: receipt.ID, Seq: receipt.Seq, At: receipt.At.UnixMilli()})
}

// printSent shows that a message is confirmed, if that is wanted.
func (o *sendOptions) printSent(out io.Writer, receiver protocol.UserID, sent *protocol.Sent) (err error) {
	var text []byte
	switch chosen := o.shown.chosen(); {
	case chosen != asTable:
		text, err = chosen.appendFrame(nil, sent)
	case o.verbose:
		text = fmt.Appendf(nil, "kept as message %d of %s\n", sent.Seq, receiver)
	}
	if err == nil && len(text) > 0 {
		_, err = out.Write(text)
	}
	if err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

func (s *sending) refuse(refusal *client.SendError) {
	s.refused++
	s.last = refusal
	if s.lines {
		line := s.confirmed + s.refused                                                                 // answers are taken in order
		_, _ = fmt.Fprintf(s.notes, "line %d: %s: %s\n", line, refusal.Code, printable(refusal.Reason)) // the exit status says it too
	}
}

// outcome is the one line that the command ends with; err is why not all were sent.
func (s *sending) outcome(err error) error {
	if err == nil || s.lost != nil {
		err = s.lost
	}
	switch {
	case err != nil && s.lines && s.lost != nil:
		return fmt.Errorf("%w; %d of %d messages were confirmed", advised(err), s.confirmed, s.count)
	case err != nil && s.refused > 0:
		return fmt.Errorf("%w; %d of %d messages were refused", advised(err), s.refused, s.count)
	case err != nil:
		return advised(err)
	case s.refused == 0:
		return nil
	}
	action := advice(s.last.Code)
	if !s.lines {
		reason := printable(s.last.Reason)
		if !saysWhatToDo(reason) {
			reason += "; " + action
		}
		return exits(statusOfCode(s.last.Code), fmt.Errorf("refused: %s: %s", s.last.Code, reason))
	}
	return exits(statusOfCode(s.last.Code), fmt.Errorf("%d of %d messages were refused, the last with %s; %s", s.refused, s.count, s.last.Code, action))
}
