package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/mailbox"
	"callboard/protocol"
)

// How a shard gets users when the number of shards changes. The first message for a user
// may come before the user does. It waits, with all that follow, for the word of the
// shard that had the user: a handover, or that there is nothing to hand over. That word
// is behind all that the same senders had sent there before.

// find is what the shard knows of a user, or nil. It returns false when the message at
// hand has been put aside, because the user may still be on the way to here.
func (s *shard) find(ctx actor.Context, user protocol.UserID) (e *entry, here bool) {
	e = s.users[user]
	switch {
	case e != nil && e.state != arriving:
		return e, true
	case e != nil:
		e.held.add(mailOf(ctx))
		return nil, false
	case s.moving == nil:
		return nil, true
	}
	last := s.lastShard(user)
	if last == nil {
		return nil, true
	}
	e = &entry{id: user, state: arriving}
	e.held.add(mailOf(ctx))
	s.insert(e)
	last.PostPriorityMessage(&claim{user: user, by: s.box})
	return nil, false
}

// lastShard is the other shard that may have a user whom this one does not know, or nil.
func (s *shard) lastShard(user protocol.UserID) *mailbox.Gated {
	m := s.moving
	h := hashOf(user)
	last := placeOf(h, len(m.from))
	if last == s.number || sliceOf(h) < m.settled || user == m.known {
		return nil
	}
	return m.from[last].box
}

// take gets a user from the shard that had the user. It may be tried again, and then the user is here.
func (s *shard) take(ctx actor.Context, msg *handover) {
	e := msg.entry
	if here := s.users[e.id]; here != e {
		if here != nil {
			if here.state != arriving {
				panic("user " + string(here.id) + " is in two shards")
			}
			msg.waiting = here.held.all()
			s.remove(here)
		}
		s.insert(e)
		if e.state == parked {
			s.rests(1)
			s.system.after(max(0, e.quietAt-s.system.now()), ctx.Self(), &unpark{e.id})
		}
	}
	switch {
	case e.state != active:
	case e.actor == nil:
		s.start(ctx, e)
	default:
		s.release(ctx, e)
	}
	waiting := msg.waiting
	msg.waiting = nil
	s.replay(ctx, waiting)
}

// absent: there was nothing to hand over.
func (s *shard) absent(ctx actor.Context, msg *absent) {
	e := s.users[msg.user]
	if e == nil || e.state != arriving {
		return // the user has come all the same, before the question
	}
	s.remove(e)
	if s.moving == nil { // the answer to the last claims may come when all is settled here
		s.replay(ctx, e.held.all())
		return
	}
	s.moving.known = msg.user
	s.replay(ctx, e.held.all())
	s.moving.known = ""
}

// replay handles messages that were put aside, as if they came now: a panic over one of them is
// survived for that one, and is none of the message at hand.
func (s *shard) replay(ctx actor.Context, mail []any) {
	tries := s.stamina.tries
	for _, m := range mail {
		s.stamina.tries = 0
		s.Receive(replayed{Context: ctx, mail: m})
	}
	s.stamina.tries = tries
}

// replayed is the context of a message that was put aside.
type replayed struct {
	actor.Context
	mail   any
	putOff int // so often
}

// Message implements actor.Context.
func (r replayed) Message() any {
	message, _ := restore(r.mail)
	return message
}

// Sender implements actor.Context.
func (r replayed) Sender() *actor.PID {
	_, sender := restore(r.mail)
	return sender
}

// Forward implements actor.Context.
func (r replayed) Forward(to *actor.PID) { r.Send(to, r.mail) }
