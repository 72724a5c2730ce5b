package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport"
	"callboard/transport/client"
)

// serve runs the real service until stop is called or the test ends.
func serve(t *testing.T, config transport.Config) (address string, stop func()) {
	t.Helper()
	system, err := actors.New(actors.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := transport.New(system, config)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- server.Serve(ctx, listener, time.Second) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := system.Stop(limit); err != nil {
			t.Error(err)
		}
		server.Wait()
	})
	return "ws://" + listener.Addr().String(), stop
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T, address string, user protocol.UserID) *client.Client {
	t.Helper()
	c := redial(t, address, user)
	t.Cleanup(func() { _ = c.Close(context.Background()) }) // the test has what it wanted
	return c
}

// redial waits until the service is ready.
func redial(t *testing.T, address string, user protocol.UserID) *client.Client {
	t.Helper()
	ctx := within(t)
	for {
		c, err := client.Dial(ctx, address, user)
		if refused, ok := errors.AsType[*client.RefusedError](err); ok && refused.Code == protocol.CodeDraining {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// impostor serves WebSockets that are not Callboard's.
func impostor(t *testing.T, talk func(ws *websocket.Conn)) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var upgrader websocket.Upgrader
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		talk(ws)
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

func TestMessagesArriveInOrder(t *testing.T) {
	address, _ := serve(t, transport.Config{})
	sender, receiver := dial(t, address, "1"), dial(t, address, "anna@example.org")

	for i := range 100 {
		if err := sender.Send(within(t), "anna@example.org", fmt.Sprint(i), fmt.Sprint("m-", i)); err != nil {
			t.Fatal(err)
		}
	}

	for i := range 100 {
		m, err := receiver.Receive(within(t))
		if err != nil {
			t.Fatal(err)
		}
		got, ok := m.(*protocol.Receive)
		if !ok || got.Sender != "1" || got.Content != fmt.Sprint(i) {
			t.Fatalf("message %d is %v", i, m)
		}
	}
}

func TestLongestMessageArrives(t *testing.T) {
	address, _ := serve(t, transport.Config{})
	sender, receiver := dial(t, address, "1"), dial(t, address, "2")
	frame := protocol.AppendJSON(nil, &protocol.Send{Receiver: "2"})
	longest := strings.Repeat("x", protocol.MaxFrameBytes-len(frame))

	err := sender.Send(within(t), "2", longest+"x", "")
	if refused, ok := errors.AsType[*protocol.FrameError](err); !ok || refused.Code != protocol.CodeTooLarge {
		t.Errorf("one byte more than the limit: %v", err)
	}

	if err := sender.Send(within(t), "2", longest, ""); err != nil {
		t.Fatal(err)
	}
	m, err := receiver.Receive(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.(*protocol.Receive); got.Content != longest {
		t.Errorf("%d bytes came of %d", len(got.Content), len(longest))
	}
}

func TestRefusalNamesTheMessage(t *testing.T) {
	address, _ := serve(t, transport.Config{})
	sender := dial(t, address, "1")

	if err := sender.Send(within(t), "absent", "hello", "m-1"); err != nil {
		t.Fatal(err)
	}

	m, err := sender.Receive(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if refusal, ok := m.(*protocol.Error); !ok || refusal.Id != "m-1" || refusal.Code != string(protocol.CodeNotConnected) {
		t.Errorf("the answer is %v", m)
	}
}

func TestSendRefusesWhatTheServerWould(t *testing.T) {
	address, _ := serve(t, transport.Config{})
	sender := dial(t, address, "1")
	for name, message := range map[string]struct {
		receiver    protocol.UserID
		content, id string
		want        protocol.ErrorCode
	}{
		"receiver": {"a b", "hello", "", protocol.CodeInvalidUserID},
		"id":       {"2", "hello", "\n", protocol.CodeInvalidMessage},
		"content":  {"2", "\xff", "", protocol.CodeInvalidUTF8},
	} {
		err := sender.Send(within(t), message.receiver, message.content, message.id)
		if refused, ok := errors.AsType[*protocol.FrameError](err); !ok || refused.Code != message.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefusedHandshakeHasCodeAndReason(t *testing.T) {
	address, _ := serve(t, transport.Config{MaxConnections: 1})
	dial(t, address, "1")

	_, err := client.Dial(within(t), address, "2")

	refused, ok := errors.AsType[*client.RefusedError](err)
	if !ok || refused.Status != http.StatusServiceUnavailable || refused.Code != protocol.CodeTooManyConnections ||
		refused.Reason == "" || refused.RetryAfter != 5*time.Second {
		t.Errorf("%#v", err)
	}
}

func TestHandshakeRefusedByAnotherServer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()

	_, err := client.Dial(within(t), "ws"+strings.TrimPrefix(server.URL, "http"), "1")

	if refused, ok := errors.AsType[*client.RefusedError](err); !ok || refused.Status != http.StatusNotFound || refused.Code != "" {
		t.Errorf("%#v", err)
	}
}

func TestDialWantsTheAddressOfAServer(t *testing.T) {
	for _, address := range []string{"", "127.0.0.1:8080", "http://127.0.0.1", "ws://", "ws://h?q", "ws://u@h", "ws://h#f", "ws://h/%zz"} {
		if c, err := client.Dial(within(t), address, "1"); err == nil {
			_ = c.Close(context.Background()) // it should not be there at all
			t.Errorf("%q was dialled", address)
		} else if !strings.Contains(err.Error(), "ws://127.0.0.1:8080") {
			t.Errorf("%q: %v has no example", address, err)
		}
	}
	if _, err := client.Dial(within(t), "ws://127.0.0.1:1", "a/b"); err == nil {
		t.Error("a user id with a slash was dialled")
	}
}

// Dots are ids, and mean something else in a path.
func TestDotsAreUsers(t *testing.T) {
	address, _ := serve(t, transport.Config{})
	for _, user := range []protocol.UserID{".", "..", "a:b@c+d"} {
		c := dial(t, address+"/", user)
		if err := c.Send(within(t), user, "to me", ""); err != nil {
			t.Fatal(err)
		}
		m, err := c.Receive(within(t))
		if got, ok := m.(*protocol.Receive); err != nil || !ok || got.Sender != string(user) {
			t.Errorf("user %q got %v, %v", user, m, err)
		}
	}
}

func TestServerThatDrainsSaysSo(t *testing.T) {
	address, stop := serve(t, transport.Config{})
	c := dial(t, address, "1")

	stop()
	_, err := c.Receive(within(t))

	if closed, ok := errors.AsType[*client.ClosedError](err); !ok || closed.Code != protocol.CloseGoingAway || !closed.Code.Reconnect() {
		t.Errorf("Receive: %v", err)
	}
	err = c.Send(within(t), "2", "hello", "")
	if closed, ok := errors.AsType[*client.ClosedError](err); !ok || closed.Code != protocol.CloseGoingAway {
		t.Errorf("Send: %v", err)
	}
	if err := c.Ping(within(t)); err == nil {
		t.Error("Ping was answered")
	}
	if err := c.Close(within(t)); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestCloseIsAnsweredAndEndsEverything(t *testing.T) {
	address, _ := serve(t, transport.Config{})
	c := dial(t, address, "1")
	received := make(chan error)
	go func() {
		_, err := c.Receive(context.Background())
		received <- err
	}()

	if err := c.Close(within(t)); err != nil {
		t.Fatal(err)
	}

	if err := <-received; !errors.Is(err, client.ErrClosed) {
		t.Errorf("Receive that waited: %v", err)
	}
	if err := c.Send(within(t), "2", "hello", ""); !errors.Is(err, client.ErrClosed) {
		t.Errorf("Send: %v", err)
	}
	if err := c.Close(within(t)); err != nil {
		t.Errorf("Close again: %v", err)
	}
}

func TestCloseDoesNotWaitForADeafServer(t *testing.T) {
	over := make(chan struct{})
	address := impostor(t, func(*websocket.Conn) { <-over })
	defer close(over)
	c := dial(t, address, "1")
	ctx, cancel := context.WithTimeout(within(t), 20*time.Millisecond)
	defer cancel()

	if err := c.Close(ctx); err == nil {
		t.Error("the server is said to have answered")
	}
}

func TestCloseThrowsAwayWhatNobodyReceives(t *testing.T) {
	address, _ := serve(t, transport.Config{})
	sender, receiver := dial(t, address, "1"), dial(t, address, "2")
	for range 50 {
		if err := sender.Send(within(t), "2", "hello", ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := sender.Ping(within(t)); err != nil {
		t.Fatal(err)
	}

	if err := receiver.Close(within(t)); err != nil {
		t.Error(err)
	}
}

func TestContextEndsOneReceiveOnly(t *testing.T) {
	address, _ := serve(t, transport.Config{})
	sender, receiver := dial(t, address, "1"), dial(t, address, "2")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if _, err := receiver.Receive(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := sender.Send(within(t), "2", "hello", ""); err != nil {
		t.Fatal(err)
	}

	if m, err := receiver.Receive(within(t)); err != nil {
		t.Errorf("after it: %v, %v", m, err)
	}
}

func TestPingComesBackBehindWhatWasSent(t *testing.T) {
	address, _ := serve(t, transport.Config{})
	c := dial(t, address, "1")
	gaveUp, cancel := context.WithCancel(t.Context())
	cancel()
	_ = c.Ping(gaveUp) // its pong is not the next one's

	for range 3 {
		if err := c.Ping(within(t)); err != nil {
			t.Error(err)
		}
	}
}

func TestManyGoroutinesMaySend(t *testing.T) {
	address, _ := serve(t, transport.Config{})
	sender, receiver := dial(t, address, "1"), dial(t, address, "2")
	const senders, each = 8, 20
	failed := make(chan error)
	for range senders {
		go func() {
			var err error
			for range each {
				err = errors.Join(err, sender.Send(context.Background(), "2", strings.Repeat("x", 10_000), ""))
			}
			failed <- err
		}()
	}

	for range senders * each {
		if _, err := receiver.Receive(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	for range senders {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

func TestServerThatIsNotCallboard(t *testing.T) {
	for name, c := range map[string]struct {
		kind  int
		frame string
	}{
		"binary":       {websocket.BinaryMessage, `{"type":2,"receiver":1}`},
		"no JSON":      {websocket.TextMessage, "hello"},
		"a SEND":       {websocket.TextMessage, `{"type":1,"receiver":1}`},
		"unknown type": {websocket.TextMessage, `{"type":77}`},
		"too long":     {websocket.TextMessage, strings.Repeat(" ", protocol.MaxReceiveBytes+1)},
	} {
		t.Run(name, func(t *testing.T) {
			address := impostor(t, func(ws *websocket.Conn) {
				_ = ws.WriteMessage(c.kind, []byte(c.frame)) // a client that has gone has seen enough
				_, _, _ = ws.ReadMessage()                   // until it goes
			})

			m, err := dial(t, address, "1").Receive(within(t))

			if err == nil {
				t.Errorf("Receive returned %v", m)
			}
		})
	}
}

func TestConnectionThatIsCut(t *testing.T) {
	address := impostor(t, func(ws *websocket.Conn) { _ = ws.NetConn().Close() })

	_, err := dial(t, address, "1").Receive(within(t))

	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestClosedErrorSaysWhatTheReasonAdds(t *testing.T) {
	for want, err := range map[string]*client.ClosedError{
		"closed by the server: 4001 slow_consumer":                      {Code: protocol.CloseSlowConsumer, Reason: "slow_consumer"},
		"closed by the server: 1002 protocol_error: a frame of no kind": {Code: protocol.CloseProtocolError, Reason: "a frame of no kind"},
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	}
}
