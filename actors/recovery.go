package actors

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
)

// The one recovery path. A user's actor that fails is stopped; the mail it had
// not come to is taken from its mailbox, a new actor gets the user's sessions
// and then that mail, in order. The sockets notice nothing; the sender of the
// message that was in hand is told.

var _ actor.SupervisorStrategy = (*shard)(nil)

// HandleFailure implements actor.SupervisorStrategy for the users of the shard.
// It runs as part of the shard's own work.
func (s *shard) HandleFailure(system *actor.ActorSystem, by actor.Supervisor, child *actor.PID,
	_ *actor.RestartStatistics, reason, message any,
) {
	s.failed++
	s.system.counts.failures.Add(1)
	s.system.log.Error("user failed", slog.String("user", string(userOf(child))), slog.String("actor", child.GetId()),
		slog.String("reason", fmt.Sprint(reason)), slog.String("message", kind(message)))
	if e := s.users[userOf(child)]; e != nil && e.pid == child {
		e.state = recovering
	}
	by.StopChildren(child)

	msg, waits := restore(message)
	if _, attaching := msg.(*attach); !attaching { // the new actor is given those
		refuse(system.Root, waits, msg, ErrInternal)
	}
}

// terminated goes on where the end of a user's actor leaves its entry.
func (s *shard) terminated(ctx actor.Context, msg *actor.Terminated) {
	e := s.users[userOf(msg.Who)]
	if e == nil || !e.pid.Equal(msg.Who) {
		return
	}
	switch e.state {
	case leaving:
		s.succeed(ctx, e)
	case active, recovering:
		e.hold(e.box.Rest())
		s.recover(ctx, e)
	case parked:
	}
}

// succeed starts the next actor of a user, or forgets the user if there is
// nothing for one to do.
func (s *shard) succeed(ctx actor.Context, e *entry) {
	e.held = slices.DeleteFunc(e.held, func(mail any) bool {
		switch msg, _ := restore(mail); msg.(type) {
		case *attach, *detach, *rest, *mayLeave:
			return true // start attaches the sessions; the rest was for the last actor
		}
		return false
	})
	if len(e.sessions) == 0 && len(e.held) == 0 {
		delete(s.users, e.id)
		return
	}
	s.start(ctx, e)
}

// recover starts a new actor, or parks the user if it failed too often.
func (s *shard) recover(ctx actor.Context, e *entry) {
	intensity := s.system.config.Intensity
	failures := e.failed(s.system.now(), intensity.Window)
	rest := intensity.park(failures)
	if rest == 0 {
		s.succeed(ctx, e)
		return
	}
	s.system.log.Warn("user parked", slog.String("user", string(e.id)), slog.Int("failures", failures), slog.Duration("for", rest))
	e.state = parked
	s.parked++
	e.box = nil
	for _, session := range e.sessions {
		ctx.Send(session, &refused{ErrUnavailable}) // those that are attached already stay
	}
	held := e.held
	e.held = nil
	for _, mail := range held {
		msg, sender := restore(mail)
		if closing, ok := msg.(*closeUser); ok {
			for _, session := range e.sessions {
				ctx.Send(session, closing.close)
			}
			if sender != nil {
				ctx.Send(sender, &closed{sessions: len(e.sessions)})
			}
			continue
		}
		refuse(ctx, sender, msg, ErrUnavailable)
	}
	s.system.after(rest, ctx.Self(), &unpark{e.id})
}

func (s *shard) unpark(ctx actor.Context, msg *unpark) {
	e := s.users[msg.user]
	if e == nil || e.state != parked {
		return
	}
	s.parked--
	e.failedAt = s.system.now() // the window counts from here
	s.succeed(ctx, e)
}
