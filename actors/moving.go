package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// How a shard gives users away when the number of shards changes (DESIGN.md has the
// whole protocol). The registry turns the shard's mailbox: nothing for the users of the
// slices at hand comes behind the turn any more. Each of those users ends as a user does
// who leaves, but with what is under way kept, and what is left of it, an entry, goes to
// the shard that the user belongs to now.

// moving is a shard's part in a change of the number of shards.
type moving struct {
	from     []road
	to       int    // how many shards there are to be
	settled  uint32 // the users of the slices below have been handed over, by all shards
	turned   uint32 // nothing comes for those of the slices below that move away
	ring     *ring  // of the turn at hand
	prepared bool   // movers has all who move from here
	seen     protocol.UserID
	movers   map[uint32][]*entry // by slice; some may have gone since
	expected int                 // in movers, for the progress
	away     int                 // asked to move and not gone yet
	moved    int                 // gone in the turn at hand
	claims   []*claim            // that came before the turn they are about
	asking   bool                // the registry waits for turned
	known    protocol.UserID     // whose last shard has said that it has nothing; while its mail is replayed
}

// rescale is the part of handle that has to do with another number of shards.
func (s *shard) rescale(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *prepare:
		s.prepare(ctx, msg)
	case *prepareMore:
		s.prepareMore(ctx)
	case *turn:
		s.turn(ctx, msg)
	case *claim:
		s.claim(msg)
	case *handover:
		s.take(ctx, msg)
	case *absent:
		s.absent(ctx, msg)
	case *remember:
		s.history.merge(msg.endings)
	case *settle:
		s.settle(ctx, msg)
	case *inherit:
		s.failed += msg.failed

	default:
		s.system.unhandled(ctx)
	}
}

// pageToPrepare is how many users a shard looks at in one step.
const pageToPrepare = 4096

// moves is whether a user of this shard will be another's.
func (s *shard) moves(user protocol.UserID) bool {
	h := hashOf(user)
	return placeOf(h, len(s.moving.from)) == s.number && placeOf(h, s.moving.to) != s.number
}

// prepare begins to note who will move. Users who come meanwhile are noted by add.
func (s *shard) prepare(ctx actor.Context, msg *prepare) {
	s.moving = &moving{from: msg.from, to: msg.to, movers: make(map[uint32][]*entry)}
	fewest := min(len(msg.from), msg.to)
	s.limit, s.history.limit = s.share(fewest), historyLimit(fewest)
	s.prepareMore(ctx)
}

func (s *shard) prepareMore(ctx actor.Context) {
	m, looked := s.moving, 0
	if m == nil || m.prepared {
		return
	}
	all := true
	s.order.AscendGreaterOrEqual(&entry{id: m.seen}, func(e *entry) bool {
		if looked++; looked > pageToPrepare {
			all = false
			return false
		}
		if e.id != m.seen {
			s.noteMover(e)
			m.seen = e.id
		}
		return true
	})
	if !all {
		ctx.Send(ctx.Self(), msgPrepareMore)
		return
	}
	m.prepared = true
	ctx.Send(ctx.Parent(), &prepared{users: m.expected})
}

// added notes a user who came after the shard began to prepare, unless the preparation
// will come by.
func (s *shard) added(e *entry) {
	if s.moving != nil && (s.moving.prepared || e.id < s.moving.seen) {
		s.noteMover(e)
	}
}

func (s *shard) noteMover(e *entry) {
	if m := s.moving; s.moves(e.id) {
		slice := sliceOf(hashOf(e.id))
		m.movers[slice] = append(m.movers[slice], e)
		m.expected++
	}
}

// turn has the users of the next slices move. All that was sent to them by this shard
// has been handled.
func (s *shard) turn(ctx actor.Context, msg *turn) {
	m := s.moving
	if m.ring != msg.ring { // or else it is tried again
		m.ring, m.settled, m.moved = msg.ring, msg.settled, 0
	}
	if s.number < len(m.from) {
		for ; m.turned < msg.ring.bound; m.turned++ {
			for _, e := range m.movers[m.turned] {
				if s.users[e.id] == e && !e.moves {
					s.depart(ctx, e)
				}
			}
			delete(m.movers, m.turned)
		}
		s.giveHistory(ctx, msg.settled)
		claims := m.claims
		m.claims = nil
		for _, c := range claims {
			s.claim(c)
		}
	}
	m.asking = true
	s.turned(ctx)
}

// depart has a user move. One who is not active moves when that is over.
func (s *shard) depart(ctx actor.Context, e *entry) {
	e.moves = true
	s.moving.away++
	switch e.state {
	case active:
		e.state = departing
		ctx.Send(e.pid, msgDepart)
	case parked:
		s.rests(-1)
		s.give(ctx, e)
	}
}

// departed: the user's actor has ended, on the way to another shard.
func (s *shard) departed(ctx actor.Context, e *entry) {
	if e.actor.settled() {
		s.succeed(ctx, e)
		return
	}
	s.fence(ctx, e)
}

// give hands a user without an actor over to the shard that the user belongs to now.
func (s *shard) give(ctx actor.Context, e *entry) {
	given := *e
	given.actor, given.inWheel, given.busy, given.moves, given.claimed = nil, false, false, false, false
	s.remove(e)
	s.moving.ring.road(e.id).box.PostPriorityMessage(&handover{entry: &given})
	s.gone(ctx)
}

// giveHistory hands over how the sessions of the users of the slices at hand have ended.
func (s *shard) giveHistory(ctx actor.Context, first uint32) {
	m := s.moving
	taken := s.history.take(func(user protocol.UserID) bool {
		slice := sliceOf(hashOf(user))
		return slice >= first && slice < m.ring.bound && s.moves(user)
	})
	given := make(map[*actor.PID]*remember)
	for _, e := range taken {
		to := m.ring.road(e.user).pid
		if given[to] == nil {
			given[to] = &remember{}
		}
		given[to].endings = append(given[to].endings, e)
	}
	for to, msg := range given {
		ctx.Send(to, msg)
	}
}

// gone counts a user who has been moving away.
func (s *shard) gone(ctx actor.Context) {
	s.moving.away--
	s.moving.moved++
	s.turned(ctx)
}

// turned tells the registry when nobody is on the way any more.
func (s *shard) turned(ctx actor.Context) {
	if m := s.moving; m.asking && m.away == 0 {
		m.asking = false
		ctx.Send(ctx.Parent(), &turned{users: m.moved})
	}
}

// claim answers the shard that has mail for a user who may be here: who is here is on
// the way already, and before the turn nobody can say it.
func (s *shard) claim(msg *claim) {
	if m := s.moving; m != nil && sliceOf(hashOf(msg.user)) >= m.turned {
		m.claims = append(m.claims, msg)
		return
	}
	if e := s.users[msg.user]; e != nil {
		e.claimed = true
		return
	}
	msg.by.PostPriorityMessage(&absent{msg.user})
}

// settle ends the change of the number.
func (s *shard) settle(ctx actor.Context, msg *settle) {
	if s.owed > 0 {
		s.system.after(s.system.supervision.Load().RetryAfter, ctx.Self(), msg)
		return
	}
	s.moving = nil
	s.limit = s.share(msg.shards)
	s.history.bound(historyLimit(msg.shards))
	answer := &shardSettled{}
	if s.number >= msg.shards { // this shard is given up
		answer.failed = s.failed
	}
	ctx.Send(ctx.Parent(), answer)
}

// share is how many users may have an actor in one of n shards before those who are
// only written to get none.
func (s *shard) share(n int) int { return s.system.config.MaxUsers/n + 1 }
