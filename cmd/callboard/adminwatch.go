package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"callboard/actors"
	"callboard/transport/admin/adminv1"
)

func newWatch() *cobra.Command {
	var o callerOptions
	request := &adminv1.WatchRequest{}
	var kinds strings.Builder
	for _, kind := range actors.EventKinds() {
		kinds.WriteString("\n  " + columns([]int{15}, string(kind.Kind), kind.Meaning))
	}
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Watch what happens on a running service",
		Long: `Show who comes and goes, what fails and which limits are hit, as it happens, until it is
interrupted. With -o json each is an object on a line of its own, with -o yaml a
document.

The service does not wait for whoever watches: what could not be shown in time is
counted, and said where it is missing.

Kinds:` + kinds.String(),
		Example: "  callboard watch\n  callboard watch --kind session_closed,limit_hit --user eu-\n  callboard watch --code slow_consumer -o json | jq -r .event.user",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f := following[adminv1.WatchResponse]{
				o: &o, out: cmd.OutOrStdout(), notes: cmd.ErrOrStderr(),
				call: func(ctx context.Context, client adminv1.AdminServiceClient) (*connect.ServerStreamForClient[adminv1.WatchResponse], error) {
					return client.Watch(ctx, request)
				},
				of:     func(r *adminv1.WatchResponse) news { return r },
				header: columns(eventWidths, "TIME", "KIND", "USER", "SESSION", "DEVICE", "REMOTE", "CODE", "REASON"),
				line:   func(r *adminv1.WatchResponse) string { return eventLine(r.GetEvent()) },
			}
			return f.follow(cmd.Context())
		},
	}
	o.report(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&request.Kinds, "kind", nil, "only these kinds; may be repeated")
	f.StringVar(&request.UserPrefix, "user", "", "only users whose id begins so")
	f.StringSliceVar(&request.Codes, "code", nil, "only these codes, as words or as close codes, like slow_consumer or 4001; may be repeated")
	completion := func(*cobra.Command, []string, string) (words []string, directive cobra.ShellCompDirective) {
		for _, kind := range actors.EventKinds() {
			words = append(words, string(kind.Kind)+"\t"+kind.Meaning)
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc("kind", completion); err != nil {
		panic("there is no flag --kind: " + err.Error()) // it was made just now
	}
	return cmd
}

var eventWidths = []int{12, 14, 16, 7, 10, 21, 18, 0}

func eventLine(e *adminv1.Event) string {
	code := e.GetCode()
	if e.GetCloseCode() != 0 {
		code = strings.TrimSuffix(strconv.Itoa(int(e.GetCloseCode()))+" "+code, " ")
	}
	device := dash(e.GetDevice())
	return columns(eventWidths, clock(time.UnixMilli(e.GetAtMs()), "15:04:05.000"), printable(e.GetKind()), dash(e.GetUser()),
		number(e.GetSession()), device, dash(e.GetRemote()), dash(code), printable(e.GetReason()))
}
