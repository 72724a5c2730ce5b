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
	MaxInboxEntries    int           // as in Config; likewise the others
	MaxInboxBytes      int           // bytes
	ForgetDevicesAfter time.Duration //
}

// limitsOf are those that a System begins with.
func limitsOf(c *Config) *Limits {
	return &Limits{c.MaxInboxEntries, c.MaxInboxBytes, c.ForgetDevicesAfter}
}

// Reload sets other limits, for all that comes from then on: what is in an inbox already stays.
// An error changes nothing.
func (s *System) Reload(limits Limits) error {
	if err := limits.validate(); err != nil {
		return fmt.Errorf("limits of the actors: %w", err)
	}
	s.limits.Store(&limits)
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
	return errors.Join(errs...)
}
