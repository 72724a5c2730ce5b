package actors

import (
	"time"

	"callboard/protocol"
)

// Tracer records the traces that messages belong to: it is told of the hops of those whose
// traceparent it follows, wherever they are and whenever, also when they have waited in an inbox
// for days. Actors and readers call it from the road of a message, so no method may wait.
type Tracer interface {
	// Begin returns the traceparent of a new trace for a message that came without one, or
	// nothing if none is to be begun with it.
	Begin() (traceparent string)

	// Follows is whether the hops of a message with the traceparent are wanted. It is asked at
	// each hop.
	Follows(traceparent string) bool

	// Hop takes a hop of such a message, without the content.
	Hop(hop Hop)
}

// tracing is whether anybody may follow a message at all.
func (s *System) tracing() bool { return s.tracer != nil || s.traces.Load() != nil }

// begins starts a trace with a message that has none, if it is to be. There is a tracer.
func (s *System) begins(m *protocol.Send) (begun bool) {
	if m.Traceparent != "" {
		return false
	}
	m.Traceparent = s.tracer.Begin()
	return m.Traceparent != ""
}

// read is the first hop of a message.
func (s *System) read(m *protocol.Send, session uint64, device string, begun bool) {
	s.hop(&Hop{
		Kind: HopRead, Sender: protocol.UserID(m.Sender), Receiver: protocol.UserID(m.Receiver), ID: m.Id, Session: session,
		Device: device, Size: len(m.Content), Content: m.Content, Traceparent: m.Traceparent, Begun: begun,
	})
}

// traceHop tells the tracer.
func (s *System) traceHop(h *Hop) {
	if h.Traceparent == "" || s.tracer == nil || !s.tracer.Follows(h.Traceparent) {
		return
	}
	one := *h
	one.Content, one.At, one.Shard = "", time.Now(), -1
	if one.Receiver != "" {
		one.Shard = shardOf(one.Receiver, len(s.ring.Load().shards))
	}
	s.tracer.Hop(one)
}
