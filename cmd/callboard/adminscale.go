package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"callboard/cmd/callboard/config"
	"callboard/transport/admin/adminv1"
)

func newTreeScale() *cobra.Command {
	var o callerOptions
	var shards string
	cmd := &cobra.Command{
		Use:   "scale",
		Short: "Change the number of shards of a running service",
		Long: `Change the number of shards, while messages flow. Users move to their new shard a few
at a time; their connections stay open, and no message is lost, doubled or out of order.

The command shows how far it is, and returns when it is done. Interrupted, the service
goes on; the same command again shows the rest. The number is kept in the directory of
the service, for the next start.

A number holds: where the number is left to the service, with the setting 'shards: auto',
that is over until '--shards auto', or a start with that setting. '--shards auto' leaves it
to the service, whatever the setting is, until the next start: the number follows the
processors and the load. 'callboard tree show' says which it is.`,
		Example: "  callboard tree scale --shards 32\n  callboard tree scale --shards auto",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return scaleTree(cmd.Context(), &o, shards, cmd.OutOrStdout())
		},
	}
	o.report(cmd)
	cmd.Flags().StringVar(&shards, "shards", "", "how many there are to be, 1 to 4096; or auto, for as many as the service sees fit")
	return cmd
}

// scaleRequest asks for what --shards says.
func scaleRequest(shards string) (*adminv1.ScaleTreeRequest, error) {
	if shards == config.AutoShards {
		return &adminv1.ScaleTreeRequest{Auto: true}, nil
	}
	n, err := strconv.ParseUint(shards, 10, 32)
	switch {
	case shards == "":
		return nil, misused("--shards is missing: give the number that there is to be, like --shards 32, or --shards auto")
	case err != nil || n == 0:
		return nil, misused("--shards is %q: give 1 to 4096, or auto", shards)
	}
	return &adminv1.ScaleTreeRequest{Shards: uint32(n)}, nil
}

func scaleTree(ctx context.Context, o *callerOptions, shards string, out io.Writer) error {
	request, err := scaleRequest(shards)
	if err != nil {
		return err
	}
	client, err := o.dial()
	if err != nil {
		return err
	}
	last, err := rescale(ctx, o, client, request, out)
	if err != nil {
		return err
	}
	return o.print(out, last, func(t *table) {
		if last.BeganMs == 0 || last.From == last.To {
			t.row("there are %d shards", last.To)
		} else {
			t.row("there are %d shards, before %d; %d users have moved, in %d ms", last.To, last.From, last.Moved, last.TookMs)
		}
		if words := steeringWords[last.Steering]; words != "" {
			t.row("%s", words)
		}
	})
}

// steeringWords say what an operator may not expect.
var steeringWords = map[string]string{
	"auto": "the service changes the number by itself, until 'callboard tree scale' is given one; the next start goes by the setting shards",
	"held": "the service changes the number by itself no more, until 'callboard tree scale --shards auto', or a start with the setting shards: auto",
}

// rescale changes the number of shards, shows how far it is, and returns when it is done.
func rescale(ctx context.Context, o *callerOptions, client adminv1.AdminServiceClient, request *adminv1.ScaleTreeRequest, out io.Writer) (last *adminv1.Scaling, err error) {
	for last == nil || last.Phase != settled {
		before := last
		if last, err = followScaling(ctx, o, client, request, last, out); err != nil {
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
func followScaling(ctx context.Context, o *callerOptions, client adminv1.AdminServiceClient, request *adminv1.ScaleTreeRequest, last *adminv1.Scaling, out io.Writer) (*adminv1.Scaling, error) {
	stream, err := client.ScaleTree(ctx, request)
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
