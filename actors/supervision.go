package actors

import (
	"fmt"
	"log/slog"
	"runtime/debug"

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
func (s *System) survive(ctx actor.Context, level string, of *stamina, receive func(actor.Context)) {
	if reason := recover(); reason != nil {
		s.survived(ctx, level, of, reason)
		if !tryAgain(ctx, of, receive) {
			s.putOff(ctx)
		}
	}
}

// survived is what survive does when there was a panic.
func (s *System) survived(ctx actor.Context, level string, of *stamina, reason any) {
	s.counts.survived.Add(1)
	s.counts.failed[level].Add(1)
	s.log.Error("actor survived a panic", slog.String("level", level), slog.String("actor", ctx.Self().GetId()),
		slog.String("reason", fmt.Sprint(reason)), slog.String("message", kind(ctx.Message())),
		slog.String("stack", string(debug.Stack())))
	then := "; it goes on"
	if rest := s.tires(level, ctx.Self().GetId(), of); rest > 0 {
		then = "; it goes on, and is sick for " + rest.String()
	}
	if s.watched() {
		s.publish(Event{
			Kind: ActorFailed, Shard: -1, Code: protocol.CodeInternal,
			Reason: ctx.Self().GetId() + ": " + fmt.Sprint(reason) + then,
		})
	}
	if !mustBeDone(ctx.Message()) {
		s.refuse(ctx, ctx.Sender(), ctx.Message(), ErrInternal)
	}
}
