package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"callboard/cmd/callboard/bench"
	"callboard/transport/admin/adminv1"
)

func newBenchScale() *cobra.Command {
	config, output, caller, signer := bench.ScaleConfig{}, resultFormat{}, callerOptions{}, benchIdentity{}
	cmd := &cobra.Command{
		Use:   "scale",
		Short: "Change the number of shards under load",
		Long: `Pairs of users send to and fro as in relay, as fast as --window allows, while the
number of shards of the service goes through --steps, by its admin API. Shown are
the messages each second and the time from send to RECEIVE, while nobody moves and
during each move, and the ratio of a move to the steady time before it. A message
counts where it was sent, however late it arrives.

The service keeps the last of --steps as its number, also where the number was left to
it (shards: auto). With --check everything that was confirmed is compared with
everything that was seen. Exit status 1 says that something was lost, doubled or
reordered, or that connections were lost.`,
		Example: `  callboard bench scale --users 10000 --steps 8,32,8,1 --check
  callboard bench scale --admin http://127.0.0.1:8081 --data ./callboard-data`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkURL(config.URL); err != nil {
				return err
			}
			client, err := caller.dial()
			if err != nil {
				return err
			}
			if config.TLS, err = caller.trust.tls(); err != nil {
				return err
			}
			if config.Token, err = signer.token(); err != nil {
				return err
			}
			steering := ""
			config.Move = func(ctx context.Context, shards int) (int, error) {
				state, err := rescale(ctx, &caller, client, &adminv1.ScaleTreeRequest{Shards: uint32(shards)}, io.Discard)
				steering = state.GetSteering()
				return int(state.GetMoved()), err
			}
			line := bench.NewLine(cmd.ErrOrStderr())
			config.Progress = line.Show
			result, err := bench.Scale(cmd.Context(), config)
			line.Clear()
			if words := steeringWords[steering]; words != "" {
				_, _ = fmt.Fprintln(cmd.ErrOrStderr(), words)
			}
			return conclude(cmd.OutOrStdout(), &output, result, err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&config.URL, "url", "ws://127.0.0.1:8080", "address of the service, ws://host:port or wss://host:port")
	caller.flags(cmd)
	signer.flags(f)
	f.IntVar(&config.Users, "users", 1000, "users, each with a connection")
	f.IntSliceVar(&config.Steps, "steps", []int{8, 32, 8, 1}, "numbers of shards, one after the other; the first before the load begins")
	f.StringVar((*string)(&config.Protocol), "protocol", string(bench.Proto), spoken(bench.Relay))
	f.IntVar(&config.Window, "window", 1, "messages of each pair that may be on their way")
	f.IntVar(&config.Size, "size", 64, "bytes of each text")
	f.DurationVar(&config.Duration, "duration", 3*time.Second, "how long to measure before and after each move")
	f.DurationVar(&config.Warmup, "warmup", time.Second, "how long to run before measuring")
	f.BoolVar(&config.Check, "check", false, "compare what was confirmed with what was seen")
	f.DurationVar(&config.Settle, "settle", 10*time.Second, "how long messages may take to arrive after the end")
	output.flags(cmd)
	return cmd
}
