package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"callboard/transport/admin/adminv1"
)

const (
	// completePatience is how long a shell waits for what could stand there.
	completePatience = 500 * time.Millisecond

	// completeRows is how many it offers.
	completeRows = 50
)

// complete is what a shell asks for what could stand where the cursor is.
type complete = func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective)

// completions asks the service. It is silent when there is none, or it lets nobody in: a
// shell has no place for that.
func (o *callerOptions) completions(offer func(ctx context.Context, client adminv1.AdminServiceClient, begun string) ([]cobra.Completion, error)) complete {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		client, err := o.dial()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, cancel := context.WithTimeout(ctx, completePatience)
		defer cancel()
		found, err := offer(ctx, client, begun)
		if err != nil {
			found = nil
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeUser offers those who are active. It is for a flag, and with onlyFirst for the
// one argument of a command.
func (o *callerOptions) completeUser() complete {
	return o.completions(func(ctx context.Context, client adminv1.AdminServiceClient, begun string) (found []cobra.Completion, err error) {
		page, err := client.ListUsers(ctx, &adminv1.ListUsersRequest{Prefix: begun, PageSize: completeRows})
		if err != nil {
			return nil, err
		}
		for _, u := range page.Users {
			found = append(found, cobra.CompletionWithDesc(u.User, fmt.Sprintf("%s, %d sessions", u.State, u.Sessions)))
		}
		return found, nil
	})
}

// completeSession offers the oldest sessions whose numbers begin so.
func (o *callerOptions) completeSession() complete {
	return o.completions(func(ctx context.Context, client adminv1.AdminServiceClient, begun string) (found []cobra.Completion, err error) {
		page, err := client.ListSessions(ctx, &adminv1.ListSessionsRequest{PageSize: pageRows})
		if err != nil {
			return nil, err
		}
		for _, s := range page.Sessions {
			if number := strconv.FormatUint(s.Session, 10); strings.HasPrefix(number, begun) && len(found) < completeRows {
				found = append(found, cobra.CompletionWithDesc(number, s.User+" "+deviceName(s.Device)))
			}
		}
		return found, nil
	})
}

// onlyFirst offers for the first argument alone.
func onlyFirst(first complete) complete {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return first(cmd, args, begun)
	}
}
