package actors

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"callboard/protocol"
)

// An actor that goes on after its failures has no rest that would help it: its next message may
// be one that it does not fail on. One that fails too often, by its level's Intensity, is called sick
// for as long as the rest would be: the log and the tree say so, and while it is one that all users need
// the service is not ready, so that they go where it works better. The journal is the
// exception: it does rest (journal.go).

// stamina is what such an actor knows of its failures.
type stamina struct {
	tries    uint8 // of the message at hand, after a panic
	failures int   // that add up
	failedAt time.Duration
}

// failed counts a failure, and returns how long the rest is; 0: there is none.
func (s *stamina) failed(now time.Duration, i *Intensity) time.Duration {
	if now-s.failedAt > i.Window {
		s.failures = 0
	}
	s.failures++
	rest := i.exactly(s.failures)
	s.failedAt = now + rest
	return rest
}

// Sick is an actor that fails too often.
type Sick struct {
	Actor    string
	Failures int // that add up, see Intensity
	Until    time.Time
}

// sickest is the actor of each level that is sick for the longest, or was. The map is never written.
type sickest map[string]*atomic.Pointer[Sick]

func newSickest() sickest {
	all := make(sickest)
	for level := range supervision {
		all[level] = new(atomic.Pointer[Sick])
	}
	return all
}

// now is who of a level is sick, or nil.
func (s sickest) now(level string) *Sick {
	if one := s[level].Load(); one != nil && time.Now().Before(one.Until) {
		return one
	}
	return nil
}

// tires notes a failure of an actor that goes on.
func (s *System) tires(level, actor string, of *stamina) (rest time.Duration) {
	rest = of.failed(s.now(), s.intensityOf(level))
	if rest == 0 {
		return 0
	}
	s.log.Error("actor is sick", slog.String("level", level), slog.String("actor", actor),
		slog.Int("failures", of.failures), slog.Duration("for", rest), slog.String("meanwhile", rests[level]))
	next := &Sick{actor, of.failures, time.Now().Add(rest)}
	for slot := s.sickest[level]; ; {
		old := slot.Load()
		if old != nil && old.Until.After(next.Until) || slot.CompareAndSwap(old, next) {
			return rest
		}
	}
}

// sickVitals is why the service is not ready, if an actor is sick that all users need.
func (s *System) sickVitals() *Error {
	for _, level := range []string{"registry", "gateway"} {
		if one := s.sickest.now(level); one != nil {
			return &Error{protocol.CodeUnavailable, fmt.Sprintf("the actor %s has failed %d times in a row; if it does not again, the service is ready in %s",
				one.Actor, one.Failures, time.Until(one.Until).Round(time.Second))}
		}
	}
	return nil
}
