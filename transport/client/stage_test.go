package client_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"

	"callboard/protocol"
	"callboard/transport/client"
)

// A stage is a network in memory with one server, whose every move the test makes.
// It lives in a synctest bubble.
type stage struct {
	t     *testing.T
	calls chan net.Conn
}

func newStage(t *testing.T) *stage {
	t.Helper()
	return &stage{t: t, calls: make(chan net.Conn)}
}

// dial is a Config's NetDial. The call waits until the test takes it.
func (s *stage) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case s.calls <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// client makes a Client of user 1 that connects to this stage.
func (s *stage) client(config client.Config) *client.Client {
	s.t.Helper()
	config.NetDial = s.dial
	config.Log = slog.New(slog.NewTextHandler(s.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	c, err := client.New("ws://stage", "1", config)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// call takes the next connection and reads its request.
func (s *stage) call() (net.Conn, *http.Request) {
	s.t.Helper()
	var nc net.Conn
	select {
	case nc = <-s.calls:
	case <-time.After(time.Hour):
		s.t.Fatal("nobody connects")
	}
	r, err := http.ReadRequest(bufio.NewReader(nc))
	if err != nil {
		s.t.Fatal(err)
	}
	return nc, r
}

// refuse answers the next connection with an HTTP error.
func (s *stage) refuse(status int, code protocol.ErrorCode, header http.Header) {
	s.t.Helper()
	nc, r := s.call()
	answer := http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: header, Close: true,
		Body: io.NopCloser(strings.NewReader(`{"code":"` + string(code) + `","reason":"as the test wants it"}`)),
	}
	if err := answer.Write(nc); err != nil {
		s.t.Error(err)
	}
	_ = nc.Close()
}

// accept does the handshake of the next connection.
func (s *stage) accept() *peer {
	s.t.Helper()
	nc, r := s.call()
	upgrader := websocket.Upgrader{Subprotocols: []string{protocol.SubprotocolJSON}, HandshakeTimeout: time.Second}
	ws, err := upgrader.Upgrade(hijacked{nc}, r, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &peer{t: s.t, ws: ws}
}

// open accepts the next connection and exchanges CONNECTs.
func (s *stage) open(answer *protocol.Connect) (*peer, *protocol.Connect) {
	s.t.Helper()
	p := s.accept()
	hello, ok := p.read().(*protocol.Connect)
	if !ok {
		s.t.Fatal("the first message is no CONNECT")
	}
	if answer.Cursor == nil {
		answer.Cursor = new(uint64)
	}
	if answer.Head == 0 {
		answer.Head = 100
	}
	p.write(answer)
	return p, hello
}

// hijacked is a ResponseWriter that is good for being hijacked.
type hijacked struct{ nc net.Conn }

func (h hijacked) Header() http.Header         { return http.Header{} }
func (h hijacked) Write(b []byte) (int, error) { return h.nc.Write(b) }
func (h hijacked) WriteHeader(int)             {}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.nc, bufio.NewReadWriter(bufio.NewReader(h.nc), bufio.NewWriter(h.nc)), nil
}

// A peer is the server's end of one connection.
type peer struct {
	t  *testing.T
	ws *websocket.Conn
}

func (p *peer) read() protocol.Message {
	p.t.Helper()
	m, err := p.next()
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

func (p *peer) next() (protocol.Message, error) {
	if err := p.ws.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
		return nil, err
	}
	_, frame, err := p.ws.ReadMessage()
	if err != nil {
		return nil, err
	}
	return protocol.DecodeJSON(frame, nil)
}

// wants reads messages and compares them.
func (p *peer) wants(messages ...protocol.Message) {
	p.t.Helper()
	for _, want := range messages {
		if got := p.read(); !proto.Equal(got, want) {
			p.t.Fatalf("the client wrote %v %v, not %v %v", got.Type(), got, want.Type(), want)
		}
	}
}

// acks reads ACKs up to the one with a number.
func (p *peer) acks(last uint64) {
	p.t.Helper()
	for {
		m, ok := p.read().(*protocol.Ack)
		if !ok || m.Seq > last {
			p.t.Fatalf("the client wrote %v, not an ACK up to %d", m, last)
		}
		if m.Seq == last {
			return
		}
	}
}

// send reads a SEND.
func (p *peer) send() *protocol.Send {
	p.t.Helper()
	m, ok := p.read().(*protocol.Send)
	if !ok {
		p.t.Fatalf("the client wrote no SEND")
	}
	return m
}

func (p *peer) write(messages ...protocol.Message) {
	p.t.Helper()
	for _, m := range messages {
		if err := p.ws.WriteMessage(websocket.TextMessage, protocol.AppendJSON(nil, m)); err != nil {
			p.t.Fatal(err)
		}
	}
}

// brings writes RECEIVEs with the numbers from first to last.
func (p *peer) brings(first, last uint64) {
	p.t.Helper()
	for seq := first; seq <= last; seq++ {
		p.write(&protocol.Receive{Seq: seq, Sender: "2", Receiver: "1", Content: "message", At: int64(seq)})
	}
}

// closes writes a close frame and waits for the client's.
func (p *peer) closes(code protocol.CloseCode) {
	p.t.Helper()
	frame := websocket.FormatCloseMessage(int(code), string(code.Word()))
	if err := p.ws.WriteControl(websocket.CloseMessage, frame, time.Now().Add(time.Second)); err != nil {
		p.t.Fatal(err)
	}
	for {
		if _, err := p.next(); err != nil {
			p.cut()
			return
		}
	}
}

// cut ends the connection without a word.
func (p *peer) cut() { _ = p.ws.NetConn().Close() }

// ends closes the client; the server answers what it still has to say.
func (p *peer) ends(c *client.Client) (rest []protocol.Message) {
	p.t.Helper()
	synctest.Wait() // a client that is still connecting has nobody to say goodbye to
	read := make(chan []protocol.Message)
	go func() {
		var rest []protocol.Message
		for {
			m, err := p.next()
			if err != nil {
				if closed, ok := errors.AsType[*websocket.CloseError](err); !ok || closed.Code != websocket.CloseNormalClosure {
					p.t.Errorf("the client left with %v", err)
				}
				p.cut()
				read <- rest
				return
			}
			rest = append(rest, m)
		}
	}()
	if err := c.Close(context.Background()); err != nil {
		p.t.Errorf("Close: %v", err)
	}
	return <-read
}

// closes ends a client, in a bubble, that has no connection.
func closes(t *testing.T, c *client.Client) {
	t.Helper()
	synctest.Wait() // a client that has yet to notice its connection's end would say goodbye on it
	if err := c.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
}
