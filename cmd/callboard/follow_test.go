package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"callboard/cmd/callboard/config"
	"callboard/transport/admin/adminv1"
)

// mute is a service that says one heartbeat, and what it has, and then nothing more.
type mute struct {
	adminv1.UnimplementedAdminServiceHandler
	says []*adminv1.WatchResponse
}

func (m *mute) Watch(ctx context.Context, _ *adminv1.WatchRequest, to *connect.ServerStream[adminv1.WatchResponse]) error {
	for _, news := range m.says {
		if err := to.Send(news); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// follow runs 'callboard watch' against a service that is made up.
func follow(t *testing.T, service adminv1.AdminServiceHandler, args ...string) (printed string, err error) {
	t.Helper()
	t.Setenv(config.TokenVariable, "secret")
	_, handler := adminv1.NewAdminServiceHandler(service)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	var out bytes.Buffer
	cmd := newCommand()
	cmd.SetArgs(append([]string{"watch", "--admin", server.URL}, args...))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err = cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestServiceThatFallsSilentIsTakenForDead(t *testing.T) {
	_, err := follow(t, &mute{says: []*adminv1.WatchResponse{
		{News: &adminv1.WatchResponse_Heartbeat{Heartbeat: &adminv1.Heartbeat{EveryMs: 100}}},
	}})
	if err == nil || !strings.Contains(err.Error(), "nothing is heard") || !strings.Contains(err.Error(), "callboard stats") {
		t.Errorf("%v", err)
	}
}

func TestWatchSaysWhatIsMissingWhereItIs(t *testing.T) {
	beat := &adminv1.WatchResponse{News: &adminv1.WatchResponse_Heartbeat{Heartbeat: &adminv1.Heartbeat{EveryMs: 60_000}}}
	event := func(user string) *adminv1.WatchResponse {
		return &adminv1.WatchResponse{News: &adminv1.WatchResponse_Event{Event: &adminv1.Event{Kind: "limit_hit", User: user, Reason: "a\x1b[2Jb"}}}
	}
	service := &mute{says: []*adminv1.WatchResponse{
		beat, event("first"), {News: &adminv1.WatchResponse_Missed{Missed: &adminv1.Missed{Count: 7}}}, event("second"), beat,
		{News: &adminv1.WatchResponse_End{End: &adminv1.End{Code: "time_is_up", Reason: "enough"}}},
	}}
	out, err := follow(t, service)
	lines := strings.Split(out, "\n")
	if err != nil || len(lines) != 6 || !strings.Contains(lines[1], "first") || !strings.HasPrefix(lines[2], "(missed: 7,") ||
		!strings.Contains(lines[3], "second") || lines[4] != "time_is_up: enough" || strings.Contains(out, "\x1b") {
		t.Errorf("%q, %v", lines, err)
	}
	out, err = follow(t, service, "-o", "json")
	if lines = strings.Split(out, "\n"); err != nil || len(lines) != 6 || lines[1] != `{"missed":{"count":"7"}}` {
		t.Errorf("%q, %v", lines, err)
	}
}

// How a connection ends depends on what the service had read of it when it died: what is said does not.
func TestServiceThatDiesInACallHasGoneAway(t *testing.T) {
	t.Setenv(config.TokenVariable, "secret")
	for name, end := range map[string]func(conn net.Conn, spoken string) error{
		"closed": func(net.Conn, string) error { return nil },
		"reset":  func(conn net.Conn, _ string) error { return conn.(*net.TCPConn).SetLinger(0) },
		"within the answer": func(conn net.Conn, spoken string) error {
			_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: "+spoken+"\r\nContent-Length: 100\r\n\r\nhalf")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = listener.Close() })
			go func() { // ends with the listener
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					request, err := http.ReadRequest(bufio.NewReader(conn))
					if err == nil {
						err = end(conn, request.Header.Get("Content-Type"))
					}
					if err = errors.Join(err, conn.Close()); err != nil {
						t.Errorf("the service: %v", err)
					}
				}
			}()
			for command, words := range map[string]string{"stats": "went away before its answer was complete", "watch": "broke"} {
				cmd := newCommand()
				cmd.SetArgs([]string{command, "--admin", "http://" + listener.Addr().String()})
				cmd.SetOut(io.Discard)
				cmd.SetErr(io.Discard)
				if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), words) || statusOf(err) != exitUnavailable {
					t.Errorf("%s says %v", command, err)
				}
			}
		})
	}
}
