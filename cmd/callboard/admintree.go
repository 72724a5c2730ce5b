package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"callboard/transport/admin/adminv1"
)

func newTree() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "tree",
		Short:   "Look at the supervision tree of a running service, and scale it",
		Example: "  callboard tree show\n  callboard tree watch\n  callboard tree show --user 42\n  callboard tree scale --shards 32",

		SuggestionsMinimumDistance: 2,

		Args: unknownCommand,
		RunE: help,
	}
	cmd.AddCommand(newTreeShow(), newTreeWatch(), newTreeScale())
	return cmd
}

func newTreeShow() *cobra.Command {
	var o callerOptions
	var user string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the whole tree, or one user's branch down to its sockets",
		Long: `Show every level of the tree: how many actors there are, how often they have failed, what
waits in their queues, the longest that one of them has been in its current message, what
happens when one fails, how often it may, and what comes then. Below that the users and sessions that stand out, by their
queues, by the time in their current message and by their restarts; and each shard. The
busiest shard and the sickest bear that word.

With --user, show the branch of one user: the shard, the actor, and each session with
its queue and its socket.`,
		Example: "  callboard tree show\n  callboard tree show -o json\n  callboard tree show --user 42",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if user != "" {
				return showBranch(cmd, &o, user)
			}
			return showTree(cmd, &o, tableOfTree)
		},
	}
	o.reportWatched(cmd)
	cmd.Flags().StringVar(&user, "user", "", "show the branch of this user")
	return cmd
}

func newTreeWatch() *cobra.Command {
	var o callerOptions
	var user string
	every := time.Second
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Watch the tree, or one user's branch",
		Long: `Show what 'tree show' does, again and again until Ctrl-C: on a terminal in place, else one
answer after the other. Of many shards only those are shown that have the most to do or
the most trouble.

To look often does not disturb: no user is asked, and no actor that hangs is waited for.`,
		Example: "  callboard tree watch\n  callboard tree watch --every 5s -o json | jq -c .slowest\n  callboard tree watch --user 42",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every < minEvery || every > maxEvery {
				return misused("--every is %s: give %s to %s", every, minEvery, maxEvery)
			}
			o.every = every
			if user != "" {
				return showBranch(cmd, &o, user)
			}
			return showTree(cmd, &o, tableOfWatchedTree)
		},
	}
	o.report(cmd)
	cmd.Flags().DurationVar(&every, "every", every, "time between two looks, 100ms to 1h")
	cmd.Flags().StringVar(&user, "user", "", "watch the branch of this user")
	return cmd
}

func showTree(cmd *cobra.Command, o *callerOptions, fill func(*table, *adminv1.GetTreeResponse)) error {
	return o.show(cmd, func(ctx context.Context, client adminv1.AdminServiceClient) (proto.Message, func(*table), error) {
		tree, err := client.GetTree(ctx, &adminv1.GetTreeRequest{})
		return tree, func(t *table) { fill(t, tree) }, err
	})
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
		t.row("    user %s\t%s\t%d restarts\t%d queued\t%d held\t%s", printable(u.User), stateWord(printable(u.State)), u.Restarts, found.Queued, u.Held,
			hangs(found.InMessageMs))
	}
	for _, s := range found.Sessions {
		t.row("      session %d\t%s\t%d unacknowledged\t%d queued\t%d bytes wait\t%s\t%s\t%s\t%s",
			s.Session, stateWord(printable(s.State)), s.Unacknowledged, s.Queued, s.WaitingBytes, dash(s.Device), printable(s.Protocol), dash(s.Remote),
			hangs(s.InMessageMs))
	}
}

// hangs says how long an actor has been in its message, if it is worth a word.
func hangs(ms uint64) string {
	if ms == 0 {
		return ""
	}
	return warnStyle.Render(inMessage(ms) + " in its message")
}
