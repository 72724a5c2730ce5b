package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"callboard/transport/admin/adminv1"
)

func newTreeScale() *cobra.Command {
	var o callerOptions
	var shards uint32
	cmd := &cobra.Command{
		Use:   "scale",
		Short: "Change the number of shards of a running service",
		Long: `Change the number of shards, while messages flow. Users move to their new shard a few
at a time; their connections stay open, and no message is lost, doubled or out of order.

The command shows how far it is, and returns when it is done. Interrupted, the service
goes on; the same command again shows the rest. The number is kept in the directory of
the service, for the next start.`,
		Example: "  callboard tree scale --shards 32",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return scaleTree(cmd.Context(), &o, shards, cmd.OutOrStdout())
		},
	}
	o.report(cmd)
	cmd.Flags().Uint32Var(&shards, "shards", 0, "how many there are to be, 1 to 4096")
	return cmd
}

func scaleTree(ctx context.Context, o *callerOptions, shards uint32, out io.Writer) error {
	if shards == 0 {
		return misused("--shards is missing: give the number that there is to be, like --shards 32")
	}
	client, err := o.dial()
	if err != nil {
		return err
	}
	last, err := rescale(ctx, o, client, shards, out)
	if err != nil {
		return err
	}
	return o.print(out, last, func(t *table) {
		if last.BeganMs == 0 || last.From == last.To {
			t.row("there are %d shards", last.To)
		} else {
			t.row("there are %d shards, before %d; %d users have moved, in %d ms", last.To, last.From, last.Moved, last.TookMs)
		}
	})
}

// rescale changes the number of shards, shows how far it is, and returns when it is done.
func rescale(ctx context.Context, o *callerOptions, client adminv1.AdminServiceClient, shards uint32, out io.Writer) (last *adminv1.Scaling, err error) {
	for last == nil || last.Phase != settled {
		before := last
		if last, err = followScaling(ctx, o, client, shards, last, out); err != nil {
			if ctx.Err() != nil {
				err = errors.New("interrupted; the service goes on, and the same command again shows how far it is")
			}
			return nil, err
		}
		if last == nil || before != nil && last.To != before.To {
			return nil, errors.New("the service did not say how far it is: 'callboard tree show' does")
		}
	}
	return last, nil
}

// settled is the phase of a change that is over.
const settled = "settled"

// followScaling shows how far it is until the service ends the stream.
func followScaling(ctx context.Context, o *callerOptions, client adminv1.AdminServiceClient, shards uint32, last *adminv1.Scaling, out io.Writer) (*adminv1.Scaling, error) {
	stream, err := client.ScaleTree(ctx, &adminv1.ScaleTreeRequest{Shards: shards})
	if err != nil {
		return nil, o.explained(err)
	}
	defer func() { _ = stream.Close() }() // nothing is left to be said
	for stream.Receive() {
		now := stream.Msg().Scaling
		if now == nil {
			return nil, nil //nolint:nilnil // the caller has words for it
		}
		if o.output == asTable && now.Phase != settled && (last == nil || last.Phase != now.Phase || last.Moved != now.Moved) {
			if _, err := fmt.Fprintf(out, "%s from %d to %d shards: %d of %d users have moved\n",
				printable(now.Phase), now.From, now.To, now.Moved, now.ToMove); err != nil {
				return nil, fmt.Errorf("printing: %w", err)
			}
		}
		last = now
	}
	if err := stream.Err(); err != nil {
		return nil, o.explained(err)
	}
	return last, nil
}
