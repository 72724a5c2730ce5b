package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"callboard/cmd/callboard/bench"
)

func newChaos() *cobra.Command {
	config, output := bench.ChaosConfig{}, resultFormat{}
	cmd := &cobra.Command{
		Use:   "chaos [-- flags of serve]",
		Short: "Kill a service under load, and look for what is lost",
		Long: `Start a service of its own and kill it (SIGKILL) --rounds times under load, while
users send to each other and their devices stall, start again and lose their
connections. In the end every message that was confirmed must have been seen by
every device of its receiver, once and in order.

Exit status 1 says that it was not, and where the service's data and log are.`,
		Example: `  callboard bench chaos --rounds 100
  callboard bench chaos --users 50 --rate 5000 --json -- --shards 4`,
		Args: serveFlags,
		RunE: func(cmd *cobra.Command, args []string) error {
			config.Args = args
			if err := self(&config.Program); err != nil {
				return err
			}
			line := bench.NewLine(cmd.ErrOrStderr())
			config.Progress = line.Show
			result, err := bench.Chaos(cmd.Context(), config)
			line.Clear()
			return conclude(cmd.OutOrStdout(), &output, result, err)
		},
	}
	f := cmd.Flags()
	f.IntVar(&config.Rounds, "rounds", 10, "how often the service is killed under load")
	f.IntVar(&config.Users, "users", 20, "users, each of whom sends and is sent to")
	f.IntVar(&config.Devices, "devices", 3, "devices of each user, besides the one that sends")
	f.IntVar(&config.Window, "window", 32, "messages of each user that may be unconfirmed")
	f.IntVar(&config.Rate, "rate", 2000, "messages each second, all together")
	f.Uint64Var(&config.Seed, "seed", 0, "what decides what happens, though not when; 0 for another each time")
	f.DurationVar(&config.Settle, "settle", time.Minute, "how long messages may take to arrive after the last kill")
	output.flags(cmd)
	return cmd
}

func newStall() *cobra.Command {
	config, output := bench.StallConfig{}, resultFormat{}
	cmd := &cobra.Command{
		Use:   "stall [-- flags of serve]",
		Short: "Let many devices stall, and watch the service's memory",
		Long: `Start a service of its own, send --rate messages a second to each of --users
devices, and after --warmup let all of them stall: they acknowledge nothing any
more. After --duration they catch up.

Exit status 1 says that the service's memory grew by more than --tolerance while
they stalled, or that they did not get everything, in order. A service that has just
started fills its caches for a minute or so, whatever the devices do: a shorter
--warmup counts that too. With --url and --server-pid a service that runs already
is used.`,
		Example: `  callboard bench stall --users 1000 --rate 10 --duration 1m`,
		Args:    serveFlags,
		RunE: func(cmd *cobra.Command, args []string) error {
			config.Args = args
			if config.URL == "" && config.PID != 0 {
				return misused("--server-pid is given and --url is not: give both, or none to start a service")
			}
			if config.URL == "" {
				if err := self(&config.Program); err != nil {
					return err
				}
			}
			if config.URL != "" {
				if err := checkURL(config.URL); err != nil {
					return err
				}
			}
			line := bench.NewLine(cmd.ErrOrStderr())
			config.Progress = line.Show
			result, err := bench.Stall(cmd.Context(), config)
			line.Clear()
			return conclude(cmd.OutOrStdout(), &output, result, err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&config.URL, "url", "", "address of a service that runs already, ws://host:port")
	f.IntVar(&config.PID, "server-pid", 0, "its process, on this machine")
	f.IntVar(&config.Users, "users", 1000, "devices that stall, each of another user")
	f.IntVar(&config.Senders, "senders", 16, "users who send to them")
	f.IntVar(&config.Rate, "rate", 10, "messages each second to each device")
	f.IntVar(&config.Size, "size", 64, "bytes of each text")
	f.DurationVar(&config.Warmup, "warmup", time.Minute, "how long the devices keep up before")
	f.DurationVar(&config.Duration, "duration", time.Minute, "how long they stall")
	f.DurationVar(&config.Settle, "settle", time.Minute, "how long they may take to catch up")
	f.IntVar(&config.Tolerance, "tolerance", 10, "percent by which the service's memory may grow")
	f.StringVar((*string)(&config.Protocol), "protocol", string(bench.Proto), "what is spoken: json or proto")
	output.flags(cmd)
	return cmd
}

// serveFlags lets nothing through but what stands behind --, which the service that is
// started gets.
func serveFlags(cmd *cobra.Command, args []string) error {
	if before := cmd.ArgsLenAtDash(); len(args) > 0 && before != 0 {
		return fmt.Errorf("%q is no flag: flags for the service stand behind --, like -- --shards 4", args[0])
	}
	return nil
}

// self is the program that runs: what it starts is itself.
func self(program *string) error {
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program, to start a service: %w", err)
	}
	*program = path
	return nil
}
