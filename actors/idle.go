package actors

import "github.com/asynkron/protoactor-go/actor"

func (s *shard) quiet(ctx actor.Context, msg *quiet) {
	e := s.users[msg.user]
	if e == nil || e.pid != msg.by || e.state != active {
		return
	}
	e.quietAt = s.system.now()
	s.wait(e)
	s.tick(ctx)
}

// wait puts a user into the wheel, once.
func (s *shard) wait(e *entry) {
	if !e.inWheel {
		e.inWheel = true
		s.idle.add(e)
	}
}

func (s *shard) leave(ctx actor.Context, msg *leave) {
	if e := s.users[msg.user]; e != nil && e.pid == msg.by && e.state == active {
		e.state = leaving
		ctx.Send(e.pid, msgMayLeave)
	}
}

func (s *shard) stay(ctx actor.Context, msg *stay) {
	e := s.users[msg.user]
	if e == nil || e.pid != msg.by || e.state != leaving {
		return
	}
	if e.moves {
		e.state = departing
		ctx.Send(e.pid, msgDepart)
		return
	}
	e.state = active
	s.release(ctx, e)
}

// sweep asks the users who have been quiet for the idle time to leave.
func (s *shard) sweep(ctx actor.Context) {
	s.ticker = nil
	for i, e := range s.idle.turn() {
		letOn(i)
		e.inWheel = false
		switch {
		case s.users[e.id] != e || e.state != active || len(e.sessions) > 0: // one who has moved away is another entry
		case s.system.now()-e.quietAt < s.system.config.IdleAfter:
			s.wait(e) // it was busy in between
		default:
			ctx.Send(e.pid, msgRest)
		}
	}
	s.tick(ctx)
}

func (s *shard) tick(ctx actor.Context) {
	if s.ticker == nil && s.idle.n > 0 {
		s.ticker = s.system.after(s.system.config.IdleAfter/(idleSlots-1), ctx.Self(), msgSweep)
	}
}
