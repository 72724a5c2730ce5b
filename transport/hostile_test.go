package transport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"callboard/actors"
	"callboard/protocol"
)

// The clients here mean harm. After each of them nothing is left, and two users
// who have nothing to do with it write to each other all the while.

// besieged runs an attack on a server while a pair of users exchanges messages,
// and then sees that all is as it was before.
func besieged(t *testing.T, s *service, attack func()) {
	t.Helper()
	eventually(t, "the goroutine that accepts is there", func() bool { return strings.Contains(allStacks(), "transport.door.Accept(") })
	goroutines, memory := connectionGoroutines(), heap()
	stop, counted := make(chan struct{}), make(chan error, 1)
	one, two := s.arrives("one"), s.arrives("two")
	go func() { counted <- exchange(one, two, stop) }()
	attack()
	close(stop)
	must(t, <-counted)
	must(t, errors.Join(one.ws.Close(), two.ws.Close()))
	s.deserted(goroutines)
	s.forget("one", "two")
	eventually(t, "the memory comes back", func() bool { return heap() < memory+16<<20 })
}

// arrives is connect where HandshakeTimeout may be so short that a busy machine needs longer: then it comes again.
func (s *service) arrives(user string) (p *peer) {
	s.t.Helper()
	eventually(s.t, user+" is connected", func() bool {
		var err error
		p, _, err = s.dial(user, nil)
		return err == nil
	})
	s.t.Cleanup(func() { _ = p.ws.Close() })
	return p
}

// exchange sends a message there and one back until it is told to stop. Each
// round must end soon: what is done to others must not be felt.
func exchange(one, two *peer, stop chan struct{}) error {
	for i := 0; ; i++ {
		began := time.Now()
		for from, to := range map[*peer]*peer{one: two, two: one} {
			content := fmt.Sprint("message ", i)
			receiver := map[*peer]string{one: "one", two: "two"}[to]
			if err := from.ws.WriteMessage(websocket.TextMessage, []byte(send(receiver, content))); err != nil {
				return err
			}
			if f, err := to.tryRead(); err != nil || f.Content != content {
				return fmt.Errorf("the pair got %+v, %w", f, err)
			}
		}
		if took := time.Since(began); took > patience/4 {
			return fmt.Errorf("the pair waited %s", took)
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

func heap() uint64 {
	var m runtime.MemStats
	for range 2 { // a pool keeps what it has for one collection
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestHalfOpenHandshakesAreCut(t *testing.T) {
	s := start(t, Config{HandshakeTimeout: 2 * time.Second}, actors.Config{})
	besieged(t, s, func() {
		var peers []*rawPeer
		for i := range 300 {
			p := s.tcp()
			_, _ = p.Write([]byte(handshake("1")[:i%100])) // nothing at all, too; TLS may be cut before
			peers = append(peers, p)
		}
		for _, p := range peers {
			p.ended()
		}
	})
}

func TestSlowHeadersAreCut(t *testing.T) {
	s := start(t, Config{HandshakeTimeout: 2 * time.Second}, actors.Config{})
	besieged(t, s, func() {
		p := s.tcp()
		_, _ = p.Write([]byte("GET /ws/1 HTTP/1.1\r\nHost: callboard\r\n")) // TLS may be cut before
		each := time.NewTicker(10 * time.Millisecond)
		defer each.Stop()
		began := time.Now()
		for i := 0; ; i++ { // always one more header, so that it is never silent
			if _, err := fmt.Fprintf(p, "X-%d: x\r\n", i); err != nil {
				return
			}
			if <-each.C; time.Since(began) > patience/2 {
				t.Fatal("a header may take for ever")
			}
		}
	})
}

// Who says nothing is cut for who comes, the oldest first, and keeps nobody out.
func TestConnectionsThatSayNothingAreBoundedAndGiveWay(t *testing.T) {
	s := start(t, Config{MaxPending: 20, HandshakeTimeout: 2 * patience}, actors.Config{})
	besieged(t, s, func() {
		var silent []*rawPeer
		for n := range 70 {
			p := s.tcp()
			if n%2 == 0 {
				_, _ = p.Write([]byte("GET /ws/1 HTTP/1.1\r\n")) // some begin, and go no further
			}
			silent = append(silent, p)
		}
		for _, p := range silent[:50] {
			p.ended()
		}
		eventually(t, "the last ones are there", func() bool { return s.server.pending.number() == 20 })
		must(t, s.connect("1").ws.Close()) // for whom one more goes; by now the others have been counted
		if n := s.system.Metrics().Limits[actors.LimitPending]; n != 51 {
			t.Errorf("%d are counted, and 51 were cut", n)
		}
		must(t, s.server.Reload(Live{MaxConnections: 100, MaxPending: 2}))
		silent = append(silent, s.tcp()) // one more, for which one goes
		must(t, s.connect("2").ws.Close())
		for _, p := range silent {
			_ = p.Close()
		}
	})
}

// Connections that are kept alive between requests keep nobody out.
func TestIdleConnectionsGiveWay(t *testing.T) {
	s := start(t, Config{MaxPending: 5}, actors.Config{})
	besieged(t, s, func() {
		var idle []*rawPeer
		for range 5 {
			p := s.tcp()
			p.put([]byte("GET /healthz HTTP/1.1\r\nHost: callboard\r\n\r\n"))
			response, err := http.ReadResponse(p.in, nil)
			must(t, err)
			_, err = io.Copy(io.Discard, response.Body)
			must(t, errors.Join(err, response.Body.Close()))
			idle = append(idle, p)
		}
		waiting := func() int {
			s.server.pending.mu.Lock()
			defer s.server.pending.mu.Unlock()
			return len(s.server.pending.resting)
		}
		eventually(t, "all wait for another request", func() bool { return waiting() == 5 })
		for i := range 5 {
			p := s.raw(fmt.Sprint(i))
			must(t, p.Close())
		}
		for _, p := range idle {
			_ = p.Close()
		}
		eventually(t, "nothing is left", func() bool { return s.server.pending.number() == 0 && waiting() == 0 })
	})
}

func TestEveryViolationAtOnce(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	besieged(t, s, func() {
		var all sync.WaitGroup
		for i := range 10 {
			for j, v := range violations {
				all.Go(func() {
					p := s.raw(fmt.Sprintf("%d-%d", i, j))
					p.put(v.bytes)
					p.put(bytes.Repeat([]byte("garbage after it "), 1000))
					p.closed(v.code)
					_ = p.Close()
				})
			}
		}
		all.Wait()
	})
}

// Fragments without an end, empty ones for ever or small ones up to the limit.
func TestEndlessContinuationIsBounded(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	besieged(t, s, func() {
		empty := s.raw("1")
		empty.put(fragment(false, opText, ""))
		many := bytes.Repeat(fragment(false, opContinuation, ""), 1000)
		for range 100 {
			empty.put(many)
		}
		empty.put(clientFrame(opPing, "still here"))
		if opcode, _ := empty.reads(); opcode != opPong {
			t.Errorf("got opcode %d", opcode)
		}
		must(t, empty.Close())

		small := s.raw("2")
		small.put(fragment(false, opText, "{"))
		go func() { // writes on, as long as it is let
			many := bytes.Repeat(fragment(false, opContinuation, " "), 1000)
			for range 1000 {
				if _, err := small.Write(many); err != nil {
					return
				}
			}
		}()
		small.closed(protocol.CloseTooBig)
		must(t, small.Close())
	})
}

func TestLargeFramesAreNeverTaken(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	besieged(t, s, func() {
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				p := s.raw("1")
				go func() { // 10 MB, whether they are wanted or not
					_, _ = p.Write(frameHead(true, opText, 10<<20))
					_, _ = io.CopyN(p, &again{frame: []byte("xxxxxxxxxxxxxxxx")}, 10<<20)
				}()
				if reason := p.closed(protocol.CloseTooBig); reason != string(protocol.CodeTooLarge) {
					t.Errorf("%d: the reason is %q", i, reason)
				}
				_ = p.Close()
			})
		}
		all.Wait()
	})
}

// Each ping is answered; who does not read the answers is held back or closed.
func TestControlFloodIsHeldBack(t *testing.T) {
	s := start(t, Config{WriteTimeout: 2 * patience}, actors.Config{CloseTimeout: 500 * time.Millisecond})
	besieged(t, s, func() {
		const pings = 100_000
		reads, deaf := s.raw("1"), s.raw("2")
		flood := bytes.Repeat(clientFrame(opPing, strings.Repeat("p", 20)), 1000)
		go func() {
			for range pings / 1000 {
				if _, err := reads.Write(flood); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		for i := range pings {
			if opcode, _ := reads.reads(); opcode != opPong {
				t.Fatalf("ping %d got opcode %d", i, opcode)
			}
		}
		must(t, reads.Close())

		defer func() { _ = tcpOf(deaf.Conn).Close() }() // TLS would wait to say farewell
		for range 10_000 {                              // 200 MB, if nothing stopped it
			must(t, deaf.SetWriteDeadline(time.Now().Add(patience/10)))
			if _, err := deaf.Write(flood); err != nil {
				return
			}
		}
		t.Error("somebody who reads nothing could send for ever")
	})
}

// smallBuffers keeps the kernel from taking what a test wants to pile up.
func smallBuffers(_, _ string, raw syscall.RawConn) (err error) {
	if controlErr := raw.Control(func(fd uintptr) {
		err = errors.Join(
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10),
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 8<<10))
	}); controlErr != nil {
		return controlErr
	}
	return err
}

// stalled connects a user who reads nothing behind the handshake.
func (s *service) stalled(user string) *rawPeer {
	s.t.Helper()
	dialer := net.Dialer{Control: smallBuffers}
	nc, err := dialer.DialContext(s.t.Context(), "tcp", s.address)
	must(s.t, err)
	s.t.Cleanup(func() { _ = nc.Close() })
	nc = over(nc)
	p := &rawPeer{s.t, nc, bufio.NewReader(nc)}
	p.put([]byte(handshake(user)))
	p.upgraded()
	return p
}

func TestStalledReadersAreClosedAndDelayNobody(t *testing.T) {
	const readers, timeout = 1000, time.Second
	s := startWith(t, Config{WriteTimeout: timeout},
		actors.Config{MaxWaitingBytes: protocol.MaxFrameBytes, CloseTimeout: timeout / 2},
		5*time.Second, &net.ListenConfig{Control: smallBuffers})
	besieged(t, s, func() {
		for i := range readers {
			s.stalled(fmt.Sprint(i))
		}
		content := strings.Repeat("x", 30<<10)
		for i := range readers {
			for range 5 { // of which the network takes one at the most
				_, err := s.system.Send(t.Context(), &protocol.Send{Sender: "flood", Receiver: fmt.Sprint(i), Content: content})
				must(t, err)
			}
		}
		began := time.Now()
		eventually(t, "all stalled readers are closed", func() bool { return s.sessions() == 2 })
		if took := time.Since(began); took > patience/2 {
			t.Errorf("they were closed after %s", took)
		}
		for i := range readers {
			s.forget(fmt.Sprint(i))
		}
	})
}

// A reader that wakes up in time is told why it was closed.
func TestSlowConsumerIsTold(t *testing.T) {
	s := startWith(t, Config{WriteTimeout: 10 * time.Second},
		actors.Config{MaxWaitingBytes: protocol.MaxFrameBytes, CloseTimeout: 10 * time.Second},
		5*time.Second, &net.ListenConfig{Control: smallBuffers})
	besieged(t, s, func() {
		p := s.stalled("1")
		for range 20 {
			_, _ = s.system.Send(t.Context(), &protocol.Send{Sender: "flood", Receiver: "1", Content: strings.Repeat("x", 30<<10)})
		}
		if reason := p.closed(protocol.CloseSlowConsumer); reason != string(protocol.CodeSlowConsumer) {
			t.Errorf("the reason is %q", reason)
		}
		must(t, p.Close())
	})
}

// A reader that takes nothing at all, and for whom too little waits for a limit
// of size to strike, is closed when the time is over.
func TestStalledReaderIsClosedInTime(t *testing.T) {
	const timeout = 600 * time.Millisecond
	s := startWith(t, Config{WriteTimeout: timeout}, actors.Config{CloseTimeout: timeout / 2},
		5*time.Second, &net.ListenConfig{Control: smallBuffers})
	besieged(t, s, func() {
		s.stalled("1")
		began := time.Now()
		for range 10 {
			_, err := s.system.Send(t.Context(), &protocol.Send{Sender: "flood", Receiver: "1", Content: strings.Repeat("x", 30<<10)})
			must(t, err)
		}
		eventually(t, "it is closed", func() bool { return s.sessions() == 2 })
		if took := time.Since(began); took < timeout/3 || took > patience/2 {
			t.Errorf("it was closed after %s", took)
		}
	})
}

func TestStormOfConnectionsLeavesNothing(t *testing.T) {
	s := start(t, Config{}, actors.Config{CloseTimeout: 500 * time.Millisecond})
	besieged(t, s, func() {
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				for round := range 60 {
					s.comeAndGoBadly(fmt.Sprint(i%4), round)
				}
			})
		}
		all.Wait()
	})
}

// comeAndGoBadly connects and leaves in one of the ways that there are.
func (s *service) comeAndGoBadly(user string, way int) {
	nc, err := new(net.Dialer).DialContext(s.t.Context(), "tcp", s.address)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	if way%2 == 0 { // a reset instead of an end
		_ = nc.(*net.TCPConn).SetLinger(0)
	}
	nc = over(nc)
	say := [][]byte{
		[]byte(handshake(user)), // and goes without having seen the answer
		sequence([]byte(handshake(user)), clientFrame(opClose, "")),
		sequence([]byte(handshake(user)), clientFrame(opText, send(user, "to myself"))),
		[]byte(handshake(user)[:60]),
		sequence([]byte(handshake(user)), clientFrame(opText, `{"type":3}`)),
		nil,
		sequence([]byte(handshake(user)), []byte("garbage")),
	}[way%7]
	_, _ = nc.Write(say)
	if bytes.HasPrefix(say, []byte(handshake(user))) && way%3 != 0 {
		_, _ = nc.Read(make([]byte, 1<<10)) // of whatever comes
	}
}
