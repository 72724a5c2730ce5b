package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// broadcastOptions are the flags of broadcast.
type broadcastOptions struct {
	callerOptions
	to     []string
	toFile string
	as     string
	id     string
}

const (
	// broadcastUsers and broadcastBytes bound the users of one call: the service takes
	// 10,000, and 256 KiB with the content, which may be 64 KiB.
	broadcastUsers = 5000
	broadcastBytes = 96 << 10

	// maxToFile is how many users a file may have; more are more than one file.
	maxToFile = 1_000_000
)

var errInterrupted = exits(exitInterrupted, errors.New("interrupted"))

func newBroadcast() *cobra.Command {
	var o broadcastOptions
	cmd := &cobra.Command{
		Use:   "broadcast [--to USER,USER] [--to-file FILE] TEXT",
		Short: "Send a message to many users of a running service",
		Long: `Send a text to the users that --to and --to-file name, or without them to everybody
who is connected. It is kept in each inbox like any message.

What is cut off can be repeated with the same --id: those who have the message do
not get it again. Without --id one is made, and said at the end.

Exit status 4 says that some users were refused, each with a line on stderr; any other
but 0, that not all were reached ('callboard help exit-codes').`,
		Example: `  callboard broadcast "maintenance"
  callboard broadcast --to 1,2,3 --as ops "hello"
  callboard broadcast --to-file users.txt --id notice-7 "hello"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return sendBroadcast(cmd, &o, args[0])
		},
	}
	o.report(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&o.to, "to", nil, "users who get it")
	f.StringVar(&o.toFile, "to-file", "", "file with a user on each line who gets it; - for standard input")
	f.StringVar(&o.as, "as", "", `user that it is from (default "system")`)
	f.StringVar(&o.id, "id", "", "id of the message; one is made if it is empty")
	return cmd
}

func sendBroadcast(cmd *cobra.Command, o *broadcastOptions, text string) error {
	users, err := o.users(cmd.InOrStdin())
	if err != nil {
		return err
	}
	client, err := o.dial()
	if err != nil {
		return err
	}
	t := tally{
		notes: cmd.ErrOrStderr(), live: isTerminal(cmd.ErrOrStderr()),
		sum: &adminv1.BroadcastResponse{Id: cmp.Or(o.id, rand.Text()), Refused: map[string]uint64{}, Total: uint64(len(users))},
	}
	request := &adminv1.BroadcastRequest{Content: text, Sender: o.as, Id: t.sum.Id, AllConnected: users == nil}
	for first := true; first || len(users) > 0; first = false {
		request.Users, users = cut(users)
		if err := o.stream(cmd.Context(), client, request, &t); err != nil {
			t.clear()
			return fmt.Errorf("%w; %d users have got it, and --id %s reaches the others", err, t.sum.Sent, t.sum.Id)
		}
	}
	t.clear()
	return o.conclude(cmd.OutOrStdout(), t.sum)
}

// users are those that the flags name; nil if they name none.
func (o *broadcastOptions) users(in io.Reader) ([]string, error) {
	for _, id := range o.to {
		if _, err := parseUser("--to", id); err != nil {
			return nil, err
		}
	}
	if o.toFile == "" {
		return o.to, nil
	}
	if o.toFile != "-" {
		file, err := os.Open(o.toFile)
		if err != nil {
			return nil, misused("--to-file: %w; give a file with a user on each line, or -", err)
		}
		defer func() { _ = file.Close() }() // it was only read
		in = file
	}
	users, lines := o.to, bufio.NewScanner(in)
	for number := 1; lines.Scan(); number++ {
		id := strings.TrimSpace(lines.Text())
		if id == "" {
			continue
		}
		if _, err := protocol.ParseUserID(id); err != nil {
			return nil, misused("--to-file %s, line %d: %w", o.toFile, number, err)
		}
		if users = append(users, id); len(users) > maxToFile {
			return nil, misused("--to-file %s: more than %d users: split it, and give the parts one --id", o.toFile, maxToFile)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, misused("--to-file %s: %w; it has a user on each line", o.toFile, err)
	}
	if len(users) == 0 {
		return nil, misused("--to-file %s: there is no user in it; leave it out to reach everybody who is connected", o.toFile)
	}
	return users, nil
}

// cut takes as many users as fit into one call.
func cut(users []string) (now, later []string) {
	bytes := 0
	for i, id := range users {
		if bytes += len(id) + 4; i == broadcastUsers || bytes > broadcastBytes {
			return users[:i], users[i:]
		}
	}
	return users, nil
}

// stream makes one call and adds up what it says.
func (o *broadcastOptions) stream(ctx context.Context, client adminv1.AdminServiceClient, request *adminv1.BroadcastRequest, t *tally) error {
	stream, err := client.Broadcast(ctx, request)
	switch {
	case err != nil && ctx.Err() != nil:
		return errInterrupted
	case err != nil:
		return o.explained(err)
	}
	defer func() { _ = stream.Close() }() // it has said what there is to say
	before, done := snapshot(t.sum), false
	for stream.Receive() {
		t.add(before, stream.Msg())
		done = stream.Msg().Done
	}
	switch err := stream.Err(); {
	case err != nil && ctx.Err() != nil:
		return errInterrupted
	case err != nil:
		return o.explained(err)
	case !done:
		return errors.New("the service ended before it was done: look at its log")
	}
	return nil
}

// conclude prints the sum, and is an error if somebody was refused.
func (o *broadcastOptions) conclude(out io.Writer, sum *adminv1.BroadcastResponse) error {
	refused := uint64(0)
	for _, n := range sum.Refused {
		refused += n
	}
	sum.Done, sum.Total = true, sum.Sent+refused
	err := o.print(out, sum, func(t *table) {
		t.row("sent to %d of %d users, id %s", sum.Sent, sum.Total, printable(sum.Id))
		for _, code := range slices.Sorted(maps.Keys(sum.Refused)) {
			t.row("refused %d: %s", sum.Refused[code], printable(code))
		}
	})
	if err == nil && refused > 0 {
		err = exits(exitRefused, fmt.Errorf("%d of %d users were refused; mend that and repeat it with --id %s, which reaches nobody twice", refused, sum.Total, sum.Id))
	}
	return err
}
