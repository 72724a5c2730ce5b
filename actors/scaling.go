package actors

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// How the registry changes the number of shards while messages flow. It leads the shards
// through it, one phase after the other; each begins when all shards have answered for
// the last. The users move a few slices at a time, so that most of them notice nothing
// while some are on the way.
//
//	preparing   the shards count who will move; there are the new shards already
//	moving      for each step: a ring with a higher bound, then the turn for all shards
//	settling    the last ring; the shards forget the old one
//	ending      the shards that have no users any more stop

// maxAway is about how many users are on the way at once, until it is known that more hold
// nobody up (pace.go).
const maxAway = 256

// Between two steps the registry rests half as long as the last one took, so that those who
// are not on the way get a part of the processors; maxRest at most.
const maxRest = 100 * time.Millisecond

// rescaling is a change of the number that is under way.
type rescaling struct {
	from, to []road
	all      []road        // the more of the two
	bound    uint32        // of the step at hand
	pace     pace          // how wide a step is
	stepped  time.Duration // when the step at hand began, of System.now
	waits    int           // for so many answers
	heard    any           // the last of them
	state    Scaling
	failed   []uint64 // by the shards that are given up
}

// scale begins to change the number of shards.
func (r *registry) scale(ctx actor.Context, msg *scale) {
	if msg.byPilot && r.steering != Auto {
		return // an operator has decided meanwhile
	}
	now := *r.system.scaling.Load()
	switch {
	case r.scaling == nil && msg.shards == len(r.shards), r.scaling != nil && msg.shards == now.To:
		if !msg.byPilot {
			r.hold(msg.why)
			now.Steering = r.steering
		}
		answer(ctx, &now)
		return
	case r.scaling != nil:
		answer(ctx, &scalingRefused{now})
		return
	case r.halting:
		answer(ctx, ErrDraining)
		return
	}
	if !msg.byPilot {
		r.hold(msg.why)
	}
	r.scales++
	from, to := r.shards, r.shards[:min(msg.shards, len(r.shards)):min(msg.shards, len(r.shards))]
	for number := len(to); number < msg.shards; number++ {
		to = append(to, r.spawn(ctx, number, msg.shards))
	}
	r.scaling = &rescaling{
		from: from, to: to, all: from,
		state: Scaling{
			From: len(from), To: len(to), Phase: Preparing, Began: time.Now(), Why: msg.why, Steering: r.steering,
		},
	}
	if len(to) > len(from) {
		r.scaling.all = to
	}
	r.system.log.Info("number of shards changes", slog.Int("from", len(from)), slog.Int("to", len(to)), slog.String("why", msg.why))
	r.publish()
	r.tell(ShardsChanging)
	r.tellAll(ctx, &prepare{from: from, to: len(to)})
	state := r.scaling.state
	answer(ctx, &state)
}

// tellAll tells all shards, and waits for as many answers.
func (r *registry) tellAll(ctx actor.Context, msg any) {
	r.scaling.waits = len(r.scaling.all)
	for _, road := range r.scaling.all {
		ctx.Send(road.pid, msg)
	}
}

// answered notes one answer, once though it may be tried again (again.go), and returns
// whether it was the last.
func (r *registry) answered(msg any) bool {
	if s := r.scaling; s.heard != msg {
		s.heard = msg
		s.waits--
	}
	return r.scaling.waits == 0
}

func (r *registry) prepared(ctx actor.Context, msg *prepared) {
	s := r.scaling
	if s.heard != msg {
		s.state.ToMove += msg.users
	}
	if !r.answered(msg) {
		return
	}
	s.state.Phase = Moving
	exactly := r.system.config.hooks.maxAway
	s.pace = newPace(s.state.ToMove, or(exactly, maxAway), exactly > 0)
	r.step(ctx)
}

// step has the users of the next slices move.
func (r *registry) step(ctx actor.Context) {
	s := r.scaling
	r.publish()
	if r.halting {
		r.halted(ctx)
		return
	}
	s.stepped = r.system.now()
	last := s.bound
	s.bound = min(s.bound+s.pace.width, ringSlices)
	next := &ring{version: r.system.ring.Load().version + 1, shards: s.to, from: s.from, bound: s.bound}
	r.system.ring.Store(next) // before the turns: see mailbox.Gated
	s.waits = len(s.all)
	for i, road := range s.all {
		msg := &turn{ring: next, settled: last}
		if i < len(s.from) {
			road.box.Turn(next.version, msg)
		} else {
			ctx.Send(road.pid, msg)
		}
	}
}

func (r *registry) turned(ctx actor.Context, msg *turned) {
	s := r.scaling
	if s.heard != msg {
		s.state.Moved += msg.users
	}
	switch {
	case !r.answered(msg):
	case s.bound < ringSlices:
		s.pace.stepped(r.system.now() - s.stepped)
		r.rest(ctx)
	default:
		s.state.Phase = Settling
		r.publish()
		r.system.ring.Store(&ring{version: r.system.ring.Load().version + 1, shards: s.to})
		r.tellAll(ctx, &settle{shards: len(s.to)})
		r.halted(ctx)
	}
}

// rest lets the others on before the next step.
func (r *registry) rest(ctx actor.Context) {
	d := min((r.system.now()-r.scaling.stepped)/2, maxRest)
	if d == 0 || r.halting {
		r.step(ctx)
		return
	}
	r.system.after(d, ctx.Self(), msgNextStep)
}

func (r *registry) settled(ctx actor.Context, msg *shardSettled) {
	s := r.scaling
	if msg.failed > 0 && s.heard != msg {
		s.failed = append(s.failed, msg.failed)
	}
	if !r.answered(msg) {
		return
	}
	for i, failed := range s.failed { // so that the sum stays what it was
		ctx.Send(s.to[i%len(s.to)].pid, &inherit{failed})
	}
	s.state.Phase = Ending
	r.publish()
	given := s.all[len(s.to):]
	s.waits = len(given)
	for _, road := range given {
		road.box.Seal()
		ctx.Send(road.pid, msgEnd) // behind what it has been asked
	}
	if s.waits == 0 {
		r.scaled(ctx)
	}
}

// shardEnded: one that was given up, or the node stops.
func (r *registry) shardEnded(ctx actor.Context, msg *actor.Terminated) {
	if r.scaling != nil && r.scaling.state.Phase == Ending && r.answered(msg) {
		r.scaled(ctx)
	}
	if r.running--; r.ending && r.running == 0 {
		ctx.Stop(ctx.Self())
	}
}

// scaled ends the change.
func (r *registry) scaled(ctx actor.Context) {
	s := r.scaling
	r.shards, r.scaling = s.to, nil
	s.state.Phase, s.state.Took = Settled, time.Since(s.state.Began)
	r.system.scaling.Store(&s.state)
	r.system.log.Info("number of shards has changed", slog.Int("from", s.state.From), slog.Int("to", s.state.To),
		slog.Int("moved", s.state.Moved), slog.Duration("took", s.state.Took))
	r.tell(ShardsChanged)
	if keep := r.system.config.KeepShards; keep != nil {
		if err := keep(len(r.shards)); err != nil {
			r.system.log.Warn("number of shards not kept: the next start is with another", slog.Any("error", err))
		}
	}
	r.halted(ctx)
}

// publish lets those see how far it is who ask from outside.
func (r *registry) publish() {
	state := r.scaling.state
	state.Took = time.Since(state.Began)
	r.system.scaling.Store(&state)
}

// tell tells those who watch of the change that began or ended.
func (r *registry) tell(kind EventKind) {
	if r.system.watched() {
		now := r.system.scaling.Load()
		r.system.publish(Event{Kind: kind, Shard: -1, Reason: fmt.Sprintf("from %d to %d: %s", now.From, now.To, now.Why)})
	}
}

// halt has nobody set out any more, for the node stops.
func (r *registry) halt(ctx actor.Context) {
	r.halting = true
	r.halters = append(r.halters, ctx.Sender())
	if s := r.scaling; s == nil || s.state.Phase != Moving {
		r.halted(ctx)
	}
}

// halted: nobody is on the way.
func (r *registry) halted(ctx actor.Context) {
	for _, waits := range r.halters {
		ctx.Send(waits, &halted{})
	}
	r.halters = nil
}
