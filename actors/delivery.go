package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// attachment is one session of a user, as the user's actor sees it: how far of the
// inbox has been sent to it, and how far it has arrived.
type attachment struct {
	session *actor.PID
	device  string
	sent    uint64 // the newest that was sent
	has     uint64 // everything up to here has arrived
	timing  timing // of a message that is on its way
	flight  flight // what is on its way
	window  int32  // messages that may be
	listens bool   // it acknowledges, and so has a say in where its device stands
	seed    bool   // its client acknowledges nothing; the session does
}

// room is whether one more message may be on its way.
func (a *attachment) room() bool { return a.flight.room(int(a.window)) }

// took notes that a message is on its way.
func (a *attachment) took(m *protocol.Receive) {
	a.sent = m.Seq
	a.flight.push(m.Seq, int(inbox.Size(m)))
}

// resume counts what had been sent when the user's actor was another, and has not
// arrived. Its bytes are not known any more.
func (a *attachment) resume(arrived uint64) {
	a.has = arrived
	for seq := arrived + 1; seq <= a.sent && int32(a.flight.n) < a.window; seq++ {
		a.flight.push(seq, 0)
	}
}

// arrived notes that everything up to seq has arrived.
func (a *attachment) arrived(seq uint64) {
	a.has = max(a.has, seq)
	a.flight.arrived(seq)
}

// timing is a message whose time to its ACK is taken: the low half of its number, and
// when it was sent. The zero timing is none.
type timing struct {
	seq uint32
	at  tick
}

// sample takes the time of what was just sent, as it was committed, if chance picks it.
// Of a session one at a time is timed.
func (u *user) sample(a *attachment) {
	switch {
	case a.seed || a.timing.at != 0:
	case u.untimed > 0:
		u.untimed--
	default:
		u.untimed = untilSample()
		a.timing = timing{uint32(a.sent), tickOf(u.system.now())}
	}
}

// timeAck counts how long what arrives now took, if it was timed.
func (u *user) timeAck(a *attachment, upTo uint64) {
	if t := a.timing; t.at != 0 && int32(uint32(upTo)-t.seq) >= 0 {
		a.timing = timing{}
		u.system.counts.acks.add(uint64(tickOf(u.system.now()).since(t.at)), 1)
	}
}

// maxTail and maxTailBytes bound the newest messages that a user's actor keeps in
// memory for sessions that are a little behind. One that is further behind reads
// from the store, and a stalled one costs no memory.
const (
	maxTail      = 32
	maxTailBytes = 64 << 10
)

// tail is the newest committed messages, without a gap, the newest last. The nil tail is empty.
type tail struct {
	messages []*protocol.Receive
	bytes    int
}

// push adds the newest message and lets the oldest go when there are too many.
func (t *tail) push(m *protocol.Receive) {
	if n := len(t.messages); n > 0 && t.messages[n-1].Seq+1 != m.Seq {
		*t = tail{}
	}
	t.messages = append(t.messages, m)
	t.bytes += int(inbox.Size(m))
	for len(t.messages) > maxTail || t.bytes > maxTailBytes {
		t.pop()
	}
}

func (t *tail) pop() {
	t.bytes -= int(inbox.Size(t.messages[0]))
	t.messages[0] = nil
	t.messages = t.messages[1:]
}

// after is the message behind the number, or nil if it is not in the tail.
func (t *tail) after(seq uint64) *protocol.Receive {
	if t.empty() || seq+1 < t.messages[0].Seq {
		return nil
	}
	if i := seq + 1 - t.messages[0].Seq; i < uint64(len(t.messages)) {
		return t.messages[i]
	}
	return nil
}

// keepFrom lets go what nobody needs: the messages up to seq.
func (t *tail) keepFrom(seq uint64) {
	for !t.empty() && t.messages[0].Seq <= seq {
		t.pop()
	}
	if t.empty() {
		t.clear()
	}
}

func (t *tail) empty() bool { return t == nil || len(t.messages) == 0 }

func (t *tail) clear() {
	if t != nil {
		*t = tail{}
	}
}

// deliver brings messages that were just committed to the sessions: at once to
// those that have all before them, and from the tail or the store to the others
// when they have room again.
func (u *user) deliver(entries []*keep) {
	behind := false
	for _, k := range entries {
		handed := false
		for _, a := range u.sessions {
			if a.sent+1 == k.message.Seq && a.room() {
				u.pass(a, &k.message)
				handed = true
				u.sample(a)
			} else {
				behind = true
			}
		}
		if !handed && u.system.traced(k.message.Sender, k.message.Receiver, k.message.Traceparent) {
			u.waits(&k.message)
		}
	}
	if !behind {
		u.tail.clear()
		return
	}
	if u.tail == nil {
		u.tail = new(tail)
	}
	for _, k := range entries {
		u.tail.push(&k.message)
	}
	u.pumpAll(false)
}

// pumpAll sends every session what it has room for, and lets go of the tail what
// all that keep up have.
func (u *user) pumpAll(due bool) {
	for _, a := range u.sessions {
		u.pump(a, due)
	}
	u.trimTail()
}

func (u *user) trimTail() {
	if u.tail.empty() {
		return
	}
	oldest := u.head
	for _, a := range u.sessions {
		if u.tail.after(a.sent) != nil {
			oldest = min(oldest, a.sent)
		}
	}
	u.tail.keepFrom(oldest)
}

// readWait is how long a read for less than half a window waits for more room.
const readWait = 20 * time.Millisecond

func (u *user) readLater() {
	if !u.late {
		u.late = true
		u.system.after(readWait, u.self, msgReadDue)
	}
}

// pump sends one session what it has room for. When a read is due, it reads from the
// store however little there is room for.
func (u *user) pump(a *attachment, due bool) {
	for a.sent < u.head && a.room() {
		if m := u.tail.after(a.sent); m != nil {
			u.pass(a, m)
			continue
		}
		// A read for each message that arrives would cost more than the message, so one
		// for less than half a window waits a little for more room.
		if !due && (int32(a.flight.n) > a.window/2 || a.flight.bytes > protocol.MaxWindowBytes/2) {
			u.readLater()
			return
		}
		if !u.replay(a) {
			return
		}
	}
}

// replay reads for a session what is behind what it has. It returns false if the
// store failed.
func (u *user) replay(a *attachment) bool {
	entries, err := u.system.config.Store.Read(u.id, a.sent, int(a.window)-int(a.flight.n), protocol.MaxWindowBytes-a.flight.bytes)
	if err != nil {
		u.system.storeTrouble("inbox not read", u.id, err)
		u.retryLater()
		return false
	}
	next := u.head + 1 // of the entries, if there are none any more
	if len(entries) > 0 {
		next = min(next, entries[0].Message.Seq)
	}
	if next > a.sent+1 {
		u.root().Send(a.session, &gapped{protocol.Gap{First: a.sent + 1, Last: next - 1}, goneFromInbox})
		u.gone(a, next-1)
		a.sent = next - 1
	}
	for _, e := range entries {
		if e.Message.Seq > u.head { // committed, but the word has not come yet
			break
		}
		u.pass(a, e.Message)
	}
	return true
}

// pass sends a message to a session, or tells it of the gap if the message is not to be tried.
func (u *user) pass(a *attachment, m *protocol.Receive) {
	defer blame(m)
	if skipped := u.system.skipped.Load(); skipped != nil && u.skip(*skipped, a, m) {
		return
	}
	if u.system.config.hooks.deliver != nil {
		u.system.config.hooks.deliver(u.id, m)
	}
	a.took(m)
	if u.system.traced(m.Sender, m.Receiver, m.Traceparent) {
		u.handed(a, m)
	}
	u.root().Send(a.session, m)
}
