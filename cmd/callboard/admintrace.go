package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"callboard/actors"
	"callboard/transport/admin/adminv1"
)

// traceOptions are the flags of trace.
type traceOptions struct {
	callerOptions
	contents bool
	lasts    time.Duration
}

func newUserTrace() *cobra.Command {
	var o traceOptions
	var kinds strings.Builder
	for _, kind := range actors.HopKinds() {
		kinds.WriteString("\n  " + columns([]int{12}, string(kind.Kind), kind.Meaning))
	}
	cmd := &cobra.Command{
		Use:   "trace USER",
		Short: "Follow each message that a user sends or is sent, hop by hop",
		Long: `Show the hops of the messages that a user sends and is sent, as they happen, until it is
interrupted: what became of each message, and when. The user need not be there, and may
come and go. With -o json each hop is an object on a line of its own,
with -o yaml a document.

Contents are shown only with --contents, which takes an admin's token. Who traced whom is
in the service's log.

Hops:` + kinds.String(),
		Example: "  callboard user trace 2\n  callboard user trace 2 --for 1m -o json | jq -r 'select(.hop.kind == \"refused\") | .hop.code'",
		Args:    cobra.ExactArgs(1),

		ValidArgsFunction: onlyFirst(o.completeUser()),

		RunE: func(cmd *cobra.Command, args []string) error {
			user, err := parseUser("USER", args[0])
			if err != nil {
				return err
			}
			if o.lasts < 0 || o.lasts > 0 && o.lasts < time.Millisecond {
				return misused("--for is %s: give a time like 1m, or 0 for as long as may be", o.lasts)
			}
			return traceUser(cmd, &o, &adminv1.TraceRequest{
				User: string(user), Contents: o.contents, ForMs: uint64(o.lasts.Milliseconds()),
			})
		},
	}
	o.report(cmd)
	cmd.Flags().BoolVar(&o.contents, "contents", false, "show the texts too")
	cmd.Flags().DurationVar(&o.lasts, "for", 0, "end after this time; 0 for an hour, which is the longest")
	return cmd
}

func traceUser(cmd *cobra.Command, o *traceOptions, request *adminv1.TraceRequest) error {
	f := following[adminv1.TraceResponse]{
		o: &o.callerOptions, out: cmd.OutOrStdout(), notes: cmd.ErrOrStderr(),
		call: func(ctx context.Context, client adminv1.AdminServiceClient) (*connect.ServerStreamForClient[adminv1.TraceResponse], error) {
			return client.Trace(ctx, request)
		},
		of:     func(r *adminv1.TraceResponse) news { return r },
		header: columns(hopWidths, "TIME", "FROM", "TO", "SEQ", "HOP", "SESSION", "DEVICE", "BYTES", "ID", "WHAT"),
		line:   func(r *adminv1.TraceResponse) string { return hopLine(r.GetHop()) },
	}
	return f.follow(cmd.Context())
}

var hopWidths = []int{15, 12, 12, 6, 12, 7, 10, 5, 28, 0}

func hopLine(h *adminv1.Hop) string {
	var what []string
	for _, word := range []string{h.GetCode(), h.GetReason()} {
		if word != "" {
			what = append(what, printable(word))
		}
	}
	if h != nil && h.Content != nil {
		what = append(what, `"`+printable(*h.Content)+`"`)
	}
	return columns(hopWidths, clock(time.UnixMicro(h.GetAtUs()), "15:04:05.000000"), dash(h.GetSender()), dash(h.GetReceiver()),
		number(h.GetSeq()), printable(h.GetKind()), number(h.GetSession()), dash(h.GetDevice()), fmt.Sprint(h.GetSize()), dash(h.GetId()), strings.Join(what, ": "))
}
