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
others are connected. By turns of --duration nobody looks; an operator lists users
and sessions, as many as 'user list' and 'session list' do, and shows one user, each
--every; a program lists all users and all sessions as often; Prometheus reads the
metrics as often. Shown is how long the calls take, and what the turns of each have of
the messages each second of those beside them in which nobody looks: the median of
--rounds.`,
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
			if config.TLS, err = caller.trust.tls(); err != nil {
				return err
			}
			if config.Token, err = signer.token(); err != nil {
				return err
			}
			pages, err := caller.pages() //nolint:bodyclose // it is no response yet
			if err != nil {
				return err
			}
			looks := looks{&caller, client}
			config.Looks = []bench.Look{
				{Name: "an operator looks", Do: looks.operator},
				{Name: "all are listed", Do: looks.all},
				{Name: "metrics are read", Do: metricsAreRead(pages)},
			}
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

// looks are looks by the admin API.
type looks struct {
	caller *callerOptions
	client adminv1.AdminServiceClient
}

// operator is one look at who is there, and at one user.
func (l looks) operator(ctx context.Context, users []string, note func(string, time.Duration)) error {
	if _, err := l.users(ctx, listRows, "", note); err != nil {
		return err
	}
	if _, err := l.sessions(ctx, listRows, "", note); err != nil {
		return err
	}
	_, err := l.timed("GetUser", note, func() (string, error) {
		_, err := l.client.GetUser(ctx, &adminv1.GetUserRequest{User: users[rand.IntN(len(users))]})
		return "", err
	})
	return err
}

// all is one look at all users and at all sessions.
func (l looks) all(ctx context.Context, _ []string, note func(string, time.Duration)) error {
	for _, page := range []func(context.Context, uint32, string, func(string, time.Duration)) (string, error){l.users, l.sessions} {
		for token, more := "", true; more; more = token != "" {
			var err error
			if token, err = page(ctx, pageRows, token, note); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l looks) users(ctx context.Context, rows uint32, token string, note func(string, time.Duration)) (next string, err error) {
	return l.timed(fmt.Sprintf("ListUsers, %d a page", rows), note, func() (string, error) {
		page, err := l.client.ListUsers(ctx, &adminv1.ListUsersRequest{PageSize: rows, PageToken: token})
		return page.GetNextPageToken(), err
	})
}

func (l looks) sessions(ctx context.Context, rows uint32, token string, note func(string, time.Duration)) (next string, err error) {
	return l.timed(fmt.Sprintf("ListSessions, %d a page", rows), note, func() (string, error) {
		page, err := l.client.ListSessions(ctx, &adminv1.ListSessionsRequest{PageSize: rows, PageToken: token})
		return page.GetNextPageToken(), err
	})
}

// timed notes how long a call took, unless it failed.
func (l looks) timed(call string, note func(string, time.Duration), do func() (next string, err error)) (string, error) {
	began := time.Now()
	next, err := do()
	if err != nil {
		return "", l.caller.explained(err)
	}
	note(call, time.Since(began))
	return next, nil
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
