package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"callboard/protocol"
	"callboard/transport/client"
)

// listenOptions are the flags of listen.
type listenOptions struct {
	userOptions
	json bool
}

func newListen() *cobra.Command {
	var o listenOptions
	cmd := &cobra.Command{
		Use:   "listen --as USER",
		Short: "Print a user's messages as they come",
		Long: `Connect as a user and print each message on a line of its own, as

  sender: text

Control characters in the text are written as escapes. With --json each line is
the frame as the service sent it.

"listening as USER" on stderr says that messages are received from then on.
SIGINT or SIGTERM ends it with exit status 0. If the service refuses or closes
the connection, the exit status is 1 and stderr says why.`,
		Example: `  callboard listen --as 2
  callboard listen --as 2 --json | jq -r .content`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listen(cmd.Context(), &o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "print a JSON object for each message")
	return cmd
}

// listen prints until the context is done.
func listen(ctx context.Context, o *listenOptions, out, notes io.Writer) error {
	c, err := o.dial(ctx)
	if err != nil {
		return err
	}
	defer goodbye(ctx, c)
	if _, err := fmt.Fprintln(notes, "listening as "+o.as); err != nil {
		return err
	}
	var line []byte
	for {
		m, err := c.Receive(ctx)
		switch {
		case ctx.Err() != nil:
			return nil // the user has seen enough
		case err != nil:
			return advised(err)
		}
		line = append(o.append(line[:0], m), '\n')
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("printing: %w", err)
		}
	}
}

// append appends what is printed of a message.
func (o *listenOptions) append(line []byte, m protocol.Message) []byte {
	if o.json {
		return protocol.AppendJSON(line, m)
	}
	switch m := m.(type) {
	case *protocol.Receive:
		return append(line, m.Sender+": "+printable(m.Content)...)
	case *protocol.Error: // to a listener, who sends nothing: not now
		return append(line, "error "+m.Code+": "+printable(m.Reason)...)
	}
	panic("client.Receive returned a " + m.Type().String())
}

// goodbye closes a connection that is not needed any more, though the context may
// be done. Whether the service answers makes no difference by then.
func goodbye(ctx context.Context, c *client.Client) {
	_ = c.Close(context.WithoutCancel(ctx))
}
