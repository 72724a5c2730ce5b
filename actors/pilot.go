package actors

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Who leaves the number of shards to the service gets one that follows the processors
// and the load. The decision is a function of what is seen; here is also the clock that
// looks.

const (
	weighEvery = 10 * time.Second // between two looks

	// shardsPerCore is how many shards there are for each processor at rest: more than
	// one, so that a shard that is busy does not leave a processor without work.
	shardsPerCore = 2
	leastShards   = 4

	// usersPerShard is how many users a shard has at most before there are more shards:
	// what looks at a whole shard, like a change of the number, should not take long.
	usersPerShard = 50_000

	// crowded is how many messages wait in the mean shard when the shards are what others
	// wait for. A shard does about a million a second.
	crowded = 256

	// Another number must have been the better one for so many looks in a row, and that
	// long must have passed since the last change. Fewer shards save little, so that
	// takes longer.
	growAfter, growRest     = 3, time.Minute
	shrinkAfter, shrinkRest = 30, 15 * time.Minute
)

// sight is what the pilot sees.
type sight struct {
	now     time.Duration // any clock that does not go back
	shards  int
	cores   int
	users   int
	waiting int // messages in all shards' mailboxes
}

// pilot decides on the number of shards. The zero pilot has seen nothing.
type pilot struct {
	changed time.Duration // when it last decided for a change
	ever    bool          // it has
	wanted  int           // the number that it would have
	looks   int           // how often in a row
}

// decide returns the number that there should be and why, or 0 for the one there is.
// Hysteresis: less than twice or more than half as many are never worth the trouble.
func (p *pilot) decide(s sight) (shards int, why string) {
	want, why := p.want(s)
	if want != p.wanted {
		p.wanted, p.looks = want, 0
	}
	p.looks++
	after, rest := growAfter, growRest
	switch {
	case want < s.shards:
		if after, rest = shrinkAfter, shrinkRest; want*2 > s.shards {
			return 0, ""
		}
	case want < 2*s.shards:
		return 0, ""
	}
	if p.looks < after || p.ever && s.now-p.changed < rest {
		return 0, ""
	}
	p.changed, p.ever, p.looks = s.now, true, 0
	return want, why
}

// want is the number that is right for what is seen, a power of two, and the reason.
func (p *pilot) want(s sight) (shards int, why string) {
	shards = powerOfTwo(max(leastShards, shardsPerCore*s.cores))
	why = fmt.Sprintf("%d processors", s.cores)
	if n := powerOfTwo((s.users + usersPerShard - 1) / usersPerShard); n > shards {
		shards, why = n, fmt.Sprintf("%d users", s.users)
	}
	if most := 4 * powerOfTwo(shardsPerCore*s.cores); s.waiting > crowded*s.shards && 2*s.shards > shards && s.shards < most {
		shards, why = min(powerOfTwo(2*s.shards), most), fmt.Sprintf("%d messages wait in %d shards", s.waiting, s.shards)
	}
	return min(shards, MaxShards), why
}

// powerOfTwo is the least that is not below n.
func powerOfTwo(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

// weighing is a look that is under way.
type weighing struct {
	sight
	waits  int
	failed bool // what is known of the shards is not all
}

func (r *registry) weighLater(ctx actor.Context) {
	if r.steering == Auto {
		if r.clock != nil {
			r.clock.Stop() // weigh may be tried again
		}
		r.clock = r.system.after(weighEvery, ctx.Self(), msgWeigh)
	}
}

// weigh has all shards say how they are.
func (r *registry) weigh(ctx actor.Context) {
	if r.halting || r.steering != Auto {
		return
	}
	r.weighLater(ctx)
	if r.scaling != nil || r.weighing != nil {
		return
	}
	r.weighing = &weighing{
		sight: sight{now: r.system.now(), shards: len(r.shards), cores: r.system.config.cores()},
		waits: len(r.shards),
	}
	for _, road := range r.shards {
		ctx.Request(road.pid, &describeShard{})
	}
}

// unweighed: a shard has failed over the question. The answers of the others are left aside, and
// the next look asks all again.
func (r *registry) unweighed() {
	if r.weighing != nil {
		r.weighing.failed = true
		r.weighed(nil, &ShardInfo{})
	}
}

// weighed is a shard's answer. One that is tried again (again.go) may have been the last.
func (r *registry) weighed(ctx actor.Context, info *ShardInfo) {
	w := r.weighing
	if w == nil {
		return
	}
	w.users += info.Users
	w.waiting += info.Waiting
	if w.waits--; w.waits > 0 {
		return
	}
	r.weighing = nil
	if w.failed || r.steering != Auto || r.scaling != nil || len(r.shards) != w.shards {
		return
	}
	if shards, why := r.pilot.decide(w.sight); shards > 0 {
		r.system.log.Info("another number of shards is better", slog.Int("shards", shards), slog.String("why", why))
		ctx.Send(ctx.Self(), &scale{shards: shards, why: "auto: " + why, byPilot: true})
	}
}
