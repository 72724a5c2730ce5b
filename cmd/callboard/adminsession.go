package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"callboard/transport/admin/adminv1"
)

func newSession() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "session",
		Short:   "Look at the sessions of a running service, and close one",
		Example: "  callboard session list\n  callboard session close 17",

		SuggestionsMinimumDistance: 2,

		Args: unknownCommand,
		RunE: help,
	}
	cmd.AddCommand(newSessionList(), newSessionClose())
	return cmd
}

func newSessionList() *cobra.Command {
	var o callerOptions
	var user string
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the sessions, oldest first",
		Example: "  callboard session list\n  callboard session list --user 2 -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listSessions(cmd.Context(), &o, user, limit, cmd.OutOrStdout())
		},
	}
	o.report(cmd)
	cmd.Flags().StringVar(&user, "user", "", "only those of this user")
	cmd.Flags().IntVar(&limit, "limit", 100, "sessions at most; 0 for all")
	return cmd
}

func listSessions(ctx context.Context, o *callerOptions, user string, limit int, out io.Writer) error {
	client, err := o.dial()
	if err != nil {
		return err
	}
	found, token := &adminv1.ListSessionsResponse{}, ""
	err = pages(limit, func(rows int) (got int, more bool, err error) {
		page, err := client.ListSessions(ctx, &adminv1.ListSessionsRequest{User: user, PageSize: uint32(rows), PageToken: token})
		if err != nil {
			return 0, false, o.explained(err)
		}
		found.Sessions = append(found.Sessions, page.Sessions...)
		token, found.NextPageToken = page.NextPageToken, page.NextPageToken
		return len(page.Sessions), token != "", nil
	})
	if err != nil {
		return err
	}
	return o.print(out, found, func(t *table) {
		tableOfSessions(t, found.Sessions)
		if found.NextPageToken != "" {
			t.row("(there are more: --limit 0 shows all)")
		}
	})
}

func tableOfSessions(t *table, sessions []*adminv1.Session) {
	t.row("SESSION\tUSER\tDEVICE\tREMOTE\tPROTOCOL\tSINCE\tSTATE\tWRITTEN\tUNACKED\tIN FLIGHT\tWAITING")
	for _, s := range sessions {
		t.row("%d\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d", s.Session, s.User, deviceName(s.Device), dash(s.Remote),
			dash(s.Protocol), since(s.SinceMs), s.State, s.Written, s.Unacknowledged, s.InFlight, s.WaitingBytes)
	}
}

func newSessionClose() *cobra.Command {
	var o closeOptions
	cmd := &cobra.Command{
		Use:     "close SESSION",
		Short:   "Close one session, by its number",
		Example: "  callboard session close 17 --reason outdated",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return closeSession(cmd.Context(), &o, args[0], cmd.OutOrStdout())
		},
	}
	o.flags(cmd)
	return cmd
}

func closeSession(ctx context.Context, o *closeOptions, number string, out io.Writer) error {
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return fmt.Errorf("SESSION %q is no number: 'callboard session list' has them", number)
	}
	client, err := o.dial()
	if err != nil {
		return err
	}
	answer, err := client.CloseSession(ctx, &adminv1.CloseSessionRequest{Session: n, Code: o.code, Reason: o.reason})
	if err != nil {
		return o.explained(err)
	}
	return o.print(out, answer, func(t *table) { t.row("session %d of %s closed", n, answer.User) })
}
