package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/spf13/cobra"

	"callboard/protocol"
	"callboard/transport/client"
)

// listenOptions are the flags of listen.
type listenOptions struct {
	userOptions
	device string
	shown  resultFormat
}

func newListen() *cobra.Command {
	var o listenOptions
	cmd := &cobra.Command{
		Use:   "listen --as USER",
		Short: "Print a user's messages as they come",
		Long: `Connect as a user and print each message on a line of its own, as

  sender: text

Control characters in the text are written as escapes. With -o json each line is
a RECEIVE frame of the protocol, and with -o yaml each message is a document.

The service remembers for each device of a user what it has: a message counts as
received when its line is printed. --device names this one, so that the next
listen under that name goes on where this one stopped; without it, it is the
device without a name, which all programs share that give none. While two
programs have the same name, the one that came later gets the messages, and the
other ends.

"listening as USER" on stderr says that messages are received from then on. When
the connection is lost, stderr says so in a line, and it is made again, for as
long as it takes; no message is lost or printed twice by that. Messages that the
service has removed before this device had them are a line on stderr, too.

SIGINT or SIGTERM ends it with exit status 0. If the service refuses the first
connection, or says not to come back, stderr says why, and so does the exit status
('callboard help exit-codes').`,
		Example: `  callboard listen --as 2
  callboard listen --as 2 --device phone
  callboard listen --as 2 -o json | jq -r .content`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listen(cmd.Context(), &o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.device, "device", "", "name of the device whose messages are printed")
	o.shown.flags(cmd)
	return cmd
}

// listen prints until the context is done.
func listen(ctx context.Context, o *listenOptions, out, notes io.Writer) error {
	c, err := o.dial(ctx, client.Config{Device: o.device})
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { o.watch(watching, c, notes, "listening as "+o.as) })
	defer watch.Wait()
	defer stop()
	defer goodbye(ctx, c)

	err = o.print(ctx, c, out, notes)
	if ctx.Err() != nil {
		return nil // the user has seen enough
	}
	return advised(err)
}

// print prints the messages until there are no more.
func (o *listenOptions) print(ctx context.Context, c *client.Client, out, notes io.Writer) error {
	var line []byte
	for m, err := range c.Messages(ctx) {
		if gap, ok := errors.AsType[*client.GapError](err); ok {
			_, _ = fmt.Fprintln(notes, gap) // who has closed stderr wants none
			continue
		}
		if err != nil {
			return err
		}
		line, err = o.append(line[:0], m)
		if err == nil {
			_, err = out.Write(line)
		}
		if err != nil {
			return fmt.Errorf("printing: %w", err)
		}
	}
	return nil // not reached: Messages ends with an error
}

// append appends what is printed of a message.
func (o *listenOptions) append(line []byte, m *client.Message) ([]byte, error) {
	chosen := o.shown.chosen()
	if chosen == asTable {
		return append(line, string(m.Sender)+": "+printable(m.Content)+"\n"...), nil
	}
	return chosen.appendFrame(line, &protocol.Receive{
		Seq: m.Seq, Id: m.ID, Sender: string(m.Sender), Receiver: string(m.Receiver), Content: m.Content, At: m.At.UnixMilli(),
	})
}

// goodbye closes a connection that is not needed any more, though the context may
// be done. Whether the service answers makes no difference by then.
func goodbye(ctx context.Context, c *client.Client) {
	_ = c.Close(context.WithoutCancel(ctx))
}
