package actors

import (
	"errors"
	"fmt"
	"time"

	"callboard/protocol"
)

// Limits are those of a Config that can change while the System runs. Nobody changes one after
// it was handed over.
type Limits struct {
	MaxInboxEntries    int // as in Config; likewise the others
	MaxInboxBytes      int
	ForgetDevicesAfter time.Duration
	StuckAfter         time.Duration
	MaxDeadletters     int // what is there beyond it goes when the next one is set aside
	MaxDeadletterBytes int // likewise
	MaxSessionsPerUser int // those who are connected stay
	MaxFrameBytes      int // of sessions to come
	Rates              Rates
}

// leastFrameBytes is the smallest MaxFrameBytes: a CONNECT with the longest token fits.
const leastFrameBytes = 8 << 10

// limitsOf are those that a System begins with.
func limitsOf(c *Config) *Limits {
	return &Limits{
		MaxInboxEntries: c.MaxInboxEntries, MaxInboxBytes: c.MaxInboxBytes, ForgetDevicesAfter: c.ForgetDevicesAfter,
		StuckAfter: c.StuckAfter, MaxDeadletters: c.MaxDeadletters, MaxDeadletterBytes: c.MaxDeadletterBytes,
		MaxSessionsPerUser: c.MaxSessionsPerUser, MaxFrameBytes: c.MaxFrameBytes, Rates: c.Rates,
	}
}

// Limits are those that hold now.
func (s *System) Limits() Limits { return *s.limits.Load() }

// Reload sets other limits, for all that comes from then on: what is in an inbox already stays.
// An error changes nothing.
func (s *System) Reload(limits Limits) error {
	if err := limits.validate(); err != nil {
		return fmt.Errorf("limits of the actors: %w", err)
	}
	s.limits.Store(&limits)
	s.workers.Limit(limits.StuckAfter)
	return nil
}

func (l *Limits) validate() error {
	var errs []error
	if l.MaxInboxEntries < 1 {
		errs = append(errs, fmt.Errorf("MaxInboxEntries is %d: give at least 1", l.MaxInboxEntries))
	}
	if l.MaxInboxBytes < protocol.MaxFrameBytes {
		errs = append(errs, fmt.Errorf("MaxInboxBytes is %d: give at least %d, the longest message", l.MaxInboxBytes, protocol.MaxFrameBytes))
	}
	if l.ForgetDevicesAfter < time.Millisecond {
		errs = append(errs, fmt.Errorf("ForgetDevicesAfter is %v: give at least 1ms", l.ForgetDevicesAfter))
	}
	if l.StuckAfter < time.Millisecond {
		errs = append(errs, fmt.Errorf("StuckAfter is %v: give at least 1ms", l.StuckAfter))
	}
	if l.MaxDeadletters < 1 {
		errs = append(errs, fmt.Errorf("MaxDeadletters is %d: give at least 1", l.MaxDeadletters))
	}
	if l.MaxDeadletterBytes < 2*protocol.MaxFrameBytes {
		errs = append(errs, fmt.Errorf("MaxDeadletterBytes is %d: give at least %d, twice the longest message", l.MaxDeadletterBytes, 2*protocol.MaxFrameBytes))
	}
	if l.MaxSessionsPerUser < 1 {
		errs = append(errs, fmt.Errorf("MaxSessionsPerUser is %d: give at least 1", l.MaxSessionsPerUser))
	}
	if l.MaxFrameBytes < leastFrameBytes || l.MaxFrameBytes > protocol.MaxFrameBytes {
		errs = append(errs, fmt.Errorf("MaxFrameBytes is %d: give %d to %d", l.MaxFrameBytes, leastFrameBytes, protocol.MaxFrameBytes))
	}
	return errors.Join(append(errs, l.Rates.validate())...)
}
