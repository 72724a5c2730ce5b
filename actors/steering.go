package actors

import (
	"context"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
)

// Steering is who decides on the number of shards.
type Steering string

// A node begins Fixed, or Auto with Config.AutoScale.
const (
	Fixed Steering = "fixed" // operators, and nobody else
	Auto  Steering = "auto"  // the service, by the processors and the load (pilot.go)
	Held  Steering = "held"  // operators again: the number of one of them has ended Auto
)

// AutoScale leaves the number of shards to the service until somebody asks for a number with
// Scale. To ask again does no harm. It may come while the number changes, and that change goes on.
//
// Errors: an *Error with draining when the node stops; the context's.
func (s *System) AutoScale(ctx context.Context, why string) (Scaling, error) {
	return s.askRegistry(ctx, &autoScale{why})
}

// askRegistry asks for another number, or who is to decide on it.
func (s *System) askRegistry(ctx context.Context, msg any) (Scaling, error) {
	answer, err := ask[any](ctx, s, s.registry, msg)
	switch answer := answer.(type) {
	case *Scaling:
		return *answer, nil
	case *scalingRefused:
		return answer.running, ErrScaling
	case *Error:
		return Scaling{}, answer
	}
	if err == nil { // nobody took the question
		err = ErrDraining
	}
	return Scaling{}, err
}

// autoScale leaves the number to the pilot, who has seen nothing then.
func (r *registry) autoScale(ctx actor.Context, msg *autoScale) {
	if r.halting {
		answer(ctx, ErrDraining)
		return
	}
	if r.steering != Auto {
		r.system.log.Info("number of shards is left to the service", slog.Int("shards", len(r.shards)), slog.String("why", msg.why))
		r.pilot = pilot{}
		r.steer(Auto)
		r.tellSteering(ShardsAuto, msg.why)
		r.weighLater(ctx)
	}
	now := *r.system.scaling.Load()
	answer(ctx, &now)
}

// hold ends Auto: what the pilot has seen or decided up to here counts no more.
func (r *registry) hold(why string) {
	if r.steering != Auto {
		return
	}
	r.system.log.Info("number of shards is held, and left to the service no more", slog.String("why", why))
	r.steer(Held)
	r.tellSteering(ShardsHeld, why)
}

// tellSteering tells those who watch that somebody else decides on the number, and who asked for it.
func (r *registry) tellSteering(kind EventKind, why string) {
	if r.system.watched() {
		r.system.publish(Event{Kind: kind, Shard: -1, Reason: why})
	}
}

// steer lets those know who ask from outside.
func (r *registry) steer(steering Steering) {
	r.steering = steering
	if r.scaling != nil {
		r.scaling.state.Steering = steering
		r.publish()
		return
	}
	now := *r.system.scaling.Load()
	now.Steering = steering
	r.system.scaling.Store(&now)
}
