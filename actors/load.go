package actors

import (
	"context"
	"errors"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
)

// Load is what a node has to do: totals since the start, and who is sent the most.
type Load struct {
	Shards  []ShardLoad
	Busiest []BusyUser // most first
	Totals
}

// Totals are what has been counted since the start, where nobody need be asked.
type Totals struct {
	TakenBefore uint64 // messages that came for users of shards that are no more; the others say their own

	Kept      uint64 // messages that have been committed
	Repeated  uint64 // sends answered with the place that they had already
	Delivered uint64 // messages written for sessions, a copy for each

	Opened, Ended uint64 // sessions

	// By word, and only the words that have happened.
	Refused []CodeCount // sends and frames
	Closed  []CodeCount // sessions that ended
	Limits  []CodeCount // how often a limit has acted, whether it refused anything or not

	Stalled int // sessions whose network takes no more at the moment
}

// ShardLoad is a shard's part of a Load.
type ShardLoad struct {
	Number int
	Taken  uint64 // messages that came for its users
}

type (
	// loadShard, to a shard, asks for a shardLoad.
	loadShard struct{}
	// shardLoad answers loadShard.
	shardLoad struct {
		ShardLoad
		busiest []BusyUser
	}
)

// Load looks at the load, and names up to limit of the busiest users: those who were sent
// the most since somebody looked last, or within the 0.9 s before. It asks each shard
// once, and no user.
func (s *System) Load(ctx context.Context, limit int) (*Load, error) {
	load := &Load{Totals: s.Totals()}
	for _, road := range s.ring.Load().all() {
		shard, err := askShard[*shardLoad](ctx, s, road, &loadShard{})
		switch {
		case errors.Is(err, errGivenUp):
			continue
		case err != nil:
			return nil, err
		}
		load.Shards = append(load.Shards, shard.ShardLoad)
		load.Busiest = append(load.Busiest, shard.busiest...)
	}
	slices.SortFunc(load.Busiest, busier)
	load.Busiest = load.Busiest[:min(limit, len(load.Busiest))]
	return load, nil
}

// Totals reads what has been counted. It asks no actor, and so begins no new round of the
// busiest users as Load does.
func (s *System) Totals() Totals {
	t := Totals{
		TakenBefore: s.counts.takenBefore.Load(), Repeated: s.counts.repeated.Load(), Stalled: int(s.counts.stalled.Load()),
		Ended: s.counts.ended.Load(), Opened: s.counts.opened.Load(), // in this order: no more have ended than were opened
		Refused: happened(s.counts.refused, s.counts.frames), Closed: happened(s.counts.closes),
		Limits: s.counts.limits.reached(),
	}
	t.Kept, _, t.Delivered = s.counts.total()
	return t
}

// load answers loadShard.
func (s *shard) load(ctx actor.Context) {
	answer(ctx, &shardLoad{ShardLoad{s.number, s.taken}, s.busiest.look(s.number, s.system.now())})
}
