package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func newHealth() *cobra.Command {
	var address string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask whether a service takes messages",
		Long: `Ask /readyz of a service. The exit status is 0 if it takes connections and messages,
and another otherwise: it starts, it drains, its disk does not take messages, or nobody answers.
It is for containers, which have no other program to ask with.`,
		Example: "  callboard health\n  callboard health --url http://127.0.0.1:9000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return health(cmd.Context(), address, timeout, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&address, "url", "http://127.0.0.1:8080", "where users connect, as http or https")
	cmd.Flags().DurationVar(&timeout, "timeout", 2*time.Second, "how long the answer may take")
	return cmd
}

// maxHealthAnswer is how much of an answer is read, in bytes.
const maxHealthAnswer = 4096

func health(ctx context.Context, address string, timeout time.Duration, out io.Writer) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return misused("--url %q: give http://host:port, like http://127.0.0.1:8080", address)
	}
	if timeout <= 0 {
		return misused("--timeout is %s: give a time above zero, like 2s", timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath("readyz").String(), nil)
	if err != nil {
		return misused("--url %q: %w; give http://host:port", address, err)
	}
	answer, err := http.DefaultClient.Do(request)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return exits(exitUnavailable, fmt.Errorf("no answer from %s within %s: look at the service's log", address, timeout))
	case errors.Is(err, syscall.ECONNREFUSED):
		return exits(exitUnavailable, fmt.Errorf("nobody listens at %s: start the service, or give another address with --url", address))
	case err != nil:
		return fmt.Errorf("asking %s: %w; --url gives another address", address, err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, maxHealthAnswer))
	if err != nil {
		return fmt.Errorf("reading what %s says: %w; try again", address, err)
	}
	if answer.StatusCode != http.StatusOK {
		return exits(exitUnavailable, fmt.Errorf("not ready: %d %s", answer.StatusCode, printable(strings.TrimSpace(string(said)))))
	}
	_, err = fmt.Fprintln(out, "ready")
	return err
}
