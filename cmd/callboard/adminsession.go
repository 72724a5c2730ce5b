package main

import (
	"context"
	"io"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

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
			return listSessions(cmd, &o, user, limit)
		},
	}
	o.reportWatched(cmd)
	cmd.Flags().StringVar(&user, "user", "", "only those of this user")
	_ = cmd.RegisterFlagCompletionFunc("user", o.completeUser()) // it fails for a flag that there is not
	cmd.Flags().IntVar(&limit, "limit", listRows, "sessions at most; 0 for all")
	return cmd
}

func listSessions(cmd *cobra.Command, o *callerOptions, user string, limit int) error {
	return o.show(cmd, func(ctx context.Context, client adminv1.AdminServiceClient) (proto.Message, func(*table), error) {
		found, token := &adminv1.ListSessionsResponse{}, ""
		err := pages(limit, func(rows int) (got int, more bool, err error) {
			page, err := client.ListSessions(ctx, &adminv1.ListSessionsRequest{User: user, PageSize: uint32(rows), PageToken: token})
			if err != nil {
				return 0, false, err
			}
			found.Sessions = append(found.Sessions, page.Sessions...)
			token, found.NextPageToken = page.NextPageToken, page.NextPageToken
			return len(page.Sessions), token != "", nil
		})
		return found, func(t *table) {
			tableOfSessions(t, found.Sessions)
			if found.NextPageToken != "" {
				t.row("(there are more: --limit 0 shows all)")
			}
		}, err
	})
}

func tableOfSessions(t *table, sessions []*adminv1.Session) {
	t.head("SESSION\tUSER\tDEVICE\tSTATE\tSINCE\tUNACKED\tIN FLIGHT\tWAITING\tWRITTEN\tPROTOCOL\tREMOTE")
	for _, s := range sessions {
		t.row("%d\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%d\t%s\t%s", s.Session, s.User, deviceName(s.Device), sessionState(s), since(s.SinceMs),
			s.Unacknowledged, s.InFlight, size(s.WaitingBytes), s.Written, dash(s.Protocol), dash(s.Remote))
	}
}

// sessionState is a session's state, or that its network takes no more.
func sessionState(s *adminv1.Session) string {
	if s.Stalled {
		return stateWord("stalled")
	}
	return stateWord(s.State)
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

		ValidArgsFunction: onlyFirst(o.completeSession()),
	}
	o.flags(cmd)
	return cmd
}

func closeSession(ctx context.Context, o *closeOptions, number string, out io.Writer) error {
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return misused("SESSION %q is no number: 'callboard session list' has them", number)
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
