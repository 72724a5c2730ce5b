package actors

import (
	"strconv"

	"github.com/asynkron/protoactor-go/actor"
)

// registry is the root of the map of users: parent of the shards, and the only
// writer of the ring that says which user belongs to which.
type registry struct {
	system *System
}

func newRegistry(system *System) *registry { return &registry{system} }

// Receive implements actor.Actor.
func (r *registry) Receive(ctx actor.Context) {
	defer r.system.survive(ctx, "registry")
	switch ctx.Message().(type) {
	case *actor.Started:
		r.start(ctx)
	case *actor.Stopping, *actor.Terminated:
	case *actor.Stopped:
		close(r.system.registryDone)

	default:
		r.system.unhandled(ctx)
	}
}

func (r *registry) start(ctx actor.Context) {
	defer close(r.system.registryUp)
	next := &ring{}
	for number := range r.system.config.Shards {
		shard := newShard(r.system, number)
		props := actor.PropsFromProducer(
			func() actor.Actor { return shard }, // once: a shard never restarts
			actor.WithMailbox(func() actor.Mailbox { return shard.box }),
			actor.WithDispatcher(&r.system.workers),
		)
		pid, err := ctx.SpawnNamed(props, strconv.Itoa(number))
		if err != nil {
			panic("two shards of one number: " + err.Error())
		}
		next.shards = append(next.shards, pid)
	}
	r.system.ring.Store(next)
}
