package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"callboard/transport/admin/adminv1"
)

func newUserBlock() *cobra.Command {
	var o callerOptions
	var reason string
	var d time.Duration
	cmd := &cobra.Command{
		Use:   "block USER",
		Short: "Keep a user from connecting",
		Long: `Close all sessions of a user with 4005 and refuse its connections with 403, until it
is unblocked or the time of --for is over; restarts change nothing about it. Messages
for the user are kept. Who is blocked already is blocked anew.`,
		Example: "  callboard user block 2 --reason spam\n  callboard user block 2 --for 1h",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("for") && d < time.Millisecond {
				return misused("--for is %s: give a time, like 1h, or leave it out to block until the user is unblocked", d)
			}
			request := &adminv1.BlockUserRequest{User: args[0], Reason: reason, ForMs: uint64(d.Milliseconds())}
			return blockUser(cmd.Context(), &o, request, cmd.OutOrStdout())
		},

		ValidArgsFunction: onlyFirst(o.completeUser()),
	}
	o.report(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for operators, at most 123 bytes; the user is not told")
	cmd.Flags().DurationVar(&d, "for", 0, "how long (default until the user is unblocked)")
	return cmd
}

func blockUser(ctx context.Context, o *callerOptions, request *adminv1.BlockUserRequest, out io.Writer) error {
	if _, err := parseUser("USER", request.User); err != nil {
		return err
	}
	client, err := o.dial()
	if err != nil {
		return err
	}
	answer, err := client.BlockUser(ctx, request)
	if err != nil {
		return o.explained(err)
	}
	return o.print(out, answer, func(t *table) {
		t.row("%s is blocked %s; %d sessions closed", request.User, until(answer.Block.UntilMs), answer.Sessions)
	})
}

// until is when a block ends.
func until(ms int64) string {
	if ms == 0 {
		return "until it is unblocked"
	}
	return "until " + moment(ms)
}

func newUserUnblock() *cobra.Command {
	var o callerOptions
	cmd := &cobra.Command{
		Use:     "unblock USER",
		Short:   "Let a blocked user connect again",
		Long:    `Let a user connect again. One who is not blocked is no fault.`,
		Example: "  callboard user unblock 2",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return unblockUser(cmd.Context(), &o, args[0], cmd.OutOrStdout())
		},
	}
	o.report(cmd)
	return cmd
}

func unblockUser(ctx context.Context, o *callerOptions, id string, out io.Writer) error {
	if _, err := parseUser("USER", id); err != nil {
		return err
	}
	client, err := o.dial()
	if err != nil {
		return err
	}
	answer, err := client.UnblockUser(ctx, &adminv1.UnblockUserRequest{User: id})
	if err != nil {
		return o.explained(err)
	}
	return o.print(out, answer, func(t *table) {
		if answer.WasBlocked {
			t.row("%s may connect again", id)
		} else {
			t.row("%s was not blocked", id)
		}
	})
}

// listBlocked lists who is blocked.
func listBlocked(cmd *cobra.Command, o *callerOptions, limit int) error {
	return o.show(cmd, func(ctx context.Context, client adminv1.AdminServiceClient) (proto.Message, func(*table), error) {
		found, token := &adminv1.ListBlockedResponse{}, ""
		err := pages(limit, func(rows int) (got int, more bool, err error) {
			page, err := client.ListBlocked(ctx, &adminv1.ListBlockedRequest{PageSize: uint32(rows), PageToken: token})
			if err != nil {
				return 0, false, err
			}
			found.Blocks = append(found.Blocks, page.Blocks...)
			token, found.NextPageToken = page.NextPageToken, page.NextPageToken
			return len(page.Blocks), token != "", nil
		})
		return found, func(t *table) { tableOfBlocked(t, found) }, err
	})
}

func tableOfBlocked(t *table, found *adminv1.ListBlockedResponse) {
	t.head("USER\tBLOCKED\tUNTIL\tBY\tREASON")
	for _, b := range found.Blocks {
		t.row("%s\t%s\t%s\t%s\t%s", b.User, moment(b.AtMs), moment(b.UntilMs), dash(b.By), dash(b.Reason))
	}
	if found.NextPageToken != "" {
		t.row("(there are more: --limit 0 shows all)")
	}
}
