package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"

	"callboard/cmd/callboard/config"
	"callboard/protocol"
	"callboard/transport/client"
)

// userOptions are the flags of the commands that are users of the service.
type userOptions struct {
	url   string
	as    string
	trust trustOptions
	token string
}

func (o *userOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.url, "url", "ws://127.0.0.1:8080", "address of the service, ws://host:port or wss://host:port")
	cmd.Flags().StringVar(&o.as, "as", "", "user id to connect as")
	o.trust.flags(cmd.Flags())
	cmd.Flags().StringVar(&o.token, "token", "", "token that says who connects, where the service wants one, or @FILE to read it for each connection; or else "+config.TokenVariable)
}

// dial connects to the service. Once that has been possible, the client connects
// again by itself.
func (o *userOptions) dial(ctx context.Context, config client.Config) (*client.Client, error) {
	user, err := parseClient("--as", o.as)
	if err != nil {
		return nil, err
	}
	if err := checkURL(o.url); err != nil {
		return nil, err
	}
	if config.TLS, err = o.trust.tls(); err != nil {
		return nil, err
	}
	if config.Token, err = o.userToken(); err != nil {
		return nil, err
	}
	c, err := client.Dial(ctx, o.url, user, config)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w; start it there with 'callboard serve', or give another address with --url", err)
	}
	if refused, ok := errors.AsType[*client.RefusedError](err); ok && refused.Status == http.StatusBadRequest && refused.Code == "" {
		return nil, misused("%w; if the service speaks TLS there, give the address with wss://", err)
	}
	if refused, ok := errors.AsType[*client.RefusedError](err); ok && advice(refused.Code) == "" {
		return nil, fmt.Errorf("%w; is this where the users of a callboard connect? --url gives another address", err)
	}
	if action := distrusted(err); action != "" {
		return nil, exits(exitNotAllowed, fmt.Errorf("%w; %s", err, action))
	}
	if err != nil {
		return nil, advised(err)
	}
	return c, nil
}

// checkURL is for the address of a service, as --url has it.
func checkURL(address string) error {
	if u, err := url.Parse(address); err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		return misused("--url %q: give ws://host:port or wss://host:port, like ws://127.0.0.1:8080", address)
	}
	return nil
}

// watch says when the connection is there, if there is something to be said then, and
// when it is lost, once for each time; until the context is done or the client ends.
func (o *userOptions) watch(ctx context.Context, c *client.Client, notes io.Writer, connected string) {
	lost, epoch := false, uint32(0)
	for s := range c.States(ctx) {
		switch {
		case s.Phase == client.Connected:
			lost = false
			if connected != "" && epoch != 0 && s.Session.Epoch != epoch {
				_, _ = fmt.Fprintf(notes, "the inbox of %s was begun anew or put back from a backup: messages may come again\n", o.as)
			}
			epoch = s.Session.Epoch
			if connected != "" {
				_, _ = fmt.Fprintln(notes, connected) // who has closed stderr wants none
			}
		case s.Phase == client.Disconnected && !lost:
			lost = true
			_, _ = fmt.Fprintf(notes, "connection lost: %s; connecting again\n", printable(s.Err.Error()))
		}
	}
}

// parseClient reads the user id that a flag has, for somebody who connects as it.
func parseClient(flag, value string) (protocol.UserID, error) {
	if _, err := protocol.ParseClientID(value); value == string(protocol.System) {
		return "", misused("%s %q: %w", flag, value, err)
	}
	return parseUser(flag, value)
}

// parseUser reads the user id that a flag has.
func parseUser(flag, value string) (protocol.UserID, error) {
	if value == "" {
		return "", misused("%s is missing: give a user id, like %s 2", flag, flag)
	}
	id, err := protocol.ParseUserID(value)
	if err != nil {
		return "", misused("%s %q: %w", flag, value, err)
	}
	return id, nil
}

// advised adds to an error with a code what the table of codes says to do, if the service
// has not said it.
func advised(err error) error {
	if action := advice(codeOf(err)); action != "" && !saysWhatToDo(reasonOf(err)) {
		return fmt.Errorf("%w; %s", err, action)
	}
	return err
}

// saysWhatToDo is whether a reason of the service has its remedy behind it.
func saysWhatToDo(reason string) bool { return strings.Contains(reason, "; ") }

// reasonOf is the service's reason for a refusal; empty if it refused nothing.
func reasonOf(err error) string {
	if refused, ok := errors.AsType[*client.RefusedError](err); ok {
		return refused.Reason
	}
	if failed, ok := errors.AsType[*client.SendError](err); ok {
		return failed.Reason
	}
	return ""
}

// advice is what the table of codes says to do about a code, in the middle of a
// line; empty if it does not know the code.
func advice(code protocol.ErrorCode) string {
	for _, row := range protocol.Codes() {
		if row.Code == code {
			first, rest := row.Action[:1], row.Action[1:]
			return strings.ToLower(first) + strings.TrimSuffix(rest, ".")
		}
	}
	return ""
}

// printable is a text on one line of a terminal: others may write what they like,
// and could otherwise forge lines or move the cursor.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			quoted := fmt.Sprintf("%+q", string(r))
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
