package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"callboard/cmd/callboard/bench"
)

// newBench is the command under which all that load and measure a service are.
func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Load a service, measure it and check its promises",
		Long: `Load a service, measure it and check its promises.

relay, durable, idle, fanin, fanout, random, scale, look and handshakes drive a service
that runs already; if it asks for tokens, with --identity-development, --identity-data makes
some for their users. chaos and stall start one of their own, on a port of the loopback and in a
temporary directory.

Every run uses users that nobody else has; what they sent stays in the store of
the service until it is old enough.`,
		Example: `  callboard bench relay --users 200 --window 16
  callboard bench chaos --rounds 10`,

		SuggestionsMinimumDistance: 2,

		Args: unknownCommand,
		RunE: help,
	}
	for _, w := range workloads {
		cmd.AddCommand(newWorkload(w))
	}
	cmd.AddCommand(newBenchScale(), newBenchLook(), newBenchHandshakes(), newChaos(), newStall())
	return cmd
}

// workload is what the commands that measure a running service differ in.
type workload struct {
	kind     bench.Workload
	short    string
	long     string
	example  string
	defaults bench.Config
}

var workloads = []workload{
	{
		bench.Relay, "Pairs of users who answer each message with one",
		`Pairs of users send messages to and fro: each that arrives is answered with one,
so that --window messages of each pair are always on their way.

With --rate all users send at that rate instead, all together, and a user waits
while --window of its messages have not arrived.`,
		"  callboard bench relay --users 200 --window 16 --protocol seed",
		bench.Config{Users: 200, Window: 16, Protocol: bench.Proto},
	},
	{
		bench.Durable, "Pairs of users who send what has to be confirmed",
		`Pairs of users send to each other, and each has --window messages that are not
confirmed yet. The time from send to SENT is that of a message on its way to the
disk.`,
		"  callboard bench durable --users 200 --rate 10000 --check",
		bench.Config{Users: 200, Window: 16, Protocol: bench.Proto},
	},
	{
		bench.Idle, "Connections that do nothing",
		`Open a connection for each user as fast as the service takes them, and hold them
for --duration. With --server-pid the service's memory for each is shown.`,
		"  callboard bench idle --users 50000 --server-pid 4711",
		bench.Config{Users: 10_000, Window: 1, Protocol: bench.Proto},
	},
	{
		bench.FanIn, "All users send to one",
		`All users but one send to that one, each with --window messages that are not
confirmed yet.`,
		"  callboard bench fanin --users 100 --duration 5s",
		bench.Config{Users: 100, Window: 16, Protocol: bench.Proto},
	},
	{
		bench.FanOut, "One user sends to all others",
		`One user sends to each of the others in turn, with --window messages that are not
confirmed yet.`,
		"  callboard bench fanout --users 1001 --window 256",
		bench.Config{Users: 1001, Window: 256, Protocol: bench.Proto},
	},
	{
		bench.Random, "Each message is for another user",
		`Every user sends to users picked at random, at --rate all together.`,
		"  callboard bench random --users 1000 --rate 5000 --check",
		bench.Config{Users: 1000, Window: 16, Rate: 1000, Protocol: bench.Proto},
	},
}

// spoken is what --protocol may say.
func spoken(kind bench.Workload) string {
	if kind == bench.Durable {
		return "what is spoken: json or proto; the seed's dialect confirms nothing"
	}
	return "what is spoken: seed (no subprotocol), json or proto"
}

func newWorkload(w workload) *cobra.Command {
	config, output := w.defaults, resultFormat{}
	config.Workload = w.kind
	var trust trustOptions
	var signer benchIdentity
	cmd := &cobra.Command{
		Use:   string(w.kind),
		Short: w.short,
		Long: w.long + `

Times are counted from the moment at which a message was due. With --check
everything that was confirmed is compared with everything that was seen; in the
dialect of the seed, which confirms nothing, everything that was not refused.
Exit status 1 says that something was lost, doubled or reordered, or that
connections were lost.`,
		Example: w.example,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkURL(config.URL); err != nil {
				return err
			}
			line := bench.NewLine(cmd.ErrOrStderr())
			config.Progress = line.Show
			var err error
			if config.TLS, err = trust.tls(); err != nil {
				return err
			}
			if config.Token, err = signer.token(); err != nil {
				return err
			}
			result, err := bench.Run(cmd.Context(), config)
			line.Clear()
			return conclude(cmd.OutOrStdout(), &output, result, err)
		},
	}
	f := cmd.Flags()
	trust.flags(f)
	signer.flags(f)
	f.StringVar(&config.URL, "url", "ws://127.0.0.1:8080", "address of the service, ws://host:port or wss://host:port")
	f.IntVar(&config.Users, "users", config.Users, "users, each with a connection")
	f.StringVar((*string)(&config.Protocol), "protocol", string(config.Protocol), spoken(w.kind))
	f.DurationVar(&config.Duration, "duration", 10*time.Second, "how long to measure")
	f.IntVar(&config.PID, "server-pid", 0, "process of the service, on this machine, to show what it uses")
	output.flags(cmd)
	if w.kind == bench.Idle {
		config.Size = bench.MinSize
		return cmd
	}
	f.IntVar(&config.Window, "window", config.Window, "messages of each pair or sender that may be on their way")
	f.IntVar(&config.Size, "size", 64, "bytes of each text")
	f.IntVar(&config.Rate, "rate", config.Rate, "messages each second, all together; 0 for as many as the window allows")
	f.DurationVar(&config.Warmup, "warmup", time.Second, "how long to run before measuring")
	f.BoolVar(&config.Check, "check", false, "compare what was confirmed with what was seen")
	f.DurationVar(&config.Settle, "settle", 10*time.Second, "with --check, how long messages may take to arrive after the end")
	return cmd
}

// result is what a bench command has to say: for people, for programs, and as an error
// if what it found is not as it should be.
type result interface {
	WriteTable(io.Writer) error
	Failure() error
}

// resultFormat is how a result is shown, or a message.
type resultFormat struct {
	format format
	json   bool // the same as --output json
}

func (o *resultFormat) flags(cmd *cobra.Command) {
	o.format.flags(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "the same as --output json: an object on a line")
}

// chosen is the format that the flags say.
func (o *resultFormat) chosen() format {
	if o.json {
		return asJSON
	}
	return o.format
}

// print shows one of perhaps many results: they may be appended to each other.
func (o *resultFormat) print(out io.Writer, r result) error {
	chosen := o.chosen()
	if chosen == asTable {
		return r.WriteTable(out)
	}
	return chosen.write(out, true, plainJSON(r), nil)
}

// conclude prints a result, if there is one, and returns what went wrong.
func conclude[R interface {
	*T
	result
}, T any](out io.Writer, o *resultFormat, r R, err error) error {
	if r == nil {
		return advised(err)
	}
	if printErr := o.print(out, r); printErr != nil {
		return fmt.Errorf("printing: %w", printErr)
	}
	if failure := r.Failure(); failure != nil {
		return failure
	}
	return advised(err)
}
