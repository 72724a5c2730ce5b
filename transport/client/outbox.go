package client

import (
	"callboard/protocol"
)

// An outbox holds the messages that the service has not confirmed, in the order in
// which they were sent, and knows which of them are on the wire of the present
// connection. It is a function of what it is told: it has no lock, no clock and no
// socket, and belongs to whoever holds the Client's mu.
//
//	           add            take              sent, refused
//	program ────────▶ waiting ─────▶ on the wire ────────────▶ answered
//	                    ▲                 │
//	                    └───── lost ──────┘   in the order of add, whatever
//	                                          was on the wire before
type outbox struct {
	first, last *Sending            // all of them, linked in order
	next        *Sending            // the first that waits; nil: none does
	byID        map[string]*Sending // all of them
	wire        int                 // how many are on the wire
	limit       int                 // how many may be
}

func newOutbox() *outbox { return &outbox{byID: make(map[string]*Sending)} }

// len is how many messages there are.
func (o *outbox) len() int { return len(o.byID) }

// add puts a message behind the others. If there is one with its id already, that
// one is returned and nothing changes.
func (o *outbox) add(s *Sending) (before *Sending) {
	if before := o.byID[s.message.Id]; before != nil {
		return before
	}
	o.byID[s.message.Id] = s
	s.previous = o.last
	if o.last != nil {
		o.last.following = s
	} else {
		o.first = s
	}
	o.last = s
	if o.next == nil {
		o.next = s
	}
	return nil
}

// connected begins a new connection, on which limit messages may be unanswered.
func (o *outbox) connected(limit int) { o.limit = limit }

// lost ends a connection: all wait again, but those that nobody waits for. Those
// are returned; nobody knows whether the service has them.
func (o *outbox) lost() (forgotten []*Sending) {
	for s := o.first; s != nil; {
		following := s.following
		s.onWire = false
		if s.waiters == 0 {
			o.remove(s)
			forgotten = append(forgotten, s)
		}
		s = following
	}
	o.next, o.wire, o.limit = o.first, 0, 0
	return forgotten
}

// take appends the messages that are to be written now, as many as may be on the
// wire and have about maxBytes of content, and takes them for written.
func (o *outbox) take(batch []protocol.Message, maxBytes int) []protocol.Message {
	for bytes := 0; o.next != nil && o.wire < o.limit && bytes < maxBytes; o.next = o.next.following {
		s := o.next
		s.onWire, s.written = true, true
		o.wire++
		bytes += len(s.message.Content)
		batch = append(batch, s.message)
	}
	return batch
}

// answered removes the message that the service has answered, and returns it; nil
// if there is none under that id on the wire.
func (o *outbox) answered(id string) *Sending {
	s := o.byID[id]
	if s == nil || !s.onWire {
		return nil
	}
	o.wire--
	o.remove(s)
	return s
}

// abandon says that one of those who waited for a message does so no longer. If it
// was the last, the message is removed unless it is on the wire: then it stays
// until it is answered or the connection ends. It returns whether it was removed.
func (o *outbox) abandon(s *Sending) (removed bool) {
	s.waiters--
	if s.waiters > 0 || s.onWire {
		return false
	}
	o.remove(s)
	return true
}

// drain removes all, and returns them in order.
func (o *outbox) drain() (all []*Sending) {
	for o.first != nil {
		all = append(all, o.first)
		o.remove(o.first)
	}
	o.wire = 0
	return all
}

func (o *outbox) remove(s *Sending) {
	delete(o.byID, s.message.Id)
	if o.next == s {
		o.next = s.following
	}
	if s.previous != nil {
		s.previous.following = s.following
	} else {
		o.first = s.following
	}
	if s.following != nil {
		s.following.previous = s.previous
	} else {
		o.last = s.previous
	}
	s.previous, s.following = nil, nil
}
