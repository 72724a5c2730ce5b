package actors

import (
	"slices"
	"time"

	"callboard/protocol"
)

// Hop is one step of a message on its way, and what became of it there. Receiver and Seq
// name a message from the step where it gets its number; before that, Sender and ID do.
type Hop struct {
	At       time.Time
	Kind     HopKind
	Sender   protocol.UserID // empty where only the number is known
	Receiver protocol.UserID
	ID       string // the sender's; empty if it gave none
	Seq      uint64 // in the receiver's inbox; 0: it has none yet
	Session  uint64 // whose hop it is, if a session's
	Device   string
	Shard    int // of the receiver; -1 where none is known
	Size     int // of the content, in bytes
	Code     protocol.ErrorCode
	Reason   string
	Content  string // only if it was asked for

	Traceparent string // of the message; empty if it has none
	Begun       bool   // with HopRead: the trace was begun here, and this message is its first
}

// HopKind says what a message has come to.
type HopKind string

// The hops, in the order of the road.
const (
	HopRead         HopKind = "read"
	HopRouted       HopKind = "routed"
	HopHeld         HopKind = "held"
	HopRefused      HopKind = "refused"
	HopRepeated     HopKind = "repeated"
	HopNumbered     HopKind = "numbered"
	HopKept         HopKind = "kept"
	HopAnswered     HopKind = "answered"
	HopWaiting      HopKind = "waiting"
	HopHanded       HopKind = "handed"
	HopWritten      HopKind = "written"
	HopDropped      HopKind = "dropped"
	HopGone         HopKind = "gone"
	HopAcknowledged HopKind = "acknowledged"
)

// HopMeaning is a kind of hop and what it says, for people.
type HopMeaning struct {
	Kind    HopKind
	Meaning string
}

var hopKinds = []HopMeaning{
	{HopRead, "the sender's session, or the admin API, has read it and passes it on"},
	{HopRouted, "the receiver's shard has sent it on to the receiver's actor"},
	{HopHeld, "the receiver's shard keeps it until the receiver has an actor again"},
	{HopRefused, "it is refused with the code, and the sender is told"},
	{HopRepeated, "it was sent before under the same id and has that place"},
	{HopNumbered, "the receiver's actor has given it its number"},
	{HopKept, "the commit that holds it is done"},
	{HopAnswered, "the sender is sent SENT; nobody waits for it if this is missing"},
	{HopWaiting, "it waits in the inbox: no session is there, or none has room"},
	{HopHanded, "RECEIVE is on its way to the session"},
	{HopWritten, "the session has written it for the network to take"},
	{HopDropped, "the session has not written it, and the reason says why"},
	{HopGone, "retention, or an operator, has removed it and all before it, before the session could be sent them"},
	{HopAcknowledged, "the device has it; of the seed's dialect, the network has taken it"},
}

// HopKinds are all kinds there are. The caller owns the slice.
func HopKinds() []HopMeaning { return slices.Clone(hopKinds) }

// traced is whether somebody follows the messages of one of the two, or the trace of this one.
// Every hop of every message asks it first: one load when nobody traces anybody, and a look at a
// string that is empty.
func (s *System) traced(sender, receiver, traceparent string) bool {
	return (s.traces.Load() != nil || traceparent != "") && s.follows(sender, receiver, traceparent)
}

func (s *System) follows(sender, receiver, traceparent string) bool {
	if traceparent != "" && s.tracer != nil && s.tracer.Follows(traceparent) {
		return true
	}
	t := s.traces.Load()
	if t == nil || t.mask&(mark(sender)|mark(receiver)) == 0 {
		return false
	}
	for _, trace := range t.all {
		if trace.about(sender, receiver) {
			return true
		}
	}
	return false
}

// mark is a bit for an id. Most users who are not traced are told by it from those who
// are, without a look at the ids themselves.
func mark(id string) uint64 {
	n := len(id)
	if n == 0 {
		return 0
	}
	return 1 << ((id[n-1] ^ id[n/2]<<3 ^ byte(n)<<4) & 63)
}

// hop tells those who follow the message. It never waits, and keeps nothing of h.
func (s *System) hop(h *Hop) {
	s.traceHop(h)
	t := s.traces.Load()
	if t == nil {
		return
	}
	for _, trace := range t.all {
		if !trace.about(string(h.Sender), string(h.Receiver)) {
			continue
		}
		if trace.full() {
			trace.miss()
			continue
		}
		one := hopped{*h, time.Since(trace.began)}
		if !trace.contents {
			one.Content = ""
		}
		trace.put(&one)
	}
}

// hopOfSend is a hop of a message that has no number yet. It takes the parts of a Hop one by
// one: a Hop in their frames would make the stacks of those on the road larger.
func (s *System) hopOfSend(kind HopKind, m *protocol.Send, session uint64, device, reason string) {
	s.hop(&Hop{
		Kind: kind, Sender: protocol.UserID(m.Sender), Receiver: protocol.UserID(m.Receiver), ID: m.Id,
		Session: session, Device: device, Reason: reason, Size: len(m.Content), Content: m.Content, Traceparent: m.Traceparent,
	})
}

// hopOf is a hop of a message that has a number.
func (s *System) hopOf(kind HopKind, m *protocol.Receive, session uint64, device, reason string) {
	s.hop(&Hop{
		Kind: kind, Sender: protocol.UserID(m.Sender), Receiver: protocol.UserID(m.Receiver), ID: m.Id, Seq: m.Seq,
		Session: session, Device: device, Reason: reason, Size: len(m.Content), Content: m.Content, Traceparent: m.Traceparent,
	})
}

// refusedKept counts, and notes for those who follow it, that a message with a number is
// refused.
func (s *System) refusedKept(m *protocol.Receive, why *Error) {
	s.countRefusal(m.Receiver, why)
	if s.traced(m.Sender, m.Receiver, m.Traceparent) {
		s.hop(&Hop{
			Kind: HopRefused, Sender: protocol.UserID(m.Sender), Receiver: protocol.UserID(m.Receiver), ID: m.Id, Seq: m.Seq,
			Code: why.Code, Reason: why.Reason, Size: len(m.Content), Content: m.Content, Traceparent: m.Traceparent,
		})
	}
}

// refusedSend counts, and notes for those who follow it, that a send is refused.
func (s *System) refusedSend(m *protocol.Send, why *Error) {
	s.countRefusal(m.Receiver, why)
	if s.traced(m.Sender, m.Receiver, m.Traceparent) {
		s.hop(&Hop{
			Kind: HopRefused, Sender: protocol.UserID(m.Sender), Receiver: protocol.UserID(m.Receiver), ID: m.Id,
			Code: why.Code, Reason: why.Reason, Size: len(m.Content), Content: m.Content, Traceparent: m.Traceparent,
		})
	}
}

// repeatedSend notes, for those who follow it, that a message has come again, maybe as a part of
// another trace.
func (s *System) repeatedSend(m *protocol.Receive, again *protocol.Send) {
	if s.traced(m.Sender, m.Receiver, again.Traceparent) {
		s.hop(&Hop{
			Kind: HopRepeated, Sender: protocol.UserID(m.Sender), Receiver: protocol.UserID(m.Receiver), ID: m.Id, Seq: m.Seq,
			Size: len(m.Content), Content: m.Content, Traceparent: again.Traceparent,
		})
	}
}

// answered notes, for those who follow it, that the sender is told SENT.
func (s *System) answered(m *protocol.Receive) {
	if s.traced(m.Sender, m.Receiver, m.Traceparent) {
		s.hopOf(HopAnswered, m, 0, "", "")
	}
}

// answeredAgain counts, and notes for those who follow it, that a sender is told SENT for a
// message that it has sent before.
func (s *System) answeredAgain(m *protocol.Receive) {
	s.counts.repeated.Add(1)
	s.answered(m)
}

// mailHop notes, for those who follow them, a hop of the sends among mail that a shard
// holds or has held.
func (s *System) mailHop(kind HopKind, mail []any, reason string) {
	if !s.tracing() {
		return
	}
	for _, one := range mail {
		msg, _ := restore(one)
		if m, ok := msg.(*protocol.Send); ok && s.traced(m.Sender, m.Receiver, m.Traceparent) {
			s.hopOfSend(kind, m, 0, "", reason)
		}
	}
}

// refusedFrame counts, and notes for those who follow its sender, that a frame is refused
// before it is a message.
func (l *Link) refusedFrame(e *protocol.Error) {
	code := protocol.ErrorCode(e.Code)
	l.system.counts.frames.add(code)
	switch {
	case code == protocol.CodeTooLarge, code == protocol.CodeRateLimited && l.pacer.refusals == 1:
		l.system.HitLimit(code, l.user, "", e.Reason)
	case code == protocol.CodeRateLimited: // who watches has been told
		l.system.counts.limits.add(code)
	}
	if l.system.traced(string(l.user), "", "") {
		l.system.hop(&Hop{Kind: HopRefused, Sender: l.user, ID: e.Id, Session: sessionNumber(l.pid), Code: code, Reason: e.Reason})
	}
}
