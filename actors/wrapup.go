package actors

import "github.com/asynkron/protoactor-go/actor"

// wrapUp has all users hand over what is to be kept, for the node stops.
func (s *shard) wrapUp(ctx actor.Context) {
	s.stopping = true
	s.wrapper = ctx.Sender()
	s.wrapping = make(map[*entry]struct{})
	for _, e := range s.users {
		if e.state == active || e.state == leaving || e.state == departing {
			letOn(len(s.wrapping))
			s.wrapping[e] = struct{}{}
			ctx.Request(e.pid, msgWrapUp)
		}
	}
	s.wrappedUp(ctx, nil)
}

// wrappedUp: the user has, or is no more.
func (s *shard) wrappedUp(ctx actor.Context, e *entry) {
	delete(s.wrapping, e)
	if s.wrapper != nil && len(s.wrapping) == 0 {
		ctx.Send(s.wrapper, &wrappedUp{})
		s.wrapper = nil
	}
}

// end stops the actors of all users, and the shard when they have ended. It may come twice.
func (s *shard) end(ctx actor.Context) {
	s.stopping, s.ending = true, true
	s.system.counts.takenBefore.Add(s.taken)
	s.taken = 0 // if it comes here again
	if s.ticker != nil {
		s.ticker.Stop()
	}
	if s.forgetting != nil {
		s.forgetting.Stop()
	}
	woken := 0
	for _, e := range s.users {
		if e.state == active || e.state == leaving || e.state == departing {
			ctx.Stop(e.pid)
			letOn(woken)
			woken++
		}
	}
	s.system.counts.users.Add(-int64(len(s.users)))
	s.rests(-s.parked)
	clear(s.users)
	s.order.Clear(false)
	s.endLast(ctx)
}

func (s *shard) endLast(ctx actor.Context) {
	if s.ending && s.actors == 0 {
		ctx.Stop(ctx.Self())
	}
}
