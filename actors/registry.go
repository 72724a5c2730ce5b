package actors

import (
	"fmt"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// registry is the root of the map of users: parent of the shards, and the only
// writer of the ring that says which user belongs to which.
type registry struct {
	system  *System
	shards  []road
	scaling *rescaling // nil unless the number of shards changes (scaling.go)
	scales  uint64     // how often it has: no two shards have one name
	halting bool       // nobody is to move any more
	halters []*actor.PID
	running int  // shards
	ending  bool // and with it all shards

	steering Steering    // who decides on the number (steering.go)
	pilot    pilot       // does, if that is left to it (pilot.go)
	weighing *weighing   // a look that is under way
	clock    *time.Timer // of the next; nil if the number was never left to it
	stamina  stamina     // after panics
}

func newRegistry(system *System) *registry {
	r := &registry{system: system, steering: Fixed}
	if system.config.AutoScale {
		r.steering = Auto
	}
	return r
}

// Receive implements actor.Actor.
func (r *registry) Receive(ctx actor.Context) {
	defer r.system.survive(ctx, "registry", &r.stamina, r.Receive)
	r.system.faultIn("registry", ctx.Message())
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		r.start(ctx)
	case *actor.Stopping:
		if r.clock != nil {
			r.clock.Stop()
		}
	case *actor.Stopped:
		close(r.system.registryDone)
	case *actor.Terminated:
		r.shardEnded(ctx, msg)

	case *scale:
		r.scale(ctx, msg)
	case *autoScale:
		r.autoScale(ctx, msg)
	case *halt:
		r.halt(ctx)
	case *nextStep:
		r.step(ctx)
	case *end:
		r.end(ctx)
	case *weigh:
		r.weigh(ctx)

	case *prepared:
		r.prepared(ctx, msg)
	case *turned:
		r.turned(ctx, msg)
	case *shardSettled:
		r.settled(ctx, msg)
	case *ShardInfo:
		r.weighed(ctx, msg)
	case *Error: // of a shard that was asked how it is
		r.unweighed()

	case *overdue:
		r.Receive(replayed{ctx, msg.mail, msg.times})

	default:
		r.system.unhandled(ctx)
	}
}

func (r *registry) start(ctx actor.Context) {
	defer close(r.system.registryUp)
	shards := r.system.config.Shards
	for number := range shards {
		r.shards = append(r.shards, r.spawn(ctx, number, shards))
	}
	r.system.ring.Store(&ring{version: 1, shards: r.shards})
	r.system.scaling.Store(&Scaling{From: shards, To: shards, Phase: Settled, Steering: r.steering})
	r.weighLater(ctx)
}

// spawn starts one of so many shards.
func (r *registry) spawn(ctx actor.Context, number, shards int) road {
	shard := newShard(r.system, number, shards)
	props := actor.PropsFromProducer(
		func() actor.Actor { return shard }, // once: a shard never restarts
		actor.WithMailbox(func() actor.Mailbox { return shard.box }),
		actor.WithDispatcher(&r.system.workers),
	)
	name := strconv.Itoa(number)
	if r.scales > 0 {
		name = fmt.Sprintf("%d.%d", number, r.scales)
	}
	pid, err := ctx.SpawnNamed(props, name)
	if err != nil {
		panic("two shards of one name: " + err.Error())
	}
	r.running++
	return road{pid, shard.box}
}

// end ends all shards, and the registry when they have ended.
func (r *registry) end(ctx actor.Context) {
	r.ending = true
	shards := r.shards
	if r.scaling != nil {
		shards = r.scaling.all
	}
	for _, road := range shards {
		ctx.Send(road.pid, msgEnd)
	}
}
