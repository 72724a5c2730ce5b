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
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"

	"callboard/protocol"
	"callboard/transport"
	"callboard/transport/client"
)

// dialConn connects as soon as the service is ready.
func dialConn(t *testing.T, address string, user protocol.UserID, config client.ConnConfig) *client.Conn {
	t.Helper()
	for {
		c, err := client.DialConn(within(t), address, user, config)
		if refused, ok := errors.AsType[*client.RefusedError](err); ok && refused.Code == protocol.CodeDraining {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Abort)
		return c
	}
}

// impostor serves WebSockets that are not Callboard's.
func impostor(t *testing.T, talk func(ws *websocket.Conn)) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{Subprotocols: []string{protocol.SubprotocolJSON}}
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

func TestConnSpeaksEveryDialect(t *testing.T) {
	s := serve(t, transport.Config{})
	for i, subprotocol := range []string{"", protocol.SubprotocolJSON, protocol.SubprotocolProto} {
		user := protocol.UserID(fmt.Sprint("user-", i))
		c := dialConn(t, s.url(), user, client.ConnConfig{Subprotocol: subprotocol, ReadBuffer: 512})
		if c.Subprotocol() != subprotocol {
			t.Errorf("agreed on %q", c.Subprotocol())
		}
		if subprotocol != "" {
			if err := c.Write(&protocol.Connect{}); err != nil {
				t.Fatal(err)
			}
			if m, err := c.Read(); err != nil || m.Type() != protocol.TypeConnect {
				t.Fatal(m, err)
			}
		}
		// Of every length that has a header of its own, in one call.
		var sends []protocol.Message
		for n, length := range []int{0, 1, 50, 70, 80, 100, 200, 60_000, 7} {
			sends = append(sends, &protocol.Send{Receiver: string(user), Content: strings.Repeat("x", length), Id: fmt.Sprint(n)})
		}
		if err := c.Write(sends...); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(sends); {
			m, err := c.Read()
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := m.(*protocol.Receive); ok {
				want := sends[n].(*protocol.Send)
				if got.Content != want.Content || got.Id != want.Id && subprotocol != "" { // the seed's RECEIVE has none
					t.Fatalf("message %d is %d bytes, id %q", n, len(got.Content), got.Id)
				}
				n++
			}
		}
		if err := c.Close(within(t), protocol.CloseNormal); err != nil {
			t.Error(err)
		}
		if _, err := c.Read(); !errors.Is(err, client.ErrClosed) {
			t.Errorf("Read after Close: %v", err)
		}
		if err := c.Write(sends[0]); !errors.Is(err, client.ErrClosed) {
			t.Errorf("Write after Close: %v", err)
		}
	}
}

func TestConnIsWrittenByManyAtOnce(t *testing.T) {
	s := serve(t, transport.Config{})
	c := dialConn(t, s.url(), "1", client.ConnConfig{})
	const writers, each = 8, 50
	var writing sync.WaitGroup
	for writer := range writers {
		writing.Go(func() {
			for n := range each {
				m := &protocol.Send{Receiver: "1", Content: fmt.Sprintf("%d %d %s", writer, n, strings.Repeat("x", n*100))}
				if err := c.Write(m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := map[int]int{}
	for range writers * each {
		m, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		var writer, n int
		if _, err := fmt.Sscan(m.(*protocol.Receive).Content, &writer, &n); err != nil || n != next[writer] {
			t.Fatalf("message %d of %d came, not %d: %v", n, writer, next[writer], err)
		}
		next[writer]++
	}
	writing.Wait()
}

func TestConnRefusesAFrameThatIsTooLong(t *testing.T) {
	s := serve(t, transport.Config{})
	c := dialConn(t, s.url(), "1", client.ConnConfig{})
	err := c.Write(&protocol.Send{Receiver: "1", Content: "short"},
		&protocol.Send{Receiver: "1", Content: strings.Repeat("x", protocol.MaxFrameBytes), Id: "long"})
	if refused, ok := errors.AsType[*protocol.FrameError](err); !ok || refused.Code != protocol.CodeTooLarge || refused.ID != "long" {
		t.Error(err)
	}
	if m, err := c.Read(); err != nil || m.(*protocol.Receive).Content != "short" {
		t.Error(m, err)
	}
}

func TestConnComesFromWhereTheCallerSays(t *testing.T) {
	s := serve(t, transport.Config{})
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	var from net.Addr
	dialConn(t, s.url(), "1", client.ConnConfig{NetDial: func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := dialer.DialContext(ctx, network, address)
		if err == nil {
			from = nc.LocalAddr()
		}
		return nc, err
	}})
	if from == nil || !strings.HasPrefix(from.String(), "127.0.0.2:") {
		t.Errorf("it came from %v", from)
	}
}

func TestConnSaysWhyTheServerWent(t *testing.T) {
	s := serve(t, transport.Config{})
	c := dialConn(t, s.url(), "1", client.ConnConfig{})
	read := make(chan error, 1)
	go func() { // the server waits for the answer to its close frame
		_, err := c.Read()
		read <- err
	}()
	s.stop()
	for name, err := range map[string]error{"Read": <-read, "Write": c.Write(&protocol.Send{Receiver: "1"})} {
		if closed, ok := errors.AsType[*client.ClosedError](err); !ok || closed.Code != protocol.CloseGoingAway || !closed.Code.Reconnect() {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.Close(within(t), protocol.CloseNormal); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestConnDoesNotWaitForADeafServerToClose(t *testing.T) {
	over := make(chan struct{})
	address := impostor(t, func(*websocket.Conn) { <-over })
	defer close(over)
	c := dialConn(t, address, "1", client.ConnConfig{})
	read := make(chan error)
	go func() {
		_, err := c.Read()
		read <- err
	}()
	ctx, cancel := context.WithTimeout(within(t), 20*time.Millisecond)
	defer cancel()
	if err := c.Close(ctx, protocol.CloseNormal); err == nil {
		t.Error("the server is said to have answered")
	}
	if err := <-read; !errors.Is(err, client.ErrClosed) {
		t.Errorf("Read that waited: %v", err)
	}
}

func TestConnDiallingEndsWithTheContext(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // and nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)

	_, err = client.DialConn(ctx, "ws://"+listener.Addr().String(), "1", client.ConnConfig{})

	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestHandshakeThatIsRefused(t *testing.T) {
	notFound := httptest.NewServer(http.NotFoundHandler())
	defer notFound.Close()
	_, err := client.DialConn(within(t), "ws"+strings.TrimPrefix(notFound.URL, "http"), "1", client.ConnConfig{})
	if refused, ok := errors.AsType[*client.RefusedError](err); !ok || refused.Status != http.StatusNotFound || refused.Code != "" {
		t.Errorf("by another server: %#v", err)
	}

	address := impostor(t, func(*websocket.Conn) {})
	_, err = client.DialConn(within(t), address, "1", client.ConnConfig{Subprotocol: protocol.SubprotocolProto})
	if refused, ok := errors.AsType[*client.RefusedError](err); !ok || refused.Code != protocol.CodeUnknownSubprotocol {
		t.Errorf("by one that does not know the subprotocol: %#v", err)
	}

	if _, err := client.DialConn(within(t), address, "1", client.ConnConfig{Subprotocol: "chat"}); err == nil {
		t.Error("a subprotocol that there is not was asked for")
	}
}

func TestServerThatIsNotCallboard(t *testing.T) {
	for name, c := range map[string]struct {
		kind  int
		frame string
	}{
		"binary":       {websocket.BinaryMessage, `{"type":2,"receiver":1}`},
		"no JSON":      {websocket.TextMessage, "hello"},
		"unknown type": {websocket.TextMessage, `{"type":77}`},
		"too long":     {websocket.TextMessage, strings.Repeat(" ", protocol.MaxReceiveBytes+1)},
	} {
		t.Run(name, func(t *testing.T) {
			left := make(chan error, 1)
			address := impostor(t, func(ws *websocket.Conn) {
				_ = ws.WriteMessage(c.kind, []byte(c.frame)) // a client that has gone has seen enough
				_, _, err := ws.ReadMessage()
				left <- err
			})
			conn := dialConn(t, address, "1", client.ConnConfig{})
			m, first := conn.Read()
			if _, again := conn.Read(); first == nil || again == nil || again.Error() != first.Error() {
				t.Errorf("Read returned %v, %v, and then %v", m, first, again)
			}
			t.Log("the client left with", <-left)
		})
	}
}

func TestConnThatIsCut(t *testing.T) {
	address := impostor(t, func(ws *websocket.Conn) { _ = ws.NetConn().Close() })
	if _, err := dialConn(t, address, "1", client.ConnConfig{}).Read(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// A server that pings and does not read must not bring reading to a halt.
func TestConnReadsOnWhileWritingIsHeldUp(t *testing.T) {
	want := &protocol.Receive{Seq: 1, Receiver: "1", Content: "still there"}
	ping := []byte(strings.Repeat("p", 125))
	address := impostor(t, func(ws *websocket.Conn) {
		small(t, ws.NetConn())
		for range 20_000 { // more than such a network holds
			if err := ws.WriteControl(websocket.PingMessage, ping, time.Now().Add(patience)); err != nil {
				t.Error(err)
				return
			}
		}
		_ = ws.WriteMessage(websocket.TextMessage, protocol.AppendJSON(nil, want))
		_, _, _ = ws.NextReader()
		_, _ = io.Copy(io.Discard, ws.NetConn())
	})
	c := dialConn(t, address, "1", client.ConnConfig{NetDial: func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			small(t, nc)
		}
		return nc, err
	}})
	writing := make(chan struct{})
	go func() {
		defer close(writing)
		long := &protocol.Send{Receiver: "1", Content: strings.Repeat("x", 60_000)}
		for range 50 { // more than it holds, too
			if err := c.Write(long); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	if m, err := c.Read(); err != nil || !proto.Equal(m, want) {
		t.Error(m, err)
	}
	<-writing
}

// small leaves a connection little room for what is not read.
func small(t *testing.T, nc net.Conn) {
	t.Helper()
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		t.Errorf("a %T", nc)
		return
	}
	if err := errors.Join(tcp.SetReadBuffer(64<<10), tcp.SetWriteBuffer(64<<10)); err != nil {
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
