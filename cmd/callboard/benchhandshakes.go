package main

import (
	"time"

	"github.com/spf13/cobra"

	"callboard/cmd/callboard/bench"
)

func newBenchHandshakes() *cobra.Command {
	config, output := bench.HandshakesConfig{}, resultFormat{}
	var kinds []string
	var trust trustOptions
	var signer benchIdentity
	cmd := &cobra.Command{
		Use:   "handshakes",
		Short: "Forge handshakes while others relay",
		Long: `Pairs of users send to and fro as in relay, while --attempts handshakes come to
nothing, from four addresses of the loopback, 127.0.1.1 to 127.0.1.4. Calm and storm
alternate for --rounds, --duration each; shown are the messages each second of both,
the ratio, and what became of the handshakes of each of --kinds:

  forged   ask for user 1 with a development token that another key has signed: with
           --identity-development the service has to check the signature to refuse it
  mute     upgrade to version 1 and send no CONNECT
  half     begin a request and do not end it
  silent   connect and say nothing
  garbage  no HTTP at all

Those that the service neither refuses nor lets in are held until it cuts them, which it does
after 10 s: with a shorter --duration most are kept until the storm is over. A service that
asks for no tokens lets the forged ones in: run it with --identity-development, and give its
--data as --identity-data, so that the users who relay have tokens.

The storm takes processors too: on a small machine give --rate, which says whether the service keeps up, or read the
ratio together with the cores that this process used. Addresses of the loopback are exempt from
limits.attempts unless the service runs with --limits-attempts-exempt ''.`,
		Example: `  callboard bench handshakes --attempts 10000 --rounds 3 --identity-data ./callboard-data
  callboard bench handshakes --rate 20000 --kinds half,mute --duration 15s --server-pid 4711`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkURL(config.URL); err != nil {
				return err
			}
			for _, kind := range kinds {
				config.Kinds = append(config.Kinds, bench.Attack(kind))
			}
			var err error
			if config.TLS, err = trust.tls(); err != nil {
				return err
			}
			if config.Token, err = signer.token(); err != nil {
				return err
			}
			line := bench.NewLine(cmd.ErrOrStderr())
			config.Progress = line.Show
			result, err := bench.Handshakes(cmd.Context(), config)
			line.Clear()
			return conclude(cmd.OutOrStdout(), &output, result, err)
		},
	}
	f := cmd.Flags()
	trust.flags(f)
	signer.flags(f)
	f.StringVar(&config.URL, "url", "ws://127.0.0.1:8080", "address of the service, ws://host:port or wss://host:port")
	f.IntVar(&config.Attempts, "attempts", 10_000, "handshakes that come to nothing, all rounds together")
	f.IntVar(&config.Rounds, "rounds", 3, "times that are calm and then stormy")
	f.StringSliceVar(&kinds, "kinds", []string{"forged", "mute", "half", "silent", "garbage"}, "what they are like, in turns")
	f.IntVar(&config.Users, "users", 200, "users, each with a connection")
	f.StringVar((*string)(&config.Protocol), "protocol", string(bench.Proto), spoken(bench.Relay))
	f.IntVar(&config.Window, "window", 16, "messages of each pair that may be on their way")
	f.IntVar(&config.Size, "size", 64, "bytes of each text")
	f.IntVar(&config.Rate, "rate", 0, "messages each second, all together; 0 for as many as the window allows")
	f.DurationVar(&config.Duration, "duration", 4*time.Second, "how long each calm and each storm is")
	f.DurationVar(&config.Warmup, "warmup", time.Second, "how long to run before measuring")
	f.BoolVar(&config.Check, "check", false, "compare what was confirmed with what was seen")
	f.DurationVar(&config.Settle, "settle", 10*time.Second, "with --check, how long messages may take to arrive after the end")
	f.IntVar(&config.PID, "server-pid", 0, "process of the service, on this machine, to show what it uses")
	output.flags(cmd)
	return cmd
}
