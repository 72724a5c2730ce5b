package main

import (
	"errors"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"callboard/cmd/callboard/top"
	"callboard/transport/admin/adminv1"
)

func newTop() *cobra.Command {
	var o callerOptions
	every := time.Second
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch a running service in the terminal",
		Long: `Watch a running service in the terminal: how much passes, who is sent the most, which
devices are slow, which limits were hit, and the tree with its queues. Keys sort,
filter, open one user and close it; ? names them.

It goes on when the service goes away and comes back. It looks --every so often, each
time at a bounded part of the service, however many are connected.`,
		Example: "  callboard top\n  callboard top --every 5s",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return showTop(cmd, &o, every) },
	}
	o.flags(cmd)
	cmd.Flags().DurationVar(&every, "every", every, "time between two looks, 200ms to 1m")
	return cmd
}

func showTop(cmd *cobra.Command, o *callerOptions, every time.Duration) error {
	if every < 200*time.Millisecond || every > time.Minute {
		return misused("--every is %s: give 200ms to 1m", every)
	}
	in, isFile := cmd.InOrStdin().(*os.File)
	out, isTerminal := cmd.OutOrStdout().(*os.File)
	if !isFile || !isTerminal || !term.IsTerminal(in.Fd()) || !term.IsTerminal(out.Fd()) {
		return misused("top needs a terminal: 'callboard stats --watch -o json' is for programs")
	}
	if _, err := o.dial(); err != nil { // what is wrong with the flags is said before the screen is taken
		return err
	}
	return top.Run(cmd.Context(), in, out, top.Config{
		Dial:    o.dial,
		Explain: func(err error) (top.Trouble, string) { return troubleOf(o.explained(err)) },
		Detail:  detailOf,
		Address: strings.TrimPrefix(strings.TrimPrefix(o.url, "http://"), "https://"),
		Every:   every,
	})
}

// troubleOf is what an error means for a view that goes on.
func troubleOf(err error) (top.Trouble, string) {
	what := top.Refused
	switch statusOf(err) {
	case exitUnavailable, exitInterrupted:
		what = top.Away
	case exitNotAllowed:
		what = top.NotAllowed
	}
	if inner, ok := errors.AsType[*exitError](err); ok {
		err = inner.err
	}
	return what, err.Error()
}

// detailOf is a user as 'user show' has it.
func detailOf(found *adminv1.GetUserResponse) string {
	var t table
	tableOfUser(&t, found)
	return t.String()
}
