package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"callboard/cmd/callboard/bench"
	"callboard/transport/admin/adminv1"
)

func newBenchLook() *cobra.Command {
	config, output, caller, signer := bench.LookConfig{}, resultFormat{}, callerOptions{}, benchIdentity{}
	cmd := &cobra.Command{
		Use:   "look",
		Short: "Look at a service under load, and see what that costs",
		Long: `Pairs of users send to and fro as in relay, as fast as --window allows, while --idle
others are connected. By turns of --duration nobody looks; an operator lists all
users, all sessions, and shows one user, each --every; Prometheus reads the metrics
as often. Shown is how long the calls take, and what the turns of the one and the
other have of the messages each second of those beside them in which nobody looks: the
median of --rounds.`,
		Example: "  callboard bench look --idle 15000 --server-pid 4711\n  callboard bench look --rounds 3 --duration 1s -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkURL(config.URL); err != nil {
				return err
			}
			client, err := caller.dial()
			if err != nil {
				return err
			}
			if config.Token, err = signer.token(); err != nil {
				return err
			}
			pages, err := caller.pages() //nolint:bodyclose // it is no response yet
			if err != nil {
				return err
			}
			config.Looks = []bench.Look{{Name: "an operator looks", Do: operatorLooks(&caller, client)}, {Name: "metrics are read", Do: metricsAreRead(pages)}}
			line := bench.NewLine(cmd.ErrOrStderr())
			config.Progress = line.Show
			result, err := bench.Looking(cmd.Context(), config)
			line.Clear()
			return conclude(cmd.OutOrStdout(), &output, result, err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&config.URL, "url", "ws://127.0.0.1:8080", "address of the service, ws://host:port or wss://host:port")
	caller.flags(cmd)
	signer.flags(f)
	f.IntVar(&config.Users, "users", 200, "users who send, each with a connection")
	f.IntVar(&config.Idle, "idle", 15_000, "further users, who are connected and do nothing")
	f.IntVar(&config.Rounds, "rounds", 5, "turns of each kind")
	f.DurationVar(&config.Every, "every", time.Second, "how often somebody looks")
	f.StringVar((*string)(&config.Protocol), "protocol", string(bench.Proto), spoken(bench.Relay))
	f.IntVar(&config.Window, "window", 16, "messages of each pair that may be on their way")
	f.IntVar(&config.Size, "size", 64, "bytes of each text")
	f.DurationVar(&config.Duration, "duration", 3*time.Second, "how long a turn is")
	f.DurationVar(&config.Warmup, "warmup", time.Second, "how long to run before measuring")
	f.IntVar(&config.PID, "server-pid", 0, "process of the service, on this machine, to show what it uses")
	output.flags(cmd)
	return cmd
}

// operatorLooks is one look at everybody and at one user.
func operatorLooks(o *callerOptions, client adminv1.AdminServiceClient) func(context.Context, []string, func(string, time.Duration)) error {
	return func(ctx context.Context, users []string, note func(string, time.Duration)) error {
		timed := func(call string, do func() (next string, err error)) (string, error) {
			began := time.Now()
			next, err := do()
			if err == nil {
				note(call, time.Since(began))
			} else {
				err = o.explained(err)
			}
			return next, err
		}
		all := func(call string, page func(token string) (next string, err error)) error {
			for token, more := "", true; more; more = token != "" {
				var err error
				if token, err = timed(call, func() (string, error) { return page(token) }); err != nil {
					return err
				}
			}
			return nil
		}
		if err := all("ListUsers, 500 a page", func(token string) (string, error) {
			page, err := client.ListUsers(ctx, &adminv1.ListUsersRequest{PageSize: pageRows, PageToken: token})
			return page.GetNextPageToken(), err
		}); err != nil {
			return err
		}
		if err := all("ListSessions, 500 a page", func(token string) (string, error) {
			page, err := client.ListSessions(ctx, &adminv1.ListSessionsRequest{PageSize: pageRows, PageToken: token})
			return page.GetNextPageToken(), err
		}); err != nil {
			return err
		}
		_, err := timed("GetUser", func() (string, error) {
			_, err := client.GetUser(ctx, &adminv1.GetUserRequest{User: users[rand.IntN(len(users))]})
			return "", err
		})
		return err
	}
}

// metricsAreRead is one scrape.
func metricsAreRead(get func(context.Context, string) (*http.Response, error)) func(context.Context, []string, func(string, time.Duration)) error {
	return func(ctx context.Context, _ []string, note func(string, time.Duration)) error {
		began := time.Now()
		answer, err := get(ctx, "/metrics")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return fmt.Errorf("reading the metrics: %w", err)
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("the metrics are refused with %s", answer.Status)
		}
		note("GET /metrics", time.Since(began))
		return nil
	}
}
