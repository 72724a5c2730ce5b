package transport

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"callboard/actors"
	"callboard/actors/inbox"
	"callboard/actors/inbox/memory"
	"callboard/protocol"
)

// patience is how long a test waits for what must come. It is far more than what
// comes needs, so that a slow machine fails no test.
const patience = 20 * time.Second

// service is a whole server on a loopback socket.
type service struct {
	t       testing.TB
	store   inbox.Store
	system  *actors.System
	server  *Server
	address string
	log     *logBuffer
	stop    context.CancelFunc // has Serve return
	served  chan error         // what Serve returned
}

// start serves until the test ends, and then sees that nothing is left of it.
func start(tb testing.TB, transport Config, system actors.Config) *service {
	tb.Helper()
	return startWith(tb, transport, system, 5*time.Second, new(net.ListenConfig))
}

// startWith is start with a time to drain and a listener of its own.
func startWith(tb testing.TB, transport Config, system actors.Config, drain time.Duration, listen *net.ListenConfig) *service {
	tb.Helper()
	goroutines := runtime.NumGoroutine()
	s := &service{t: tb, log: new(logBuffer), served: make(chan error, 1)}
	log := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	transport.Log, system.Log = log, log
	if transport.TLS == nil {
		transport.TLS = serverTLS()
	}
	if system.Store == nil {
		system.Store = memory.New(memory.Config{})
	}
	for _, limit := range []*time.Duration{&transport.HandshakeTimeout, &system.HandshakeTimeout, &system.CloseTimeout} {
		setDefault(limit, patience) // where it is not what is tested, nobody comes too late
	}
	s.store = system.Store
	var err error
	s.system, err = actors.New(system)
	must(tb, err)
	s.server, err = New(s.system, transport)
	must(tb, err)
	listener, err := listen.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	must(tb, err)
	s.address = listener.Addr().String()
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	s.stop = stop
	go func() {
		s.served <- s.server.Serve(ctx, listener, drain)
		close(s.served) // so that a test may have taken it
	}()
	eventually(tb, "the server is ready", s.server.ready.Load)
	tb.Cleanup(func() {
		stop()
		must(tb, <-s.served)
		end, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		must(tb, s.system.Stop(end))
		s.server.Wait()
		if n := s.server.connections.Load(); n != 0 {
			tb.Errorf("%d connections are counted after the end", n)
		}
		eventually(tb, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
	})
	return s
}

// deserted waits until no connection, no session and no goroutine of one is left.
func (s *service) deserted(before int) {
	s.t.Helper()
	eventually(s.t, "no connection is left", func() bool {
		return s.server.connections.Load() == 0 && s.server.pending.number() == 0
	})
	eventually(s.t, "no session is left", func() bool { return s.sessions() == 0 })
	eventually(s.t, "the goroutines are gone", func() bool { return connectionGoroutines() <= before })
	tree := s.tree()
	if tree.Survived != 0 || tree.Unhandled != 0 || tree.Failures != 0 || tree.Opened != tree.Ended {
		s.t.Errorf("something went wrong inside: %+v", tree)
	}
}

// connectionGoroutines counts the goroutines that are not the actors' workers,
// of which a busy time leaves some waiting for the next one.
func connectionGoroutines() (n int) {
	for stack := range strings.SplitSeq(allStacks(), "\n\n") {
		if !strings.Contains(stack, "mailbox.(*Workers).work(") {
			n++
		}
	}
	return n
}

func allStacks() string {
	stacks := make([]byte, 4<<20)
	return string(stacks[:runtime.Stack(stacks, true)])
}

// forget empties users' inboxes, which a test has filled.
func (s *service) forget(users ...string) {
	s.t.Helper()
	for _, user := range users {
		state, err := s.store.Open(protocol.UserID(user))
		must(s.t, err)
		must(s.t, s.store.Commit(&inbox.Batch{Trims: []inbox.Trim{{User: protocol.UserID(user), UpTo: state.Head}}}))
	}
}

func (s *service) sessions() int { return s.tree().Gateway.Sessions }

func (s *service) tree() *actors.Tree {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tree, err := s.system.Describe(ctx)
	must(s.t, err)
	return tree
}

// get makes a plain request and returns status, header and body.
func (s *service) get(method, path string, header http.Header) (int, http.Header, string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, scheme("http")+"://"+s.address+path, http.NoBody)
	must(s.t, err)
	maps.Copy(request.Header, header)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: clientTLS()}, Timeout: patience}
	response, err := client.Do(request)
	must(s.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(s.t, err)
	return response.StatusCode, response.Header, string(body)
}

// answer is what a handshake was answered with.
type answer struct {
	status int
	header http.Header
}

// dial tries to connect gorilla's client as a user.
func (s *service) dial(user string, header http.Header, subprotocols ...string) (*peer, answer, error) {
	dialer := websocket.Dialer{HandshakeTimeout: patience, Subprotocols: subprotocols, TLSClientConfig: clientTLS()}
	ws, response, err := dialer.Dial(scheme("ws")+"://"+s.address+"/ws/"+user, header)
	var a answer
	if response != nil {
		a = answer{response.StatusCode, response.Header}
		_ = response.Body.Close() // gorilla has read what there is
	}
	if err != nil {
		return nil, a, err
	}
	return &peer{s.t, ws}, a, nil
}

// connect connects gorilla's client as a user.
func (s *service) connect(user string) *peer {
	s.t.Helper()
	p, _, err := s.dial(user, nil)
	must(s.t, err)
	s.t.Cleanup(func() { _ = p.ws.Close() })
	return p
}

// peer is gorilla's client.
type peer struct {
	t  testing.TB
	ws *websocket.Conn
}

func (p *peer) write(frame string) {
	p.t.Helper()
	must(p.t, p.ws.WriteMessage(websocket.TextMessage, []byte(frame)))
}

func (p *peer) send(to, content string) { p.t.Helper(); p.write(send(to, content)) }

// send is the frame of a SEND.
func send(to, content string) string {
	return fmt.Sprintf(`{"type":1,"receiver":%q,"content":%q}`, to, content)
}

// frame is any message of the server.
type frame struct {
	Type     protocol.Type      `json:"type"`
	Sender   json.RawMessage    `json:"sender"`
	Receiver json.RawMessage    `json:"receiver"`
	Content  string             `json:"content"`
	Code     protocol.ErrorCode `json:"code"`
	Reason   string             `json:"reason"`
}

func (p *peer) read() frame {
	p.t.Helper()
	f, err := p.tryRead()
	must(p.t, err)
	return f
}

func (p *peer) tryRead() (f frame, err error) {
	if err := p.ws.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return f, err
	}
	kind, b, err := p.ws.ReadMessage()
	if err != nil {
		return f, err
	}
	if kind != websocket.TextMessage {
		return f, fmt.Errorf("a message of kind %d", kind)
	}
	return f, json.Unmarshal(b, &f)
}

// gets reads one message, which must be a RECEIVE with the content.
func (p *peer) gets(content string) {
	p.t.Helper()
	if f := p.read(); f.Type != protocol.TypeReceive || f.Content != content {
		p.t.Fatalf("got %+v, want RECEIVE %q", f, content)
	}
}

// refused reads one message, which must be an ERROR with the code.
func (p *peer) refused(code protocol.ErrorCode) {
	p.t.Helper()
	if f := p.read(); f.Type != protocol.TypeError || f.Code != code || f.Reason == "" {
		p.t.Fatalf("got %+v, want ERROR %s with a reason", f, code)
	}
}

// closed reads up to the server's close frame, which must have the code.
func (p *peer) closed(code protocol.CloseCode) {
	p.t.Helper()
	for {
		_, err := p.tryRead()
		var end *websocket.CloseError
		switch {
		case err == nil:
		case errors.As(err, &end) && end.Code == int(code):
			_ = p.ws.Close()
			return
		default:
			p.t.Fatalf("got %v, want close %d", err, code)
		}
	}
}

// rawPeer writes what bytes it likes.
type rawPeer struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

// tcp connects and says nothing.
func (s *service) tcp() *rawPeer {
	s.t.Helper()
	nc, err := new(net.Dialer).DialContext(s.t.Context(), "tcp", s.address)
	must(s.t, err)
	s.t.Cleanup(func() { _ = nc.Close() })
	nc = over(nc)
	p := &rawPeer{s.t, nc, bufio.NewReader(nc)}
	p.waits()
	return p
}

// handshake is what a client says first.
func handshake(user string) string {
	return "GET /ws/" + user + " HTTP/1.1\r\nHost: callboard\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
}

// raw connects a user without a WebSocket library.
func (s *service) raw(user string) *rawPeer {
	s.t.Helper()
	p := s.tcp()
	p.put([]byte(handshake(user)))
	p.upgraded()
	return p
}

// speak is raw with a subprotocol.
func (s *service) speak(user string, codec protocol.Codec) *rawPeer {
	s.t.Helper()
	p := s.tcp()
	p.put([]byte(strings.Replace(handshake(user), "\r\n\r\n", "\r\nSec-WebSocket-Protocol: "+codec.String()+"\r\n\r\n", 1)))
	p.upgraded()
	return p
}

// says sends a message in a codec.
func (p *rawPeer) says(codec protocol.Codec, m protocol.Message) {
	p.t.Helper()
	p.put(clientFrame(opcodeOf(codec), string(codec.Append(nil, m))))
}

// hears reads one message in a codec.
func (p *rawPeer) hears(codec protocol.Codec) protocol.Message {
	p.t.Helper()
	opcode, payload := p.reads()
	if opcode != opcodeOf(codec) {
		p.t.Fatalf("got opcode %d: %q", opcode, payload)
	}
	m, err := codec.Decode(payload, nil)
	must(p.t, err)
	return m
}

// quiet sees that nothing has come that was not read.
func (p *rawPeer) quiet() {
	p.t.Helper()
	p.put(clientFrame(opPing, "quiet?"))
	if opcode, payload := p.reads(); opcode != opPong {
		p.t.Fatalf("something came that should not have: opcode %d %q", opcode, payload)
	}
}

func opcodeOf(codec protocol.Codec) byte {
	return (&socket{codec: codec}).dataOpcode()
}

// waits has the connection fail if what it does next takes longer than patience.
func (p *rawPeer) waits() {
	p.t.Helper()
	must(p.t, p.SetDeadline(time.Now().Add(patience)))
}

func (p *rawPeer) upgraded() {
	p.t.Helper()
	p.waits()
	response, err := http.ReadResponse(p.in, nil)
	must(p.t, err)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		p.t.Fatalf("the handshake was answered with %s", response.Status)
	}
}

func (p *rawPeer) put(b []byte) {
	p.t.Helper()
	p.waits()
	_, err := p.Write(b)
	must(p.t, err)
}

// reads takes one frame of the server, but for its pings: the first comes two seconds after the service has begun, and
// others at any time. They are not answered.
func (p *rawPeer) reads() (opcode byte, payload []byte) {
	p.t.Helper()
	p.waits()
	for {
		opcode, payload, err := readFrame(p.in)
		must(p.t, err)
		if opcode != opPing {
			return opcode, payload
		}
	}
}

// closed reads up to the server's close frame and returns its reason.
func (p *rawPeer) closed(code protocol.CloseCode) (reason string) {
	p.t.Helper()
	for {
		opcode, payload := p.reads()
		if opcode != opClose {
			continue
		}
		if got := protocol.CloseCode(binary.BigEndian.Uint16(payload)); got != code {
			p.t.Fatalf("closed with %s (%s), want %s", got, payload[2:], code)
		}
		return string(payload[2:])
	}
}

// ended reads until the server ends the connection, which it must do soon.
func (p *rawPeer) ended() {
	p.t.Helper()
	p.waits()
	_, err := io.Copy(io.Discard, p.in)
	if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		p.t.Fatal("the server keeps the connection")
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// readFrame reads one unmasked frame.
func readFrame(r io.Reader) (opcode byte, payload []byte, err error) {
	var head [10]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return 0, nil, err
	}
	length := uint64(head[1])
	switch head[1] {
	case 126:
		_, err = io.ReadFull(r, head[2:4])
		length = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		_, err = io.ReadFull(r, head[2:10])
		length = binary.BigEndian.Uint64(head[2:])
	}
	if err != nil {
		return 0, nil, err
	}
	if head[0]&0x70 != 0 || head[1] > 127 || length > 1<<20 {
		return 0, nil, fmt.Errorf("the server sent a frame that begins with % x", head)
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(r, payload)
	return head[0] & 0x0f, payload, err
}

// testMask is what the tests mask their frames with.
var testMask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// clientFrame is a whole frame as a client sends it.
func clientFrame(opcode byte, payload string) []byte { return fragment(true, opcode, payload) }

func fragment(fin bool, opcode byte, payload string) []byte {
	b := frameHead(fin, opcode, len(payload))
	for i := range len(payload) {
		b = append(b, payload[i]^testMask[i&3])
	}
	return b
}

// frameHead is the header of a client's frame, with its mask.
func frameHead(fin bool, opcode byte, length int) []byte {
	b := []byte{opcode, 0x80}
	if fin {
		b[0] |= 0x80
	}
	switch {
	case length < 126:
		b[1] |= byte(length)
	case length < 1<<16:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(length))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(length))
	}
	return append(b, testMask[:]...)
}

// eventually looks again and again until something has become true.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-deadline:
			stacks := make([]byte, 1<<16)
			tb.Fatalf("in %s it did not come true that %s\n%s", patience, what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// logBuffer holds what was logged. Any goroutine may use it.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
