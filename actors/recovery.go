package actors

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// The one recovery path. A user's actor that fails, or whose numbers were not kept,
// is stopped; the mail it had not come to is taken from its mailbox. When the journal
// has answered for all that the actor had handed over, a new one reads the inbox from
// the store and gets that mail, in order, and the user's sessions attach again and
// say how far they are. The sockets notice nothing; the senders of the message that
// was in hand, and of those not yet handed over, are told.

var _ actor.SupervisorStrategy = (*shard)(nil)

// HandleFailure implements actor.SupervisorStrategy for the users of the shard.
// It runs as part of the shard's own work.
func (s *shard) HandleFailure(system *actor.ActorSystem, by actor.Supervisor, child *actor.PID,
	_ *actor.RestartStatistics, reason, message any,
) {
	failure := failureOf(reason)
	wish, innocent := failure.reason.(*replaceMe)
	poison := false
	e := s.users[userOf(child)]
	if e != nil && e.pid != child {
		e = nil
	}
	if innocent {
		s.system.counts.replaced.Add(1)
		s.system.log.Info("user replaced", slog.String("user", string(userOf(child))), slog.Any("reason", wish.why))
		s.tell(UserReplaced, userOf(child), "", wish.why.Error())
	} else {
		s.failed++
		s.system.counts.failures.Add(1)
		s.system.log.Error("user failed", slog.String("user", string(userOf(child))), slog.String("actor", child.GetId()),
			slog.String("reason", failure.text()), slog.String("message", kind(message)), slog.String("stack", failure.stack))
		s.tell(UserFailed, userOf(child), protocol.CodeInternal, failure.text())
		poison = s.crashed(system.Root, e, failure, message)
	}
	if e != nil {
		e.state, e.innocent = recovering, innocent || poison
	}
	by.StopChildren(child)

	if _, kept := failure.reason.(*undelivered); poison && !kept { // the coroner answers for the message at hand
		return
	}
	msg, waits := restore(message)
	if _, attaching := msg.(*attach); !attaching { // its session attaches again
		s.system.refuse(system.Root, waits, msg, ErrInternal)
	}
}

// terminated goes on where the end of a user's actor leaves its entry. It may be tried again, and
// counts the end when all is done.
func (s *shard) terminated(ctx actor.Context, msg *actor.Terminated) {
	switch e := s.users[userOf(msg.Who)]; {
	case e == nil:
	case msg.Who.Equal(e.pid): // nil in one that arrives, when an earlier one of the user ends
		s.goOn(ctx, e)
	case e.state == active && !e.held.none(): // the next actor is there, and failed to get its mail
		s.release(ctx, e)
	}
	s.actors--
	s.endLast(ctx)
}

// goOn is what follows on the end of a user's actor.
func (s *shard) goOn(ctx actor.Context, e *entry) {
	defer s.wrappedUp(ctx, e)
	switch e.state {
	case leaving:
		s.succeed(ctx, e)
	case departing:
		s.departed(ctx, e)
	case active, recovering:
		e.actor.abandoned()
		rest := e.actor.box.Rest()
		e.hold(rest)
		s.system.mailHop(HopHeld, rest, "the receiver's actor is being replaced")
		s.recover(ctx, e)
	case parked: // it is tried again
		s.turnAway(ctx, e)
	case fencing, arriving:
	}
}

// succeed starts the next actor of a user, here or in the shard that the user belongs
// to now, or forgets the user if there is nothing for one to do.
func (s *shard) succeed(ctx actor.Context, e *entry) {
	e.held = fewOf(slices.DeleteFunc(e.held.all(), func(mail any) bool {
		switch msg, _ := restore(mail); msg.(type) {
		case *attach, *detach, *rest, *mayLeave, *depart:
			return true // the sessions attach again; the rest was for the last actor
		case *committed, *uncommitted, *retry, *readDue:
			return true // likewise
		}
		return false
	}))
	if e.state != leaving && e.state != departing {
		s.tell(UserRecovered, e.id, "", "")
	}
	switch {
	case len(e.sessions) == 0 && e.held.none() && !s.suspect(e):
		s.forget(ctx, e)
	case e.moves:
		e.state = active // where it arrives
		s.give(ctx, e)
	default:
		s.start(ctx, e)
	}
}

// suspect is whether a user's actor has failed lately: who is forgotten would begin anew, and never be
// parked. The next actor leaves when it has been quiet, as any.
func (s *shard) suspect(e *entry) bool {
	return (e.state == recovering || e.state == fencing) &&
		e.failures > 0 && s.system.now()-e.failedAt <= s.system.Intensity().Window
}

// forget lets go of a user who has neither a session nor mail.
func (s *shard) forget(ctx actor.Context, e *entry) {
	s.remove(e)
	if !e.moves {
		return
	}
	if e.claimed {
		s.moving.ring.road(e.id).box.PostPriorityMessage(&absent{e.id})
	}
	s.gone(ctx)
}

// fence starts the next actor when the journal has answered for all that the last
// one had handed over.
func (s *shard) fence(ctx actor.Context, e *entry) {
	if s.system.journal == nil {
		s.succeed(ctx, e)
		return
	}
	e.state = fencing
	ctx.Send(s.system.journal, &fence{e.id, s.box})
}

func (s *shard) fenced(ctx actor.Context, msg *fenced) {
	if e := s.users[msg.user]; e != nil && e.state == fencing {
		s.succeed(ctx, e)
	}
}

// recover has a new actor started, or parks the user if it failed too often.
func (s *shard) recover(ctx actor.Context, e *entry) {
	if e.innocent {
		s.fence(ctx, e)
		return
	}
	intensity := s.system.Intensity()
	s.restarted(e)
	failures := e.failed(s.system.now(), intensity.Window)
	rest := intensity.park(failures)
	if s.system.config.hooks.exact {
		rest = intensity.exactly(failures)
	}
	if rest == 0 {
		s.fence(ctx, e)
		return
	}
	s.system.log.Warn("user parked", slog.String("user", string(e.id)), slog.Int("failures", failures), slog.Duration("for", rest))
	s.tell(UserParked, e.id, protocol.CodeUnavailable, fmt.Sprintf("%d failures; it rests for %s", failures, rest))
	e.state = parked
	s.rests(1)
	s.system.counts.parkings.Add(1)
	e.actor = nil
	e.quietAt = s.system.now() + rest
	if !e.moves {
		s.system.after(rest, ctx.Self(), &unpark{e.id})
	}
	s.turnAway(ctx, e)
}

// turnAway tells those who wait for a user that it is parked, and lets one go who moves. It may be
// tried again.
func (s *shard) turnAway(ctx actor.Context, e *entry) {
	for _, session := range e.sessions {
		ctx.Send(session, &refused{err: ErrUnavailable}) // those that are attached already stay
	}
	held := e.held.all()
	for i, mail := range held {
		e.held = fewOf(held[i+1:])
		msg, sender := restore(mail)
		s.system.refuse(ctx, sender, msg, ErrUnavailable)
	}
	if e.moves {
		s.rests(-1)
		s.give(ctx, e)
	}
}

func (s *shard) unpark(ctx actor.Context, msg *unpark) {
	e := s.users[msg.user]
	if e == nil || e.state != parked || s.system.now() < e.quietAt {
		return
	}
	s.rests(-1)
	s.tell(UserUnparked, e.id, "", "")
	e.failedAt = s.system.now() // the window counts from here
	s.fence(ctx, e)
}

// rests counts users who are parked here, or no longer.
func (s *shard) rests(users int) {
	s.parked += users
	s.system.counts.parked.Add(int64(users))
}

// tell publishes what has become of a user's actor.
func (s *shard) tell(kind EventKind, user protocol.UserID, code protocol.ErrorCode, reason string) {
	if s.system.watched() {
		s.system.publish(Event{Kind: kind, User: user, Code: code, Reason: reason})
	}
}
