package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"callboard/transport/admin/adminv1"
)

func newUserForgetDevice() *cobra.Command {
	var o callerOptions
	var force bool
	cmd := &cobra.Command{
		Use:   "forget-device USER DEVICE",
		Short: "Forget a device of a user, and how far it is",
		Long: `Remove a device and its cursor. When it comes back it is new, and gets all that is in
the inbox. "" is the nameless device. One that is connected is refused, but for --force,
which closes its sessions.`,
		Example: "  callboard user forget-device 2 old-phone",
		Args:    cobra.ExactArgs(2),

		ValidArgsFunction: onlyFirst(o.completeUser()),

		RunE: func(cmd *cobra.Command, args []string) error {
			request := &adminv1.ForgetDeviceRequest{User: args[0], Device: args[1], Force: force}
			return forgetDevice(cmd.Context(), &o, request, cmd.OutOrStdout())
		},
	}
	o.report(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "close its sessions, if it is connected")
	return cmd
}

func forgetDevice(ctx context.Context, o *callerOptions, request *adminv1.ForgetDeviceRequest, out io.Writer) error {
	if _, err := parseUser("USER", request.User); err != nil {
		return err
	}
	client, err := o.dial()
	if err != nil {
		return err
	}
	answer, err := client.ForgetDevice(ctx, request)
	if err != nil {
		return o.explained(err)
	}
	return o.print(out, answer, func(t *table) {
		t.row("device %s of %s forgotten, it had %d; %d sessions closed",
			deviceName(request.Device), request.User, answer.Cursor, answer.Sessions)
	})
}

func newUserTrim() *cobra.Command {
	var o callerOptions
	var through uint64
	var yes bool
	cmd := &cobra.Command{
		Use:   "trim USER --through SEQ",
		Short: "Remove the oldest messages of an inbox, for good",
		Long: `Remove the messages of an inbox up to a number, which 'callboard user show' puts into
place. So room is made in one that is full (inbox_full), without a restart.

If some device has not had all of them, or nobody has, nothing is removed and the
command says what would be lost; with --yes it goes, and these devices are told of the
gap.`,
		Example: "  callboard user trim 2 --through 5000\n  callboard user trim 2 --through 5000 --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &adminv1.TrimInboxRequest{User: args[0], Through: through, Unseen: yes}
			return trimInbox(cmd.Context(), &o, request, cmd.OutOrStdout())
		},

		ValidArgsFunction: onlyFirst(o.completeUser()),
	}
	o.report(cmd)
	cmd.Flags().Uint64Var(&through, "through", 0, "number of the last message to go")
	cmd.Flags().BoolVar(&yes, "yes", false, "also what some device has not had, or nobody")
	return cmd
}

func trimInbox(ctx context.Context, o *callerOptions, request *adminv1.TrimInboxRequest, out io.Writer) error {
	if _, err := parseUser("USER", request.User); err != nil {
		return err
	}
	if request.Through == 0 {
		return misused("--through is missing: give the number of the last message to go; 'callboard user show %s' has floor and head", request.User)
	}
	client, err := o.dial()
	if err != nil {
		return err
	}
	answer, err := client.TrimInbox(ctx, request)
	if err != nil {
		if err = o.explained(err); refusedAs(err, "unseen") {
			err = fmt.Errorf("%w; --yes does that", err)
		}
		return err
	}
	return o.print(out, answer, func(t *table) {
		t.row("%d messages of %s removed, up to %d", answer.Removed, request.User, answer.Floor)
		if answer.SeenByNobody > 0 {
			t.row("no device has had %d of them", answer.SeenByNobody)
		}
		for _, u := range answer.Unseen {
			t.row("device %s has not had %d", deviceName(u.Device), u.Messages)
		}
	})
}
