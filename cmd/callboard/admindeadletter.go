package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"callboard/transport/admin/adminv1"
)

func newDeadletter() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deadletter",
		Short: "Look at messages that the service fails on, and send them on",
		Long: `A message on which the actor of its receiver has failed twice is set aside, so that the
user goes on; its sender is told poisoned. What is set aside survives restarts; with
1,000 messages or 16 MiB the oldest go.`,
		Example: "  callboard deadletter list\n  callboard deadletter show 3",

		SuggestionsMinimumDistance: 2,

		Args: unknownCommand,
		RunE: help,
	}
	cmd.AddCommand(newDeadletterList(), newDeadletterShow(), newDeadletterRetry(), newDeadletterDrop())
	return cmd
}

func newDeadletterList() *cobra.Command {
	var o callerOptions
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the messages that are set aside, the oldest first",
		Example: "  callboard deadletter list\n  callboard deadletter list --limit 0 -o json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return listDeadletters(cmd, &o, limit) },
	}
	o.reportWatched(cmd)
	cmd.Flags().IntVar(&limit, "limit", listRows, "messages at most; 0 for all")
	return cmd
}

func listDeadletters(cmd *cobra.Command, o *callerOptions, limit int) error {
	return o.show(cmd, func(ctx context.Context, client adminv1.AdminServiceClient) (proto.Message, func(*table), error) {
		found, token := &adminv1.ListDeadlettersResponse{}, ""
		err := pages(limit, func(rows int) (got int, more bool, err error) {
			page, err := client.ListDeadletters(ctx, &adminv1.ListDeadlettersRequest{PageSize: uint32(rows), PageToken: token})
			if err != nil {
				return 0, false, err
			}
			found.Deadletters = append(found.Deadletters, page.Deadletters...)
			token, found.NextPageToken = page.NextPageToken, page.NextPageToken
			found.Total, found.Bytes = page.Total, page.Bytes
			return len(page.Deadletters), token != "", nil
		})
		return found, func(t *table) { tableOfDeadletters(t, found) }, err
	})
}

func tableOfDeadletters(t *table, found *adminv1.ListDeadlettersResponse) {
	t.head("NUMBER\tSET ASIDE\tSENDER\tRECEIVER\tID\tBYTES\tCRASHES\tREASON")
	for _, l := range found.Deadletters {
		t.row("%d\t%s\t%s\t%s\t%s\t%d\t%d\t%s", l.Number, moment(l.AtMs), printable(l.Sender), printable(l.Receiver), dash(l.Id), l.Size, l.Crashes, dash(l.Reason))
	}
	if found.NextPageToken != "" {
		t.row("(%d of %d: --limit 0 shows all)", len(found.Deadletters), found.Total)
	}
}

func newDeadletterShow() *cobra.Command {
	var o callerOptions
	var content bool
	cmd := &cobra.Command{
		Use:   "show NUMBER",
		Short: "Show one that is set aside, with the stack of the failure",
		Long: `Show a message that is set aside, why its receiver's actor failed on it, and where. With
--content, show its text instead of the stack; this takes the role admin, and the audit
log has it.`,
		Example: "  callboard deadletter show 3\n  callboard deadletter show 3 --content",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := parseNumber(args[0])
			if err != nil {
				return err
			}
			return showDeadletter(cmd, &o, number, content)
		},
	}
	o.report(cmd)
	cmd.Flags().BoolVar(&content, "content", false, "show the text of the message")
	return cmd
}

func showDeadletter(cmd *cobra.Command, o *callerOptions, number uint64, content bool) error {
	client, err := o.dial()
	if err != nil {
		return err
	}
	if content {
		answer, err := client.ReadDeadletter(cmd.Context(), &adminv1.ReadDeadletterRequest{Number: number})
		if err != nil {
			return o.explained(err)
		}
		return o.print(cmd.OutOrStdout(), answer, func(t *table) {
			rowsOfDeadletter(t, answer.Deadletter)
			t.row("content\t%s", printable(answer.Content))
		})
	}
	answer, err := client.GetDeadletter(cmd.Context(), &adminv1.GetDeadletterRequest{Number: number})
	if err != nil {
		return o.explained(err)
	}
	return o.print(cmd.OutOrStdout(), answer, func(t *table) {
		rowsOfDeadletter(t, answer.Deadletter)
		t.row("")
		for line := range strings.SplitSeq(strings.TrimSpace(answer.Stack), "\n") {
			t.row("%s", printable(strings.ReplaceAll(line, "\t", "    ")))
		}
	})
}

func rowsOfDeadletter(t *table, l *adminv1.Deadletter) {
	t.row("number\t%d\nset aside\t%s\nsender\t%s\nreceiver\t%s\nid\t%s", l.Number, moment(l.AtMs), printable(l.Sender), printable(l.Receiver), dash(l.Id))
	t.row("bytes\t%d\ncrashes\t%d\nreason\t%s", l.Size, l.Crashes, dash(l.Reason))
}

func newDeadletterRetry() *cobra.Command {
	var o callerOptions
	cmd := &cobra.Command{
		Use:   "retry NUMBER...",
		Short: "Send messages that are set aside once more, as their senders did",
		Long: `Send messages that are set aside once more, under the names and ids of their senders, and
drop them when they are kept. One that the service fails on again stays under its number.`,
		Example: "  callboard deadletter retry 3 4",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			numbers, err := parseNumbers(args)
			if err != nil {
				return err
			}
			return retryDeadletters(cmd, &o, numbers)
		},
	}
	o.report(cmd)
	return cmd
}

// retryDeadletters goes on after one that is refused: the others may do better.
func retryDeadletters(cmd *cobra.Command, o *callerOptions, numbers []uint64) error {
	client, err := o.dial()
	if err != nil {
		return err
	}
	var failed []error
	for _, number := range numbers {
		answer, err := client.RetryDeadletter(cmd.Context(), &adminv1.RetryDeadletterRequest{Number: number})
		if err != nil {
			failed = append(failed, fmt.Errorf("message %d: %w", number, o.explained(err)))
			continue
		}
		if err := o.print(cmd.OutOrStdout(), answer, func(t *table) {
			if answer.Seq == 0 {
				t.row("message %d is kept", number)
			} else {
				t.row("message %d is kept, at %d of its receiver's inbox", number, answer.Seq)
			}
		}); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

func newDeadletterDrop() *cobra.Command {
	var o callerOptions
	var all bool
	cmd := &cobra.Command{
		Use:     "drop NUMBER... | --all",
		Short:   "Remove messages that are set aside, for good",
		Example: "  callboard deadletter drop 3 4\n  callboard deadletter drop --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			numbers, err := parseNumbers(args)
			if err != nil {
				return err
			}
			if all == (len(numbers) > 0) {
				return misused("give the numbers of messages, or --all: 'callboard deadletter list' has the numbers")
			}
			return dropDeadletters(cmd, &o, &adminv1.DropDeadlettersRequest{Numbers: numbers, All: all})
		},
	}
	o.report(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all there are")
	return cmd
}

func dropDeadletters(cmd *cobra.Command, o *callerOptions, request *adminv1.DropDeadlettersRequest) error {
	client, err := o.dial()
	if err != nil {
		return err
	}
	answer, err := client.DropDeadletters(cmd.Context(), request)
	if err != nil {
		return o.explained(err)
	}
	return o.print(cmd.OutOrStdout(), answer, func(t *table) { t.row("%d messages dropped", answer.Dropped) })
}

func parseNumbers(args []string) (numbers []uint64, err error) {
	for _, arg := range args {
		number, err := parseNumber(arg)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
}

func parseNumber(arg string) (uint64, error) {
	number, err := strconv.ParseUint(arg, 10, 64)
	if err != nil || number == 0 {
		return 0, misused("NUMBER %q: give the number that 'callboard deadletter list' shows", arg)
	}
	return number, nil
}
