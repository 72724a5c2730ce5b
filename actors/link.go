package actors

import (
	"fmt"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// Link is the way of a socket's reader into the service: what [System.Connect]
// returns. Only the goroutine that reads the socket calls it, but for Flushed.
//
// It bounds what a socket may have under way: each message that a reader passes
// on takes one of the session's credits and its answer gives it back. Without a
// credit the reader waits, reads no more, and TCP holds the peer up.
type Link struct {
	system *System
	pid    *actor.PID // the session; set before Connect returns
	user   protocol.UserID

	next   *outgoing // the reader's: where the next SEND is decoded to
	pacer  *pacer    // the reader's; nil while no rate is set
	device string    // the reader's; what CONNECT named

	frameBytes int32                 // the longest frame that the reader takes; set before Connect returns
	expelled   bool                  // the reader's: what comes is thrown away
	meter      atomic.Pointer[meter] // lent by the gateway

	written atomic.Uint64 // V1: the newest RECEIVE that the session has written
	acked   atomic.Uint64 // V1: the client has everything up to here

	token   atomic.Uint64 // names the client's token for CloseTokens; 0: none that could be revoked
	expires atomic.Uint32 // when the session ends for want of a new token, in seconds of System.now; 0: never
	credits atomic.Int32  // below zero: the reader waits for a credit; less withheld or barred

	wake atomic.Pointer[waker] // of the reader, or of Connect before it; nil: neither waits, or has

	ended     atomic.Bool // the session has ended: nothing is passed on any more
	leaving   atomic.Bool // the session is closing
	heard     atomic.Bool // something came from the peer since the last heartbeat
	opened    atomic.Bool // Connect may return
	abandoned atomic.Bool // Connect has given up: the session is to end
	dialect   Dialect
}

// waker is what a goroutine waits by.
type waker struct {
	word chan struct{} // to look again; holds one
	err  *Error        // why Connect failed; written before opened
}

// User is whose session this is.
func (l *Link) User() protocol.UserID { return l.user }

// FrameBytes is the longest frame that the client was told it may send, in bytes.
func (l *Link) FrameBytes() int { return int(l.frameBytes) }

// Heard says that the peer is alive. Call it for whatever comes in.
func (l *Link) Heard() {
	if !l.heard.Load() {
		l.heard.Store(true)
	}
}

// Dialect is what the client speaks.
func (l *Link) Dialect() Dialect { return l.dialect }

// Connect passes on the client's CONNECT, in V1, before anything else and once. It
// returns false if the session has ended.
//
// What the client sends after it has to wait for the answer: the session keeps all
// credits until it has written that. So the answer is the first that the client is told, and who
// is not let in after all has sent nothing.
func (l *Link) Connect(c *protocol.Connect) bool {
	l.device = c.Device
	l.credits.Add(-withheld)
	return l.post(c)
}

// welcome is the session's word that CONNECT is answered.
func (l *Link) welcome() {
	l.credits.Add(withheld)
	l.signal()
}

// bar is the session's word that nothing of the client counts any more. The reader does not
// wait, and goes on until the client has closed too.
func (l *Link) bar() {
	l.credits.Add(-barred)
	l.signal()
}

// What is taken from the credits besides one for each message. Both are beyond what
// Config.MaxInFlight may be.
const (
	maxMaxInFlight = 1 << 20
	withheld       = 1 << 24 // until CONNECT is answered
	barred         = 1 << 30 // for good
)

func (l *Link) isBarred() bool { return l.credits.Load() < -barred/2 }

// inFlight is how many messages wait for their answer, or to be passed on.
func (l *Link) inFlight() int {
	return max(0, l.system.config.MaxInFlight-int(l.credits.Load())) & (withheld - 1)
}

// Ack passes on that the client has every message up to seq, in V1. One that says
// nothing new is passed over. It returns false if the session has ended.
func (l *Link) Ack(seq uint64) bool {
	switch {
	case l.expelled:
		return !l.ended.Load()
	case seq > l.written.Load():
		return l.Refuse(&protocol.Error{
			Code:   string(protocol.CodeInvalidMessage),
			Reason: fmt.Sprintf("seq: %d was not sent to this session; acknowledge what has been received", seq),
		})
	case seq <= l.acked.Load():
		return !l.ended.Load()
	}
	// No credit is needed: an ACK that says something new was paid for by a message.
	l.acked.Store(seq)
	l.system.post(l.user, &ack{l.user, l.pid, l.device, seq})
	return !l.ended.Load()
}

// Next is where to decode the next SEND to; pass it on with Send. Receiver holds
// what it was the last time and Sender this session's user, so that a decoder
// may keep the strings.
func (l *Link) Next() *protocol.Send {
	if l.next == nil { // a peer that only listens has none
		l.next = l.makeNext("")
		l.next.untimed = untilSample()
	}
	return &l.next.send
}

// Send passes on what was decoded into Next, or refuses it if it is above the rate. It waits for
// a credit, and while the client is to be slowed down, and returns false if the session ended. Of a
// client that was shut out it passes nothing on.
func (l *Link) Send() bool {
	if l.expelled {
		return !l.ended.Load()
	}
	o := l.next
	if what, retry := l.paced(); what != pass {
		return l.overRate(what, &o.send, retry)
	}
	if !l.take() {
		return !l.ended.Load()
	}
	o.send.Sender = string(l.user)
	l.next = l.makeNext(o.send.Receiver)
	begun := l.system.tracer != nil && l.system.begins(&o.send)
	if l.system.traced(o.send.Sender, o.send.Receiver, o.send.Traceparent) {
		l.system.read(&o.send, sessionNumber(l.pid), l.device, begun)
	}
	if o.untimed > 0 {
		l.next.untimed = o.untimed - 1
	} else {
		l.next.untimed = untilSample()
		o.envelope.Sender = l.system.timed(l.pid)
	}
	l.system.post(protocol.UserID(o.send.Receiver), &o.envelope)
	return true
}

func (l *Link) makeNext(receiver string) *outgoing {
	o := newOutgoing(l.pid)
	o.send.Receiver = receiver
	o.send.Sender = string(l.user)
	return o
}

// Refuse has the peer told that a frame of its was refused. It takes a credit,
// as Send does, and counts for the rate.
func (l *Link) Refuse(e *protocol.Error) bool {
	if l.expelled {
		return !l.ended.Load()
	}
	switch what, retry := l.paced(); what {
	case expel:
		return l.expel(retry)
	case refuse:
		e.Retry = retryOf(retry)
	}
	return l.refuse(e)
}

// refuse is Refuse for what the rate has counted.
func (l *Link) refuse(e *protocol.Error) bool {
	l.refusedFrame(e)
	if !l.take() {
		return !l.ended.Load()
	}
	return l.post(&frameRefused{e})
}

// Ping answers a ping of the peer. It takes a credit, as Send does, and counts for the rate. The payload
// must not change afterwards.
func (l *Link) Ping(payload []byte) bool {
	if l.expelled {
		return !l.ended.Load()
	}
	if what, retry := l.paced(); what == expel {
		return l.expel(retry)
	}
	if !l.take() {
		return !l.ended.Load()
	}
	return l.post(&pingReceived{payload})
}

// Close is the peer's wish to end this session in order: its CLOSE message, which may
// say why, with a reason of protocol.MaxReasonBytes at most. The close frame says the same. It
// takes all credits, so that what the peer sent before has had its answer: a
// refusal is told before the close frame. Nothing may be passed on after it but
// Fail and Gone.
func (l *Link) Close(code protocol.CloseCode, reason string) bool {
	if l.expelled {
		return !l.ended.Load()
	}
	l.credits.Add(-int32(l.system.config.MaxInFlight))
	l.wait()
	return l.post(&peerCloses{code, reason})
}

// Fail closes the session because the peer broke the protocol. The reader should
// then go on and throw away what comes until the peer closes its side.
func (l *Link) Fail(code protocol.CloseCode, reason string) {
	l.post(&peerFailed{code, reason})
}

// Gone is the reader's last word: nothing more comes from the peer. A code other
// than zero is the one of the peer's close frame.
func (l *Link) Gone(code protocol.CloseCode) {
	l.post(&peerGone{code})
}

// Flushed is the Conn's word that what a Flush had left is written, or that it
// could not be. Any goroutine may call it.
func (l *Link) Flushed(err error) {
	l.post(&flushed{err})
}

func (l *Link) post(message any) bool {
	if l.ended.Load() {
		return false
	}
	l.system.root.Send(l.pid, message)
	return true
}

// take takes a credit and waits for one if need be. It returns false if the session has
// ended or the client is shut out. Only the reader calls it.
func (l *Link) take() bool {
	if l.ended.Load() {
		return false
	}
	left := l.credits.Add(-1)
	if left >= 0 {
		return true
	}
	if left >= -withheld/2 {
		l.system.counts.limits.add(LimitInFlight) // too often for an event
	}
	l.wait()
	if l.isBarred() {
		l.credits.Add(1)
		return false
	}
	return !l.ended.Load()
}

// wait waits until there is a credit, or the session has ended, or the client is shut out. Only
// the reader calls it.
func (l *Link) wait() {
	wake := l.waker() // before the first look, or else the word could be missed
	for l.credits.Load() < 0 && !l.isBarred() && !l.ended.Load() {
		<-wake.word
	}
}

// waker is what the reader, or Connect before it, waits by. Most links never have one: those
// who wait for their answers before they send on need none.
func (l *Link) waker() *waker {
	if wake := l.wake.Load(); wake != nil {
		return wake
	}
	wake := &waker{word: make(chan struct{}, 1)}
	l.wake.Store(wake)
	return wake
}

// give returns a credit. Any actor may call it, once for each answer.
func (l *Link) give() {
	if l.credits.Add(1) == 0 {
		l.signal()
	}
}

// end lets the reader go, if it waits, and takes nothing more from it.
func (l *Link) end() {
	l.ended.Store(true)
	l.leave()
}

// settle ends the wait of Connect. Only the first call counts.
func (l *Link) settle(err *Error) {
	if l.opened.Load() {
		return
	}
	if wake := l.wake.Load(); wake != nil { // or else Connect has given up
		wake.err = err
	}
	l.opened.Store(true)
	l.signal()
}

func (l *Link) signal() {
	wake := l.wake.Load()
	if wake == nil {
		return // who begins to wait looks first
	}
	select {
	case wake.word <- struct{}{}:
	default: // it has been told already
	}
}
