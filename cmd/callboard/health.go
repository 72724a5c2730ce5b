package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"callboard/cmd/callboard/config"
)

func newHealth() *cobra.Command {
	var address string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask whether a service takes messages",
		Long: `Ask /readyz of a service. The exit status is 0 if it takes connections and messages,
and another otherwise: it starts, it drains, its disk does not take messages, or nobody answers.
It is for containers, which have no other program to ask with. On this machine it asks by
https too where the service has TLS, and takes any certificate: that is made for the name by
which others come.`,
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
	status, said, err := askReady(ctx, u)
	if err == nil && status == http.StatusBadRequest && u.Scheme == "http" && config.IsLoopbackHost(u.Hostname()) && strings.Contains(said, "HTTPS server") {
		u.Scheme = "https"
		status, said, err = askReady(ctx, u)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return exits(exitUnavailable, fmt.Errorf("no answer from %s within %s: look at the service's log", address, timeout))
	case errors.Is(err, syscall.ECONNREFUSED):
		return exits(exitUnavailable, fmt.Errorf("nobody listens at %s: start the service, or give another address with --url", address))
	case err != nil:
		return fmt.Errorf("asking %s: %w; --url gives another address", address, err)
	}
	if status != http.StatusOK {
		return exits(exitUnavailable, fmt.Errorf("not ready: %d %s", status, printable(said)))
	}
	_, err = fmt.Fprintln(out, "ready")
	return err
}

// askReady asks /readyz, and returns the beginning of what it says.
func askReady(ctx context.Context, u *url.URL) (status int, said string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath("readyz").String(), nil)
	if err != nil {
		return 0, "", fmt.Errorf("making a request: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment}
	if config.IsLoopbackHost(u.Hostname()) {
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // it is this machine, and nothing is told it
	}
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxHealthAnswer))
	if err != nil {
		return 0, "", fmt.Errorf("reading the answer: %w", err)
	}
	return answer.StatusCode, strings.TrimSpace(string(text)), nil
}
