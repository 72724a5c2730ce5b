package actors

import (
	"fmt"
	"maps"
	"strconv"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// A message may be poison where it is delivered and not where it is sent: it is in the inbox, its
// sender was told SENT, and the user's actor fails each time that a session gets it. It may
// not be taken out, and the user must not be parked for it. So when the actor has failed over
// it deadlyCrashes times, it is passed over from then on: each device is told of the gap, as of what
// retention took, the coroner keeps a copy with the stack, and the entry stays in the inbox.

// undelivered is what a user's actor panics with that fails over an entry of its inbox.
type undelivered struct {
	message *protocol.Receive
	reason  any
}

func (u *undelivered) String() string {
	return fmt.Sprintf("message %d could not be delivered: %v", u.message.Seq, u.reason)
}

// blame names the message whose delivery failed. Call it deferred.
func blame(m *protocol.Receive) {
	switch reason := recover().(type) {
	case nil:
	case *undelivered, *replaceMe:
		panic(reason)
	default:
		panic(&undelivered{m, reason})
	}
}

// spot is that of a message in an inbox.
type spot struct {
	user protocol.UserID
	seq  uint64
}

// maxSkipped is how many messages of a node are passed over, but for those that are gone from their inboxes. With so many, the users of further
// ones are parked, as those who fail over anything else.
const maxSkipped = 1024

// goneFromInbox and goneByPoison are what a device is told of a gap.
const (
	goneFromInbox = "were removed from the inbox before this device had them"
	goneByPoison  = "cannot be delivered: the service fails on them, and has set them aside; tell its operator"
)

// skip passes over a message, if it is one of those that are not delivered.
func (u *user) skip(those map[spot]struct{}, a *attachment, m *protocol.Receive) bool {
	if _, skipped := those[spot{u.id, m.Seq}]; !skipped {
		return false
	}
	u.root().Send(a.session, &gapped{protocol.Gap{First: m.Seq, Last: m.Seq}, goneByPoison})
	a.sent = m.Seq
	if u.system.traced(m.Sender, m.Receiver, m.Traceparent) {
		u.system.hopOf(HopDropped, m, sessionNumber(a.session), a.device, goneByPoison)
	}
	return true
}

// passOver has a message passed over from now on. It returns false if there are too many.
func (s *System) passOver(at spot) bool {
	for {
		old := s.skipped.Load()
		next := make(map[spot]struct{})
		if old != nil {
			if len(*old) >= maxSkipped {
				return false
			}
			next = maps.Clone(*old)
		}
		next[at] = struct{}{}
		if s.skipped.CompareAndSwap(old, &next) {
			return true
		}
	}
}

// passed forgets which messages of a user were passed over, up to a number: they are gone from the inbox.
func (s *System) passed(user protocol.UserID, upTo uint64) {
	for {
		old := s.skipped.Load()
		if old == nil {
			return
		}
		var next map[spot]struct{}
		for at := range *old {
			if at.user != user || at.seq > upTo {
				continue
			}
			if next == nil {
				next = maps.Clone(*old)
			}
			delete(next, at)
		}
		if next == nil {
			return
		}
		replaced := &next
		if len(next) == 0 {
			replaced = nil
		}
		if s.skipped.CompareAndSwap(old, replaced) {
			return
		}
	}
}

// stumbled counts a failure of a user's actor over an entry of its inbox, and has that passed
// over if it is one too many. It returns whether it does; then the failure is the message's.
func (s *shard) stumbled(ctx sender, e *entry, failure failure, over *undelivered) (poison bool) {
	m := over.message
	// No message that comes is without a sender, so this is none of those.
	times := s.crashes.add(&protocol.Send{Receiver: m.Receiver, Id: strconv.FormatUint(m.Seq, 10)}, s.system.now())
	s.forgetLater()
	if times < deadlyCrashes || !s.system.passOver(spot{protocol.UserID(m.Receiver), m.Seq}) {
		return false
	}
	s.acquit(e)
	// Without the id: an operator's retry is to be another message, for this one is in the inbox.
	send := &protocol.Send{Sender: m.Sender, Receiver: m.Receiver, Content: m.Content}
	letter := letterOf(send, times, failure)
	ctx.Send(s.system.coroner, &setAside{send: send, letter: letter, kept: true})
	return true
}

// letterOf is a message that is to be set aside.
func letterOf(msg *protocol.Send, times uint64, failure failure) *inbox.Deadletter {
	return &inbox.Deadletter{
		At: now(), Sender: protocol.UserID(msg.Sender), Receiver: protocol.UserID(msg.Receiver), ID: msg.Id, Content: msg.Content,
		Crashes: times, Reason: clip(failure.text(), maxReason), Stack: clip(failure.stack, maxStack),
	}
}

// acquit takes the failures over a message that is to blame off its user's count.
func (s *shard) acquit(e *entry) {
	if e != nil {
		s.restarted(e)
		e.failures -= min(e.failures, deadlyCrashes-1)
	}
}
