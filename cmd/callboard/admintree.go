package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"callboard/transport/admin/adminv1"
)

func newTree() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "tree",
		Short:   "Look at the supervision tree of a running service, and scale it",
		Example: "  callboard tree show\n  callboard tree show --user 42\n  callboard tree scale --shards 32",

		SuggestionsMinimumDistance: 2,

		Args: unknownCommand,
		RunE: help,
	}
	cmd.AddCommand(newTreeShow(), newTreeScale())
	return cmd
}

func newTreeShow() *cobra.Command {
	var o callerOptions
	var user string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the tree down to the shards, or one user's branch down to its sockets",
		Long: `Show every level of the tree with what is below it, how often that has failed and what
waits in its queue; the busiest shard and the sickest; how the number of shards came
about; and what happens when an actor of each level fails.

With --user, show the branch of one user: the shard, the actor, and each session with
its socket.`,
		Example: "  callboard tree show\n  callboard tree show -o json\n  callboard tree show --user 42",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if user != "" {
				return showBranch(cmd, &o, user)
			}
			return showTree(cmd, &o)
		},
	}
	o.reportWatched(cmd)
	cmd.Flags().StringVar(&user, "user", "", "show the branch of this user")
	return cmd
}

func showTree(cmd *cobra.Command, o *callerOptions) error {
	return o.show(cmd, func(ctx context.Context, client adminv1.AdminServiceClient) (proto.Message, func(*table), error) {
		tree, err := client.GetTree(ctx, &adminv1.GetTreeRequest{})
		return tree, func(t *table) { tableOfTree(t, tree) }, err
	})
}

func tableOfTree(t *table, tree *adminv1.GetTreeResponse) {
	t.head("ACTOR\tBELOW IT\tPARKED\tFAILURES\tQUEUED\tSTATE")
	t.row("registry\t%d shards\t\t\t\t%s", len(tree.Shards), scalingWords(tree))
	busiest, sickest := extremes(tree.Shards)
	for _, s := range tree.Shards {
		var remarks []string
		if s == busiest {
			remarks = append(remarks, "busiest")
		}
		if s == sickest {
			remarks = append(remarks, "sickest")
		}
		if s.Stuck {
			remarks = append(remarks, stuckWord())
		}
		t.row("  shard %d\t%d users\t%s\t%s\t%d\t%s", s.Number, s.Users, countWord(s.Parked), countWord(s.Failures), s.Queued, strings.Join(remarks, ", "))
	}
	state := "open"
	if tree.Gateway.GetDraining() {
		state = stateWord("draining")
	}
	if tree.Gateway.GetStuck() {
		state = stuckWord()
	}
	t.row("gateway\t%d sessions\t\t\t\t%s", tree.Gateway.GetSessions(), state)
	if tree.Journal.GetPresent() {
		t.row("journal\t\t\t\t%d\t%s", tree.Journal.Queued, working(tree.Journal.Trouble))
	}
	stuckRows(t, tree)
	supervisionRows(t, tree)
}

// extremes are the shard with the longest queue, or else the most users, and the one
// whose users fail most; nil where all are alike.
func extremes(shards []*adminv1.Shard) (busiest, sickest *adminv1.Shard) {
	for _, s := range shards {
		if s.Users > 0 && (busiest == nil || s.Queued > busiest.Queued || s.Queued == busiest.Queued && s.Users > busiest.Users) {
			busiest = s
		}
		if s.Failures > 0 && (sickest == nil || s.Parked > sickest.Parked || s.Parked == sickest.Parked && s.Failures > sickest.Failures) {
			sickest = s
		}
	}
	if len(shards) < 2 {
		return nil, nil
	}
	return busiest, sickest
}

// scalingWords says how the number of shards came about.
func scalingWords(tree *adminv1.GetTreeResponse) string {
	s, by := tree.Scaling, "fixed"
	if tree.AutoScale {
		by = "auto"
	}
	switch {
	case s == nil:
		return ""
	case s.Phase != settled:
		return fmt.Sprintf("%s from %d to %d, %d of %d users have moved (%s)", printable(s.Phase), s.From, s.To, s.Moved, s.ToMove, printable(s.Why))
	case s.BeganMs == 0:
		return by
	}
	return fmt.Sprintf("%s, from %d to %d %s ago (%s)", by, s.From, s.To, since(s.BeganMs), printable(s.Why))
}

// supervisionRows say what happens when an actor fails.
func supervisionRows(t *table, tree *adminv1.GetTreeResponse) {
	for i, level := range tree.Levels {
		if i == 0 {
			t.row("")
			t.head("LEVEL\tON FAILURE\tWHY")
		}
		t.row("%s\t%s\t%s", printable(level.Name), printable(level.OnFailure), printable(level.Why))
	}
	if i := tree.Intensity; i != nil {
		ms := func(ms uint64) time.Duration { return time.Duration(ms) * time.Millisecond }
		t.row("")
		t.row("A user that fails more than %d times in %s is parked for %s, then twice as long each time, up to %s.",
			i.Failures, ms(i.WindowMs), ms(i.ParkMs), ms(i.MaxParkMs))
	}
}

func showBranch(cmd *cobra.Command, o *callerOptions, id string) error {
	user, err := parseUser("--user", id)
	if err != nil {
		return err
	}
	return o.show(cmd, func(ctx context.Context, client adminv1.AdminServiceClient) (proto.Message, func(*table), error) {
		found, err := client.GetUser(ctx, &adminv1.GetUserRequest{User: string(user)})
		return found, func(t *table) { tableOfBranch(t, found) }, err
	})
}

func tableOfBranch(t *table, found *adminv1.GetUserResponse) {
	u := found.User
	t.row("registry\n  shard %d", u.GetShard())
	if u.GetState() == "" {
		t.row("    user %s\thas no actor", printable(u.GetUser()))
	} else {
		t.row("    user %s\t%s\t%d restarts\t%d queued\t%d held", printable(u.User), stateWord(printable(u.State)), u.Restarts, found.Queued, u.Held)
	}
	for _, s := range found.Sessions {
		t.row("      session %d\t%s\t%d unacknowledged\t%d bytes wait\t%s\t%s\t%s",
			s.Session, stateWord(printable(s.State)), s.Unacknowledged, s.WaitingBytes, dash(s.Device), printable(s.Protocol), dash(s.Remote))
	}
}
