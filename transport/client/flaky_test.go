package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"callboard/protocol"
	"callboard/transport/client"
)

// flaky is a whole small server whose connections end when they like: between
// frames, in the middle of one, after keeping a message and before saying so, with a
// close frame or by falling silent. It keeps its promises all the same.
type flaky struct {
	t     *testing.T
	patch int // how many frames a connection lasts, about

	mu       sync.Mutex
	random   *rand.Rand
	inbox    []*protocol.Receive
	byID     map[string]*protocol.Receive
	cursor   uint64
	arrived  chan struct{} // closed and replaced with each message
	sessions sync.WaitGroup
}

func (f *flaky) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	f.sessions.Go(func() { f.serve(far) })
	return near, nil
}

func (f *flaky) chance(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.random.IntN(n) == 0
}

// serve is one connection.
func (f *flaky) serve(nc net.Conn) {
	defer nc.Close()
	r, err := http.ReadRequest(bufio.NewReader(nc))
	if err != nil || f.chance(10) {
		return
	}
	upgrader := websocket.Upgrader{Subprotocols: []string{protocol.SubprotocolJSON}}
	ws, err := upgrader.Upgrade(hijacked{nc}, r, nil)
	if err != nil {
		return
	}
	writing := make(chan struct{}, 1) // no Mutex: the clock stands still while one is waited for
	write := func(m protocol.Message) bool {
		writing <- struct{}{}
		defer func() { <-writing }()
		return f.write(ws, protocol.AppendJSON(nil, m))
	}
	hello, ok := next(ws).(*protocol.Connect)
	if !ok || f.chance(10) {
		return
	}
	f.mu.Lock()
	cursor := f.cursor
	if hello.Cursor != nil {
		cursor = *hello.Cursor
	}
	head := uint64(len(f.inbox))
	f.mu.Unlock()
	const window = 8
	if !write(&protocol.Connect{Cursor: &cursor, Head: head, Window: window, Limits: &protocol.Limits{InFlight: 16, PingIntervalMs: 1000}}) {
		return
	}
	gone, acked := make(chan struct{}), make(chan uint64, 1000)
	f.sessions.Go(func() { f.deliver(cursor, window, acked, gone, write, nc) })
	defer close(gone)
	for {
		switch m := next(ws).(type) {
		case *protocol.Send:
			kept := f.keep(m)
			if f.chance(f.patch) || !write(&protocol.Sent{Id: m.Id, Seq: kept.Seq, At: kept.At}) {
				return // kept, and the confirmation is lost
			}
		case *protocol.Ack:
			f.mu.Lock()
			f.cursor = max(f.cursor, m.Seq)
			f.mu.Unlock()
			acked <- m.Seq
		default:
			return
		}
	}
}

func next(ws *websocket.Conn) protocol.Message {
	_, frame, err := ws.ReadMessage()
	if err != nil {
		return nil
	}
	m, err := protocol.DecodeJSON(frame, nil)
	if err != nil {
		return nil
	}
	return m
}

// write writes a frame, or what is left of it when the connection ends there.
func (f *flaky) write(ws *websocket.Conn, frame []byte) bool {
	if f.chance(f.patch) { // half of it, and silence or the end
		_, _ = ws.NetConn().Write([]byte{0x81, byte(min(len(frame), 125)), frame[0]})
		if f.chance(2) {
			_ = ws.NetConn().Close()
		}
		return false
	}
	if f.chance(f.patch) {
		_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1001, "draining"), time.Now().Add(time.Second))
		return false
	}
	return ws.WriteMessage(websocket.TextMessage, frame) == nil
}

func (f *flaky) keep(m *protocol.Send) *protocol.Receive {
	f.mu.Lock()
	defer f.mu.Unlock()
	if before := f.byID[m.Id]; before != nil {
		return before
	}
	kept := &protocol.Receive{Seq: uint64(len(f.inbox) + 1), Id: m.Id, Sender: "1", Receiver: m.Receiver, Content: m.Content, At: 1}
	f.inbox = append(f.inbox, kept)
	f.byID[m.Id] = kept
	close(f.arrived)
	f.arrived = make(chan struct{})
	return kept
}

// deliver writes what is in the inbox, a window ahead of the ACKs.
func (f *flaky) deliver(cursor, window uint64, acked <-chan uint64, gone <-chan struct{}, write func(protocol.Message) bool, nc net.Conn) {
	last := cursor
	for {
		f.mu.Lock()
		var m *protocol.Receive
		if last < uint64(len(f.inbox)) && last < cursor+window {
			m = f.inbox[last]
		}
		arrived := f.arrived
		f.mu.Unlock()
		if m != nil {
			if last++; !write(m) {
				if f.chance(2) {
					_ = nc.Close() // else the client finds out by itself
				}
				return
			}
			continue
		}
		select {
		case seq := <-acked:
			cursor = max(cursor, seq)
		case <-arrived:
		case <-gone:
			return
		}
	}
}

// Each confirmed message is seen, each message once, each sender's in its order,
// whatever becomes of the connections.
func TestNothingIsLostDoubledOrReorderedOnAFlakyNetwork(t *testing.T) {
	runs := 20
	if testing.Short() {
		runs = 3
	}
	for range runs {
		seed := uint64(time.Now().UnixNano())
		if given := os.Getenv("CALLBOARD_SEED"); given != "" {
			seed, _ = strconv.ParseUint(given, 10, 64)
		}
		t.Run(fmt.Sprint("CALLBOARD_SEED=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { flakyRun(t, seed) })
		})
	}
}

func flakyRun(t *testing.T, seed uint64) {
	t.Helper()
	const senders, each = 4, 25
	f := &flaky{t: t, patch: 25, random: rand.New(rand.NewPCG(seed, 1)), byID: map[string]*protocol.Receive{}, arrived: make(chan struct{})}
	c, err := client.New("ws://flaky", "1", client.Config{NetDial: f.dial, MaxBackoff: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var confirmed sync.Map
	var sending sync.WaitGroup
	for sender := range senders {
		sending.Go(func() {
			for n := range each {
				receipt, err := c.Send(t.Context(), "1", fmt.Sprintf("%d %d", sender, n))
				if err != nil {
					t.Error(err)
				}
				confirmed.Store(receipt.Seq, fmt.Sprintf("%d %d", sender, n))
			}
		})
	}
	seen, last := map[uint64]string{}, map[int]int{}
	for len(seen) < senders*each {
		loop, cancel := context.WithTimeout(t.Context(), time.Hour)
		for m, err := range c.Messages(loop) {
			if err != nil {
				t.Fatal("waiting for more messages: ", err)
			}
			if before, twice := seen[m.Seq]; twice {
				t.Fatalf("number %d came twice, %q and %q", m.Seq, before, m.Content)
			}
			seen[m.Seq] = m.Content
			var sender, n int
			if _, err := fmt.Sscan(m.Content, &sender, &n); err != nil || n != last[sender] {
				t.Fatalf("%q came, of this sender %d was next: %v", m.Content, last[sender], err)
			}
			last[sender] = n + 1
			if len(seen) == senders*each || m.Seq%7 == 0 {
				m.Ack()
				break // and into the next loop
			}
			if m.Seq%5 == 0 {
				time.Sleep(time.Duration(m.Seq) * time.Millisecond)
			}
		}
		cancel()
	}
	sending.Wait()
	confirmed.Range(func(seq, content any) bool {
		if seen[seq.(uint64)] != content {
			t.Errorf("number %d is %q, confirmed was %q", seq, seen[seq.(uint64)], content)
		}
		return true
	})
	if err := c.Close(t.Context()); err != nil && errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	f.sessions.Wait()
}
