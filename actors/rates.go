package actors

import (
	"errors"
	"fmt"
	"time"
)

// Rates bound what clients send, by session and by user. What comes faster is slowed down
// first, then refused, then its session is closed (pacer.go).
type Rates struct {
	Session Rate // of each session
	User    Rate // of all sessions together that a user has on this node

	// SlowFor is for how long a client that presses on is slowed down before it is refused.
	// 0: it is refused at once.
	SlowFor time.Duration

	// MaxRefusals is how often it is refused before its session is closed. Default 1,000.
	MaxRefusals int
}

// on is whether anything is bounded.
func (r *Rates) on() bool { return r.Session.Every|r.User.Every != 0 }

// lease is how many messages a reader may be given at once, so that it looks at the clock and at what it
// shares with others seldom: a small part of the burst, for what it does not use is lost to the others.
func (r *Rates) lease() int {
	least := MaxBurst
	for _, rate := range []Rate{r.Session, r.User} {
		if rate.Every > 0 {
			least = min(least, rate.Burst)
		}
	}
	return max(1, min(least/64, 64))
}

func (r *Rates) validate() error {
	errs := []error{r.Session.Validate("Rates.Session"), r.User.Validate("Rates.User")}
	if r.SlowFor < 0 || r.SlowFor > time.Hour {
		errs = append(errs, fmt.Errorf("the field Rates.SlowFor is %v: give 0 to 1h", r.SlowFor))
	}
	if r.MaxRefusals < 1 {
		errs = append(errs, fmt.Errorf("the field Rates.MaxRefusals is %d: give at least 1", r.MaxRefusals))
	}
	return errors.Join(errs...)
}
