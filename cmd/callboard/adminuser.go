package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"callboard/transport/admin/adminv1"
)

func newUser() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "user",
		Short:   "Look at users of a running service, and act on them",
		Example: "  callboard user list\n  callboard user show 2",

		SuggestionsMinimumDistance: 2,

		Args: unknownCommand,
		RunE: help,
	}
	cmd.AddCommand(newUserList(), newUserShow(), newUserTrace(), newUserClose(), newUserBlock(), newUserUnblock(), newUserForgetDevice(), newUserTrim())
	return cmd
}

// pageRows is how many rows a list asks for at once.
const pageRows = 500

// listRows is how many rows a list has by default.
const listRows = 100

func newUserList() *cobra.Command {
	var o callerOptions
	var prefix string
	var limit int
	var blocked bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the users who are active",
		Long: `List the users who have an actor: those with a session, and those who were just
written to. They are ordered by shard, and by id within one. With --blocked, list those
who may not connect, ordered by id.`,
		Example: "  callboard user list\n  callboard user list --blocked\n  callboard user list --prefix eu- --limit 0 -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case blocked && prefix != "":
				return misused("--prefix does not go with --blocked: leave one of them out")
			case blocked:
				return listBlocked(cmd, &o, limit)
			}
			return listUsers(cmd, &o, prefix, limit)
		},
	}
	o.reportWatched(cmd)
	cmd.Flags().StringVar(&prefix, "prefix", "", "only users whose id begins so")
	cmd.Flags().BoolVar(&blocked, "blocked", false, "list the users who are blocked")
	cmd.Flags().IntVar(&limit, "limit", listRows, "users at most; 0 for all")
	return cmd
}

func listUsers(cmd *cobra.Command, o *callerOptions, prefix string, limit int) error {
	return o.show(cmd, func(ctx context.Context, client adminv1.AdminServiceClient) (proto.Message, func(*table), error) {
		found, token := &adminv1.ListUsersResponse{}, ""
		err := pages(limit, func(rows int) (got int, more bool, err error) {
			page, err := client.ListUsers(ctx, &adminv1.ListUsersRequest{Prefix: prefix, PageSize: uint32(rows), PageToken: token})
			if err != nil {
				return 0, false, err
			}
			found.Users = append(found.Users, page.Users...)
			token, found.NextPageToken = page.NextPageToken, page.NextPageToken
			return len(page.Users), token != "", nil
		})
		return found, func(t *table) { tableOfUsers(t, found) }, err
	})
}

func tableOfUsers(t *table, found *adminv1.ListUsersResponse) {
	t.head("USER\tSTATE\tSHARD\tSESSIONS\tHELD\tRESTARTS")
	for _, u := range found.Users {
		t.row("%s\t%s\t%d\t%d\t%d\t%s", u.User, stateWord(u.State), u.Shard, u.Sessions, u.Held, countWord(u.Restarts))
	}
	if found.NextPageToken != "" {
		t.row("(there are more: --limit 0 shows all)")
	}
}

// pages calls next until there are no more rows or as many as the limit says; 0 is no
// limit.
func pages(limit int, next func(rows int) (got int, more bool, err error)) error {
	if limit < 0 {
		return misused("--limit is %d: give 0 for all, or more", limit)
	}
	for total, more := 0, true; more && (limit == 0 || total < limit); {
		rows := pageRows
		if limit > 0 {
			rows = min(rows, limit-total)
		}
		got, another, err := next(rows)
		if err != nil {
			return err
		}
		total, more = total+got, another
	}
	return nil
}

func newUserShow() *cobra.Command {
	var o callerOptions
	cmd := &cobra.Command{
		Use:   "show USER",
		Short: "Show all there is to know of a user",
		Long: `Show a user's sessions, how far the inbox and each device is, and how the last
sessions ended. Contents of messages are not shown.`,
		Example: "  callboard user show 2 --watch\n  callboard user show 2 -o json | jq .closes",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return showUser(cmd, &o, args[0]) },

		ValidArgsFunction: onlyFirst(o.completeUser()),
	}
	o.reportWatched(cmd)
	return cmd
}

func showUser(cmd *cobra.Command, o *callerOptions, id string) error {
	user, err := parseUser("USER", id)
	if err != nil {
		return err
	}
	return o.show(cmd, func(ctx context.Context, client adminv1.AdminServiceClient) (proto.Message, func(*table), error) {
		found, err := client.GetUser(ctx, &adminv1.GetUserRequest{User: string(user)})
		return found, func(t *table) { tableOfUser(t, found) }, err
	})
}

func tableOfUser(t *table, found *adminv1.GetUserResponse) {
	u, box := found.User, found.Inbox
	t.row("user\t%s\nstate\t%s\nshard\t%d\nrestarts\t%s\nheld\t%d\nqueued\t%d",
		u.User, stateWord(u.State), u.Shard, countWord(u.Restarts), u.Held, found.Queued)
	if b := found.Block; b != nil {
		t.row("blocked\t%s, by %s since %s: %s", until(b.UntilMs), dash(b.By), moment(b.AtMs), dash(b.Reason))
	}
	if box.Unknown != "" {
		t.row("inbox\t%s", badStyle.Render(printable(box.Unknown)))
	} else {
		t.row("head\t%d\nfloor\t%d", box.Head, box.Floor)
	}
	if len(found.Sessions) > 0 {
		t.row("")
		tableOfSessions(t, found.Sessions)
	}
	if len(box.Devices) > 0 {
		t.row("")
		t.head("DEVICE\tCURSOR\tLAG\tSEEN")
		for _, d := range box.Devices {
			t.row("%s\t%d\t%d\t%s", deviceName(d.Name), d.Cursor, d.Lag, moment(d.SeenMs))
		}
	}
	if len(found.Closes) > 0 {
		t.row("")
		t.head("CLOSED\tSESSION\tDEVICE\tBY\tCODE\tREASON\tREMOTE")
		for _, c := range found.Closes {
			by := "service"
			switch {
			case c.ByClient:
				by = "client"
			case c.Code == 1006: // nobody closed it: it broke
				by = ""
			}
			t.row("%s\t%d\t%s\t%s\t%d\t%s\t%s", moment(c.AtMs), c.Session, deviceName(c.Device), dash(by), c.Code,
				dash(c.Reason), dash(c.Remote))
		}
	}
}

// closeOptions are the flags of the commands that close sessions.
type closeOptions struct {
	callerOptions
	code   uint32
	reason string
}

func (o *closeOptions) flags(cmd *cobra.Command) {
	o.report(cmd)
	cmd.Flags().Uint32Var(&o.code, "code", 0, "close code, 0 for 4003 (closed_by_operator); clients do not come back after that one")
	cmd.Flags().StringVar(&o.reason, "reason", "", "what the client is told, at most 123 bytes")
}

func newUserClose() *cobra.Command {
	var o closeOptions
	var device string
	cmd := &cobra.Command{
		Use:   "close USER",
		Short: "Close the sessions of a user",
		Long: `Close all sessions of a user, or those of one device. Messages stay in the inbox,
and the user may connect again. A device without a session is not found; a user
without one is closed already.`,
		Example: "  callboard user close 2\n  callboard user close 2 --device phone --code 4003 --reason lost",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &adminv1.CloseUserRequest{User: args[0], Code: o.code, Reason: o.reason}
			if cmd.Flags().Changed("device") {
				request.Device = &device
			}
			return closeUser(cmd.Context(), &o.callerOptions, request, cmd.OutOrStdout())
		},

		ValidArgsFunction: onlyFirst(o.completeUser()),
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&device, "device", "", "only the sessions of this device; empty is the nameless one")
	return cmd
}

func closeUser(ctx context.Context, o *callerOptions, request *adminv1.CloseUserRequest, out io.Writer) error {
	if _, err := parseUser("USER", request.User); err != nil {
		return err
	}
	client, err := o.dial()
	if err != nil {
		return err
	}
	answer, err := client.CloseUser(ctx, request)
	if err != nil {
		return o.explained(err)
	}
	if request.Device != nil && answer.Sessions == 0 {
		return exits(exitNotFound, fmt.Errorf("%s has no session of the device %q that could be closed: 'callboard session list --user %s' shows those there are",
			request.User, *request.Device, request.User))
	}
	return o.print(out, answer, func(t *table) { t.row("%d sessions of %s closed", answer.Sessions, request.User) })
}
