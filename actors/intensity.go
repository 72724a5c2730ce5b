package actors

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Intensity says how often an actor may fail before it rests, and for how long. What a rest
// is depends on the level: rests says it. Failures that are no more than Window apart add up.
type Intensity struct {
	Failures int           // that many change nothing but the counts: a user gets a new actor at once, the others go on
	Window   time.Duration // who does not fail for so long begins anew; it counts from the end of a rest
	Park     time.Duration // the first rest; each further one is twice as long
	MaxPark  time.Duration // no rest is longer
}

// Supervision is the Intensity of every level but that of users, which is Config.Intensity.
// Each shard counts by itself. Sessions have none: the first failure closes the socket.
type Supervision struct {
	// Default 10 failures in 10 s, then 5 s to 1 min.
	Registry, Shard, Gateway, Doorkeeper, Coroner Intensity

	// Journal is by default 3 failures in 10 s, then 100 ms to 30 s. It begins anew with every commit.
	Journal Intensity

	// RetryAfter is how long an actor that goes on after a failure waits until it tries once
	// more what nobody else would repeat and what has failed three times at once; twice as long each
	// time after that, up to MaxRetryAfter. Default 100 ms and 10 s.
	RetryAfter, MaxRetryAfter time.Duration
}

// rests are what a rest is, by level.
var rests = map[string]string{
	"registry":   "it goes on, and the service is not ready",
	"shard":      "it goes on, and the log and the tree say that it is sick",
	"user":       "it is parked: who writes to it is refused, and its sockets stay open",
	"gateway":    "it goes on, and the service is not ready",
	"session":    "there is none and nothing to tune: its socket closes at the first failure",
	"doorkeeper": "it goes on, and the log and the tree say that it is sick",
	"coroner":    "it goes on, and the log and the tree say that it is sick",
	"journal":    "messages are refused, and the service is not ready",
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

// levels are the intensities in it, by level.
func (s *Supervision) levels() map[string]*Intensity {
	return map[string]*Intensity{
		"registry": &s.Registry, "shard": &s.Shard, "gateway": &s.Gateway, "doorkeeper": &s.Doorkeeper, "coroner": &s.Coroner,
		"journal": &s.Journal,
	}
}

func (s *Supervision) withDefaults() Supervision {
	all := *s
	for level, i := range all.levels() {
		if level != "journal" {
			*i = Intensity{
				Failures: or(i.Failures, 10), Window: i.Window, Park: or(i.Park, 5*time.Second), MaxPark: or(i.MaxPark, time.Minute),
			}
		}
		*i = i.withDefaults()
	}
	all.RetryAfter, all.MaxRetryAfter = or(s.RetryAfter, 100*time.Millisecond), or(s.MaxRetryAfter, 10*time.Second)
	return all
}

func (s *Supervision) validate() error {
	for level, i := range s.levels() {
		if err := i.validate(); err != nil {
			return fmt.Errorf("%s: %w", level, err)
		}
	}
	switch {
	case s.RetryAfter < time.Millisecond:
		return fmt.Errorf("RetryAfter is %s: give at least 1ms", s.RetryAfter)
	case s.MaxRetryAfter < s.RetryAfter:
		return fmt.Errorf("MaxRetryAfter is %s: give at least RetryAfter, which is %s", s.MaxRetryAfter, s.RetryAfter)
	}
	return nil
}

// retryAfter is how long to wait for a try that so many were put off before.
func (s *Supervision) retryAfter(times int) time.Duration {
	if d := s.RetryAfter << min(times, 20); d > 0 {
		return min(d, s.MaxRetryAfter)
	}
	return s.MaxRetryAfter
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

// Supervise is Tune for the other levels.
func (s *System) Supervise(levels Supervision) error {
	levels = levels.withDefaults()
	if err := levels.validate(); err != nil {
		return fmt.Errorf("supervision: %w", err)
	}
	s.supervision.Store(&levels)
	return nil
}

// Intensity is what holds now.
func (s *System) Intensity() Intensity { return *s.intensity.Load() }

// intensityOf is that of a level; nil: it has none.
func (s *System) intensityOf(level string) *Intensity {
	if level == "user" {
		return s.intensity.Load()
	}
	return s.supervision.Load().levels()[level]
}

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
