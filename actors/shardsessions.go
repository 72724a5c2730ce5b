package actors

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"
)

// What a shard does with the sessions of its users, and what it says of them.

func (s *shard) attach(ctx actor.Context, msg *attach) {
	if s.stopping {
		ctx.Send(msg.session, &refused{err: ErrDraining})
		return
	}
	if s.system.Blocked(msg.user) != nil {
		ctx.Send(msg.session, &refused{err: ErrBlocked, lasting: true})
		return
	}
	e, here := s.find(ctx, msg.user)
	if !here {
		return
	}
	if e == nil {
		e = s.add(ctx, msg.user)
	}
	if e.state == parked {
		ctx.Send(msg.session, &refused{err: ErrUnavailable})
		return
	}
	if !slices.ContainsFunc(e.sessions, msg.session.Equal) { // or else it attaches again
		if len(e.sessions) >= s.system.limits.Load().MaxSessionsPerUser {
			ctx.Send(msg.session, &refused{err: ErrTooManySessions})
			return
		}
		e.sessions = append(e.sessions, msg.session)
	}
	s.forward(ctx, e)
}

func (s *shard) detach(ctx actor.Context, msg *detach) {
	e, here := s.find(ctx, msg.user)
	if !here || e == nil {
		return
	}
	e.sessions = slices.DeleteFunc(e.sessions, msg.session.Equal)
	s.forward(ctx, e)
}

func (s *shard) ack(ctx actor.Context, msg *ack) {
	if e, here := s.find(ctx, msg.user); here && e != nil {
		s.forward(ctx, e)
	}
}

func (s *shard) closeUser(ctx actor.Context, msg *closeUser) {
	e, here := s.find(ctx, msg.user)
	if !here {
		return
	}
	if e == nil {
		answer(ctx, &closed{})
		return
	}
	for _, session := range e.sessions {
		ctx.Send(session, msg.close)
	}
	answer(ctx, &closed{sessions: len(e.sessions)})
}

func (s *shard) closeSession(ctx actor.Context, msg *closeSession) {
	e, here := s.find(ctx, msg.user)
	if !here {
		return
	}
	if e != nil {
		for _, session := range e.sessions {
			if sessionNumber(session) == msg.number {
				ctx.Send(session, msg.close)
				answer(ctx, &closed{sessions: 1})
				return
			}
		}
	}
	answer(ctx, &closed{})
}

func (s *shard) describeUser(ctx actor.Context, msg *describeUser) {
	e, here := s.find(ctx, msg.user)
	switch {
	case !here:
	case e == nil:
		answer(ctx, &UserInfo{User: msg.user})
	case e.state == parked:
		answer(ctx, e.info())
	default:
		s.forward(ctx, e)
	}
}

// sessionClosed notes how a session has ended. It follows its user, so that who looks
// at the user sees it.
func (s *shard) sessionClosed(ctx actor.Context, msg *sessionClosed) {
	if _, here := s.find(ctx, msg.user); here {
		s.history.add(msg.user, msg.Closing)
	}
}

func (s *shard) describe(ctx actor.Context, msg *describeShard) {
	info := &ShardInfo{
		Number: s.number, Users: len(s.users), Failures: s.failed, Parked: s.parked, Taken: s.taken,
		Waiting: max(0, s.box.UserMessageCount()-1), // but for the question
	}
	if msg.below {
		info.known, info.sickest = s.known(msg.users), s.sickest()
	}
	answer(ctx, info)
}
