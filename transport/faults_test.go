package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"callboard/actors"
	"callboard/protocol"
)

// The twelve faults of the seed, each with the reason why the test would fail on
// its design.

// The seed writes a plain map from every upgrade and reads it from every reader:
// this many at once end it with "concurrent map read and map write", and the race
// detector sees it sooner.
func TestFault01MapIsNotSharedBetweenGoroutines(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	errs := make(chan error, 8)
	for user := range 8 {
		go func() { errs <- comeAndGo(s, fmt.Sprint(user+1), fmt.Sprint((user+1)%8+1)) }()
	}
	for range 8 {
		must(t, <-errs)
	}
}

// comeAndGo connects, writes to itself and to another user, and leaves, often.
func comeAndGo(s *service, self, other string) error {
	for round := range 20 {
		p, _, err := s.dial(self, nil)
		if err != nil {
			return err
		}
		content := fmt.Sprint("round ", round)
		for _, to := range []string{other, self} {
			if err := p.ws.WriteMessage(websocket.TextMessage, []byte(send(to, content))); err != nil {
				return err
			}
		}
		for {
			f, err := p.tryRead()
			if err != nil {
				return err
			}
			if f.Type == protocol.TypeReceive && string(f.Sender) == self {
				break
			}
		}
		if err := p.ws.Close(); err != nil {
			return err
		}
	}
	return nil
}

// The seed panics on the error of ParseUint and on the nil connection of a
// failed upgrade.
func TestFault02BadPathAndFailedUpgradeAreAnswered(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	status, _, body := s.get(http.MethodGet, "/ws/no%20id", nil)
	if status != http.StatusBadRequest || !strings.Contains(body, "invalid_user_id") {
		t.Errorf("a bad id got %d %s", status, body)
	}
	status, _, body = s.get(http.MethodGet, "/ws/1", http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"7"}, "Sec-Websocket-Key": {"x"},
	})
	if status != http.StatusBadRequest || !strings.Contains(body, "bad_request") {
		t.Errorf("a failed upgrade got %d %s", status, body)
	}
	p := s.connect("1")
	p.send("1", "still here")
	p.gets("still here")
}

// The seed panics in the reader on the error of json.Unmarshal, and a panic in a
// goroutine ends the process with everybody's connections.
func TestFault03MalformedFrameEndsNothing(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	p, other := s.connect("1"), s.connect("2")
	p.write(`{"type": 1, "content`)
	p.refused(protocol.CodeInvalidMessage)
	p.send("2", "still here")
	other.gets("still here")
}

// In the seed a sender writes to the receiver's unbuffered channel: behind a
// receiver that does not read it would wait, and no user after it would get a word.
func TestFault04SlowReceiverBlocksNoSender(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	slow := s.raw("slow")
	must(t, tcpOf(slow.Conn).SetReadBuffer(4<<10))
	sender, quick := s.connect("1"), s.connect("2")
	big := strings.Repeat("x", 32<<10)
	for i := range 400 { // 12 MB: more than the network takes for somebody who does not read
		sender.send("slow", big)
		sender.send("2", fmt.Sprint(i))
		quick.gets(fmt.Sprint(i))
	}
}

// In the seed a sender that has looked a connection up sends on its channel after
// the writer has ended, and hangs; or after it was closed, and panics.
func TestFault05SenderOutlivesReceiver(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	sender := s.connect("1")
	for range 20 {
		receiver := s.raw("2")
		sender.send("2", "one")
		must(t, tcpOf(receiver.Conn).SetLinger(0)) // a reset, in the midst of it
		go receiver.Close()
		for range 10 {
			sender.send("2", "more")
		}
	}
	sender.send("1", "still here")
	sender.gets("still here")
}

// In the seed the second connection takes the first one's place in the map, and
// the first one's end takes that place away: the second gets nothing any more.
func TestFault06SessionThatEndsTakesAwayOnlyItself(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	sender, first, second := s.connect("1"), s.connect("2"), s.connect("2")
	sender.send("2", "to both")
	first.gets("to both")
	second.gets("to both")
	must(t, first.ws.Close())
	eventually(t, "the first session is gone", func() bool { return s.sessions() == 2 })
	sender.send("2", "to the second")
	second.gets("to the second")
}

// The seed passes on the sender that the client has written.
func TestFault07NobodySpeaksAsSomebodyElse(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	p, receiver := s.connect("1"), s.connect("2")
	p.write(`{"type":1,"sender":3,"receiver":2,"content":"from 3, believe me"}`)
	p.refused(protocol.CodeSenderMismatch)
	p.write(`{"type": 1, "content": "hello i am ws1", "receiver": 2, "send": 1}`)
	if f := receiver.read(); f.Content != "hello i am ws1" || string(f.Sender) != "1" {
		t.Errorf("got %+v", f)
	}
}

// The seed's CheckOrigin says yes to every page.
func TestFault08PagesOfOtherSitesMayNotConnect(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	_, answer, err := s.dial("1", http.Header{"Origin": {"https://evil.example"}})
	if err == nil || answer.status != http.StatusForbidden {
		t.Errorf("got %v, %v", answer, err)
	}
}

// The seed has no limit at all: it reads 10 MB, accepts for ever, waits for ever
// for a handshake, and never finds out that a peer is dead.
func TestFault09EverythingHasALimit(t *testing.T) {
	impatient := start(t, Config{HandshakeTimeout: 200 * time.Millisecond}, actors.Config{})
	halfOpen := impatient.tcp()
	_, _ = halfOpen.Write([]byte("GET /ws/1 HTTP/1.1\r\n")) // TLS may be cut before
	halfOpen.ended()

	full := start(t, Config{MaxConnections: 2}, actors.Config{})
	large := full.raw("1")
	full.raw("2")
	_, answer, err := full.dial("3", nil)
	if err == nil || answer.status != http.StatusServiceUnavailable {
		t.Errorf("one connection too many: %v, %v", answer, err)
	}
	large.put(frameHead(true, opText, 10<<20))
	large.closed(protocol.CloseTooBig)

	pinging := start(t, Config{}, actors.Config{PingInterval: 250 * time.Millisecond, CloseTimeout: 100 * time.Millisecond})
	dead := pinging.raw("2")
	dead.closed(protocol.CloseHeartbeatTimeout)
	dead.ended()
}

// The seed looks the receiver up, does not find it, and says nothing.
func TestFault10MessageForSomebodyWhoIsAwayWaits(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	p := s.connect("1")
	p.send("2", "is anybody there?")
	p.send("1", "it has been taken")
	p.gets("it has been taken")
	s.connect("2").gets("is anybody there?")
}

// The seed ends with the process: its clients see a reset, and no close frame.
func TestFault11ShutdownSaysGoodbye(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	peers := []*peer{s.connect("1"), s.connect("2"), s.connect("2")}
	s.stop()
	var all sync.WaitGroup
	for _, p := range peers {
		all.Go(func() {
			_, err := p.tryRead()
			if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
				t.Errorf("got %v, want close 1001", err)
			}
		})
	}
	all.Wait()
}

// The seed has nothing to ask and prints what it likes. Who a client is and what
// is counted belong to later issues.
func TestFault12OperatorCanSee(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, _, body := s.get(http.MethodGet, path, nil); status != http.StatusOK || body != "ok\n" {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	seen := s.connect("1")
	seen.send("1", "a secret")
	info, err := s.system.DescribeUser(t.Context(), "1")
	if err != nil || info.State != "active" || len(info.Sessions) != 1 {
		t.Errorf("user 1 is described as %+v, %v", info, err)
	}
	if n, err := s.system.CloseUser(t.Context(), "1", protocol.CloseByOperator, "go away"); n != 1 || err != nil {
		t.Errorf("%d sessions closed, %v", n, err)
	}
	seen.closed(protocol.CloseByOperator)
	why := regexp.MustCompile(`"session ended","user":"1","session":\d+,"code":4003,"reason":"go away"`)
	eventually(t, "the log says who was dropped and why", func() bool { return why.MatchString(s.log.String()) })
	for line := range bytes.Lines([]byte(s.log.String())) {
		var record struct{ Time, Level, Msg string }
		if err := json.Unmarshal(line, &record); err != nil || record.Msg == "" || record.Level == "" {
			t.Errorf("log line %s: %v", line, err)
		}
		if bytes.Contains(line, []byte("a secret")) {
			t.Errorf("the log has a content: %s", line)
		}
	}
}
