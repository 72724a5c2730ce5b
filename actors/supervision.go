package actors

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// Supervision, as data: what happens when an actor of a level fails, and why.
//
// A user's failure is not in the hands of the actor system: its shard stops it
// and starts a new one, see shard.HandleFailure.
var supervision = map[string]struct {
	onFailure actor.Directive
	why       string
}{
	"registry":   {actor.ResumeDirective, "a restart would stop every shard and user below it"},
	"gateway":    {actor.ResumeDirective, "a restart would cut every socket"},
	"shard":      {actor.ResumeDirective, "a restart would stop its users"},
	"user":       {actor.StopDirective, "its state is rebuilt by a new one; the sockets stay open"},
	"journal":    {actor.RestartDirective, "what it had not committed is refused, and sent again by the clients"},
	"doorkeeper": {actor.ResumeDirective, "what it has is in the store, and nobody is let in by mistake"},
	"coroner":    {actor.ResumeDirective, "what it has is in the store, and the rest it may be asked again"},
	"session":    {actor.StopDirective, "a socket's framing cannot be trusted after a failure; the client connects again"},
}

// childOf names the level below the two that supervise by the table.
var childOf = map[string]string{"registry": "shard", "gateway": "session"}

// Intensity says how often a user's actor may fail before it is parked, and for
// how long. While it is parked its senders get ERROR unavailable and its sockets
// stay open.
type Intensity struct {
	Failures int           // that many within Window are answered with a new actor at once
	Window   time.Duration // a failure older than this is forgotten
	Park     time.Duration // the first rest; each further one is twice as long
	MaxPark  time.Duration // no rest is longer
}

// withDefaults fills in what was left zero.
func (i Intensity) withDefaults() Intensity {
	return Intensity{
		Failures: or(i.Failures, 3), Window: or(i.Window, 10*time.Second),
		Park: or(i.Park, 100*time.Millisecond), MaxPark: or(i.MaxPark, 30*time.Second),
	}
}

func (i Intensity) validate() error {
	for field, value := range map[string]time.Duration{"Window": i.Window, "Park": i.Park, "MaxPark": i.MaxPark} {
		if value < time.Millisecond {
			return fmt.Errorf("intensity: %s is %s: give at least 1ms", field, value)
		}
	}
	switch {
	case i.Failures < 1:
		return fmt.Errorf("intensity: Failures is %d: give at least 1", i.Failures)
	case i.MaxPark < i.Park:
		return fmt.Errorf("intensity: MaxPark is %s: give at least Park, which is %s", i.MaxPark, i.Park)
	}
	return nil
}

// Tune changes how often users' actors may fail and how long they are parked, from the
// next failure on. What is zero takes the default. It returns an error, and changes
// nothing, if a value makes no sense.
func (s *System) Tune(i Intensity) error {
	i = i.withDefaults()
	if err := i.validate(); err != nil {
		return err
	}
	s.intensity.Store(&i)
	return nil
}

// Intensity is what holds now.
func (s *System) Intensity() Intensity { return *s.intensity.Load() }

// park is how long to rest after the given number of failures, or zero to go on
// at once. The rest varies by a quarter either way, so that users which failed
// together do not come back together.
func (i Intensity) park(failures int) time.Duration {
	d := i.exactly(failures)
	return d*3/4 + rand.N(d/2+1)
}

// exactly is park without chance.
func (i Intensity) exactly(failures int) time.Duration {
	over := failures - i.Failures
	if over <= 0 {
		return 0
	}
	d := i.MaxPark
	if over < 32 && i.Park<<(over-1) > 0 {
		d = min(i.Park<<(over-1), i.MaxPark)
	}
	return d
}

// supervisor applies the table to the children of one level.
type supervisor struct {
	level  string
	system *System
}

// HandleFailure implements actor.SupervisorStrategy.
func (s *supervisor) HandleFailure(_ *actor.ActorSystem, by actor.Supervisor, child *actor.PID,
	_ *actor.RestartStatistics, reason, message any,
) {
	row, failure := supervision[s.level], failureOf(reason)
	s.system.counts.failed[s.level].Add(1)
	s.system.log.Error("actor failed", slog.String("level", s.level), slog.String("actor", child.GetId()),
		slog.String("directive", row.onFailure.String()),
		slog.String("reason", failure.text()), slog.String("message", kind(message)), slog.String("stack", failure.stack))
	if s.system.watched() {
		s.system.publish(Event{
			Kind: ActorFailed, Shard: -1, Code: protocol.CodeInternal,
			Reason: child.GetId() + ": " + failure.text(),
		})
	}
	switch row.onFailure {
	case actor.StopDirective:
		by.StopChildren(child)
	case actor.RestartDirective:
		by.RestartChildren(child)
	default:
		by.ResumeChildren(child)
	}
}

// survive lets an actor that must never restart outlive a panic in its own code. Whoever
// waits for the answer to the message at hand is told that it is lost; one that must be done
// is tried again. Call it deferred.
func (s *System) survive(ctx actor.Context, level string, tries *uint8, receive func(actor.Context)) {
	if reason := recover(); reason != nil {
		s.survived(ctx, level, reason)
		if !tryAgain(ctx, tries, receive) {
			s.putOff(ctx)
		}
	}
}

// survived is what survive does when there was a panic.
func (s *System) survived(ctx actor.Context, level string, reason any) {
	s.counts.survived.Add(1)
	s.counts.failed[level].Add(1)
	s.log.Error("actor survived a panic", slog.String("level", level), slog.String("actor", ctx.Self().GetId()),
		slog.String("reason", fmt.Sprint(reason)), slog.String("message", kind(ctx.Message())),
		slog.String("stack", string(debug.Stack())))
	if s.watched() {
		s.publish(Event{
			Kind: ActorFailed, Shard: -1, Code: protocol.CodeInternal,
			Reason: ctx.Self().GetId() + ": " + fmt.Sprint(reason) + "; it goes on",
		})
	}
	if !mustBeDone(ctx.Message()) {
		s.refuse(ctx, ctx.Sender(), ctx.Message(), ErrInternal)
	}
}
