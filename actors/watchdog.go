package actors

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"callboard/actors/mailbox"
	"callboard/protocol"
)

// An actor handles a message in microseconds, or waits for the disk. One that is in a
// message for longer than Config.StuckAfter is reported once, with the stack of its goroutine;
// mailbox.Workers finds it, whatever the actor is busy with, and needs no actor for that.
// A user or a session that is stuck holds nobody else up. The actors at the top and the
// shards do, so the service is not ready until they get on.

// StuckActor is an actor that has been in one message for longer than it may.
type StuckActor struct {
	Actor string
	Doing string // the function that it is in; empty: it was not looked at yet
	Since time.Time
}

// maxLongest is how many of those are named that have been stuck the longest.
const maxLongest = 8

// stuckNow is who is stuck. Nobody changes it.
type stuckNow struct {
	count   int
	longest []StuckActor
	vital   []StuckActor // those of them that others need
}

// vital is whether the service can do nothing for some users while the actor is stuck: it
// is a shard, or one at the top that users need.
func vital(name string) bool {
	switch levelOf(name) {
	case "registry", "gateway", "journal", "shard":
		return true
	}
	return false
}

// stuck is told by the workers, on a goroutine of theirs, who is stuck.
func (s *System) stuck(found mailbox.Found) {
	now := &stuckNow{count: len(found.Stuck)}
	for _, f := range found.Stuck {
		one := StuckActor{f.Actor, f.Doing, f.Since}
		if i := slices.IndexFunc(found.Fresh, func(fresh mailbox.Stuck) bool { return fresh.Actor == f.Actor }); i >= 0 {
			one.Doing = found.Fresh[i].Doing
		}
		if len(now.longest) < maxLongest {
			now.longest = append(now.longest, one)
		}
		if vital(f.Actor) {
			now.vital = append(now.vital, one)
		}
	}
	s.stuckActors.Store(now)
	for _, f := range found.Fresh {
		s.counts.stuck.Add(1)
		s.log.Error("actor stuck in one message", slog.String("actor", f.Actor), slog.Duration("for", time.Since(f.Since)),
			slog.String("doing", f.Doing), slog.Int("stuck", len(found.Stuck)), slog.String("stack", f.Stack))
		s.tellOfStuck(ActorStuck, f, "is stuck in "+or(f.Doing, "one message"))
	}
	for _, f := range found.Freed {
		s.log.Info("actor got on", slog.String("actor", f.Actor), slog.Duration("after", time.Since(f.Since)))
		s.tellOfStuck(ActorGotOn, f, "got on after "+time.Since(f.Since).Round(time.Millisecond).String())
	}
}

func (s *System) tellOfStuck(kind EventKind, f mailbox.Stuck, what string) {
	if s.watched() {
		s.publish(Event{Kind: kind, User: userNamed(f.Actor), Shard: -1, Code: protocol.CodeUnavailable, Reason: f.Actor + " " + what})
	}
}

// userNamed is the user whose actor has the name, or empty.
func userNamed(actor string) protocol.UserID {
	below, ok := strings.CutPrefix(actor, "registry/")
	_, name, deeper := strings.Cut(below, "/")
	dot := strings.LastIndexByte(name, '.')
	if !ok || !deeper || dot < 0 {
		return ""
	}
	return protocol.UserID(name[:dot])
}

// stuckVitals is why the service is not ready, if actors are stuck that others need.
func (s *System) stuckVitals() *Error {
	now := s.stuckActors.Load()
	if now == nil || len(now.vital) == 0 {
		return nil
	}
	first := now.vital[0]
	return &Error{protocol.CodeUnavailable, fmt.Sprintf("the actor %s has been stuck in one message for %s; others wait for it",
		first.Actor, time.Since(first.Since).Round(time.Second))}
}

// isStuck is whether an actor that others need is stuck: it would not answer.
func (s *System) isStuck(name string) bool {
	now := s.stuckActors.Load()
	return now != nil && slices.ContainsFunc(now.vital, func(a StuckActor) bool { return a.Actor == name })
}
