package actors

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// fakeConn is a socket in memory. What is written waits until Flush, and counts
// as received by the peer from then on.
type fakeConn struct {
	mu       sync.Mutex
	waiting  []any // written and not flushed: protocol.Message or Control
	bytes    int   // of waiting
	arrived  []any // flushed
	flushes  int
	keep     bool  // do not collect what arrives
	stalled  bool  // the network takes nothing
	flushing *Link // a Flush is under way: it is to be told
	closes   int

	onWrite func(protocol.Message) // may panic
}

var _ Conn = (*fakeConn)(nil)

func (c *fakeConn) Write(m protocol.Message) int {
	if c.onWrite != nil {
		c.onWrite(m)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	size := 64
	if receive, ok := m.(*protocol.Receive); ok {
		size += len(receive.Content)
	}
	if !c.keep {
		c.waiting = append(c.waiting, m)
	}
	c.bytes += size
	return c.bytes
}

func (c *fakeConn) Control(control Control) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if control.Drop {
		c.waiting, c.bytes = nil, 0
	}
	c.waiting = append(c.waiting, control)
	c.bytes += 2 + len(control.Payload)
	return c.bytes
}

func (c *fakeConn) Flush(l *Link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flushing != nil {
		panic("Flush while a Flush is under way")
	}
	c.flushes++
	switch {
	case c.closes > 0:
		go l.Flushed(net.ErrClosed)
		return false
	case c.stalled:
		c.flushing = l
		return false
	}
	c.take()
	return true
}

func (c *fakeConn) take() {
	if !c.keep {
		c.arrived = append(c.arrived, c.waiting...)
	}
	c.waiting, c.bytes = nil, 0
}

func (c *fakeConn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closes++
}

// stall has the network take nothing from now on.
func (c *fakeConn) stall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled = true
}

// release has the network go on. With os.ErrDeadlineExceeded or another error,
// the flush under way fails and its bytes are lost.
func (c *fakeConn) release(err error) {
	c.mu.Lock()
	c.stalled = false
	link := c.flushing
	c.flushing = nil
	if link != nil && err == nil {
		c.take()
	}
	c.mu.Unlock()
	if link != nil {
		link.Flushed(err)
	}
}

func (c *fakeConn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closes > 0
}

// of returns what arrived of one type.
func of[T any](c *fakeConn) []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []T
	for _, a := range c.arrived {
		if a, ok := a.(T); ok {
			found = append(found, a)
		}
	}
	return found
}

func (c *fakeConn) contents() []string {
	var contents []string
	for _, receive := range of[*protocol.Receive](c) {
		contents = append(contents, receive.Content)
	}
	return contents
}

// closeFrame is the close frame that arrived, if one did.
func (c *fakeConn) closeFrame() (Control, bool) {
	for _, control := range of[Control](c) {
		if control.Op == OpClose {
			return control, true
		}
	}
	return Control{}, false
}

func (c *fakeConn) pings() int {
	n := 0
	for _, control := range of[Control](c) {
		if control.Op == OpPing {
			n++
		}
	}
	return n
}

// world is a System in a bubble, and what its tests need.
type world struct {
	*testing.T
	system   *System
	store    *fakeStore
	config   Config
	stopped  bool
	crashes  int // that were ordered by crash
	fault    atomic.Pointer[func(actor string, message any)]
	delivery atomic.Pointer[func(protocol.UserID, *protocol.Receive)] // called before each delivery
}

// inBubble runs a test twice, each time in a bubble of its own: with a store that
// stands for memory, and with one that stands for a disk.
func inBubble(t *testing.T, config Config, test func(w *world)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		store := newFakeStore()
		config.Store = fakeMemory{store}
		bubble(t, config, store, test)
	})
	t.Run("disk", func(t *testing.T) { onDisk(t, config, test) })
}

// onDisk runs a test that needs a journal.
func onDisk(t *testing.T, config Config, test func(w *world)) {
	t.Helper()
	store := newFakeStore()
	config.Store = store
	bubble(t, config, store, test)
}

// bubble stops the System after the test. It fails the test if a goroutine is left.
func bubble(t *testing.T, config Config, store *fakeStore, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, store: store}
		config.hooks = hooks{
			maxAway: config.hooks.maxAway, cores: config.hooks.cores,
			fault: func(actor string, message any) {
				if fault := w.fault.Load(); fault != nil {
					(*fault)(actor, message)
				}
			},
			deliver: func(user protocol.UserID, m *protocol.Receive) {
				if deliver := w.delivery.Load(); deliver != nil {
					(*deliver)(user, m)
				}
			},
			unhandled: func(actor string, message any) { t.Errorf("%s does not handle %T", actor, message) },
		}
		system, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		w.system, w.config = system, config
		defer w.stop()
		test(w)
	})
}

// stop ends the system and lets pass the virtual time that protoactor's throttle
// of dead letters takes to end.
func (w *world) stop() {
	if w.stopped {
		return
	}
	w.stopped = true
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	if err := w.system.Stop(ctx); err != nil && w.Context().Err() == nil {
		w.Errorf("stop: %v", err)
	}
	if left := w.actors(); len(left) > 0 {
		w.Errorf("actors are left after the stop: %v", left)
	}
	time.Sleep(10 * time.Second)
}

// restart ends the system and starts another on the same store.
func (w *world) restart() {
	w.Helper()
	w.stop()
	system, err := New(w.config)
	if err != nil {
		w.Fatal(err)
	}
	w.system, w.stopped = system, false
}

// actors are the names of all actors and of whoever else has an address, but for
// those of protoactor itself, and the stopwatches.
func (w *world) actors() []string {
	var names []string
	for _, part := range w.system.actors.ProcessRegistry.LocalPIDs.LocalPIDs {
		part.IterCb(func(name string, _ any) {
			if name != "deadletter" && name != "eventstream" && !strings.HasPrefix(name, "guardian$") && !strings.HasPrefix(name, "stopwatch/") {
				names = append(names, name)
			}
		})
	}
	return names
}

// on has every actor call f before it handles a message; f may panic.
func (w *world) on(f func(actor string, message any)) { w.fault.Store(&f) }

// crashOn has the user's actor panic on each send whose content begins so.
func (w *world) crashOn(user, content string) {
	w.on(func(actor string, message any) {
		if send, ok := message.(*protocol.Send); ok && actor == user && strings.HasPrefix(send.Content, content) {
			panic("crash on purpose: " + content)
		}
	})
}

func (w *world) tree() *Tree {
	w.Helper()
	tree, err := w.system.Describe(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return tree
}

// scale changes the number of shards and waits for the end of it, and how it went.
func (w *world) scale(shards int) Scaling {
	w.Helper()
	if _, err := w.system.Scale(w.Context(), shards, "test"); err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
	for range 1000 {
		if now := w.system.Scaling(); now.Phase == Settled {
			return now
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.Fatalf("the number of shards is not settled: %+v", w.system.Scaling())
	return Scaling{}
}

func (w *world) userInfo(user string) *UserInfo {
	w.Helper()
	info, err := w.system.DescribeUser(w.Context(), protocol.UserID(user))
	if err != nil {
		w.Fatal(err)
	}
	return info
}

func (w *world) users() int {
	n := 0
	for _, shard := range w.tree().Shards {
		n += shard.Users
	}
	return n
}

// peer is the far end of a socket, with the reader that transport has.
type peer struct {
	w    *world
	conn *fakeConn
	link *Link
}

// connect opens a session that must succeed.
func (w *world) connect(user string) *peer {
	w.Helper()
	p, err := w.tryConnect(user)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func (w *world) tryConnect(user string) (*peer, error) {
	p := &peer{w: w, conn: &fakeConn{}}
	var err error
	p.link, err = w.system.Connect(w.Context(), protocol.UserID(user), Seed, p.conn)
	return p, err
}

// tryV1 opens a session that speaks V1 and says CONNECT.
func (w *world) tryV1(user string, hello *protocol.Connect) *peer {
	w.Helper()
	p := w.opens(user, hello)
	synctest.Wait()
	return p
}

// v1 opens a session that speaks V1 and must be let in.
func (w *world) v1(user string, hello *protocol.Connect) *peer {
	w.Helper()
	p := w.tryV1(user, hello)
	p.welcome()
	return p
}

// device opens a session of a named device, with the default window and without a
// cursor of its own.
func (w *world) device(user, device string) *peer {
	w.Helper()
	return w.v1(user, &protocol.Connect{Device: device})
}

// welcome is the server's CONNECT.
func (p *peer) welcome() *protocol.Connect {
	p.w.Helper()
	got := of[*protocol.Connect](p.conn)
	if len(got) != 1 {
		frame, closed := p.conn.closeFrame()
		p.w.Fatalf("%d CONNECTs arrived; close frame %+v, %v", len(got), frame, closed)
	}
	return got[0]
}

// seqs are the numbers of what has been received.
func (p *peer) seqs() []uint64 {
	var seqs []uint64
	for _, receive := range of[*protocol.Receive](p.conn) {
		seqs = append(seqs, receive.Seq)
	}
	return seqs
}

// confirmed is where the peer was told that its messages are, by their ids.
func (p *peer) confirmed() map[string]uint64 {
	places := map[string]uint64{}
	for _, sent := range of[*protocol.Sent](p.conn) {
		places[sent.Id] = sent.Seq
	}
	return places
}

// refused is what the peer was told of each refused message, by their ids.
func (p *peer) refused() map[string]protocol.ErrorCode {
	codes := map[string]protocol.ErrorCode{}
	for _, e := range of[*protocol.Error](p.conn) {
		codes[e.Id] = protocol.ErrorCode(e.Code)
	}
	return codes
}

// ack acknowledges everything up to seq and lets that be handled.
func (p *peer) ack(seq uint64) {
	p.link.Ack(seq)
	synctest.Wait()
}

// upTo are the numbers from first to last.
func upTo(first, last uint64) []uint64 {
	var seqs []uint64
	for seq := first; seq <= last; seq++ {
		seqs = append(seqs, seq)
	}
	return seqs
}

// mail puts n messages into a user's inbox, numbered as they are kept.
func (w *world) mail(user string, n int) {
	w.Helper()
	for i := range n {
		msg := &protocol.Send{Sender: "post", Receiver: user, Content: strconv.Itoa(i + 1)}
		if _, err := w.system.Send(w.Context(), msg); err != nil {
			w.Fatal(err)
		}
	}
	synctest.Wait()
}

// send passes a SEND on, and waits for a credit as the reader does.
func (p *peer) send(to, content string) bool { return p.sendID(to, content, "") }

func (p *peer) sendID(to, content, id string) bool {
	next := p.link.Next()
	next.Receiver, next.Content, next.Id = to, content, id
	return p.link.Send()
}

// hangUp cuts the connection from the far end.
func (p *peer) hangUp() { p.link.Gone(0) }

// answerClose sends back the close frame that the peer has got.
func (p *peer) answerClose() {
	p.w.Helper()
	frame, ok := p.conn.closeFrame()
	if !ok {
		p.w.Fatal("no close frame has arrived")
	}
	p.link.Gone(frame.Code)
}

func (p *peer) codes() []protocol.ErrorCode {
	var codes []protocol.ErrorCode
	for _, e := range of[*protocol.Error](p.conn) {
		codes = append(codes, protocol.ErrorCode(e.Code))
	}
	return codes
}

// number is the session's number, for CloseSession.
func (p *peer) number() uint64 { return sessionNumber(p.link.pid) }

var errDeadline = os.ErrDeadlineExceeded
