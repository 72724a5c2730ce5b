package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// A ChaosResult is what Chaos has done and found.
type ChaosResult struct {
	Seed    uint64  `json:"seed"`
	Users   int     `json:"users"`
	Devices int     `json:"devices"` // of each user
	Seconds float64 `json:"seconds"`

	Rounds         int     `json:"rounds"`          // kills under load
	KilledStarting int     `json:"killed_starting"` // kills while it recovered
	SlowestStart   float64 `json:"slowest_start_s"` // from the start of the process until it was ready

	Restarts  uint64            `json:"restarts"` // of clients
	Unsure    uint64            `json:"restarts_that_may_repeat"`
	Resent    uint64            `json:"resent"`
	Abandoned uint64            `json:"abandoned"`
	Conflicts uint64            `json:"conflicts"`
	Cuts      uint64            `json:"cuts"`
	Stalls    uint64            `json:"stalls"`
	Errors    map[string]uint64 `json:"errors,omitempty"` // by code

	Findings    Findings `json:"findings"`
	Lagging     int      `json:"lagging"`     // devices that had not seen all when the time was over
	Unconfirmed uint64   `json:"unconfirmed"` // messages that had no receipt then
	Folder      string   `json:"folder,omitempty"`
}

// sum fills in what was done and found.
func (c *chaos) sum(r *ChaosResult) {
	t := &c.tally
	r.Restarts, r.Unsure, r.Resent = t.restarts.Load(), t.unsure.Load(), t.resent.Load()
	r.Abandoned, r.Conflicts = t.abandoned.Load(), t.conflicts.Load()
	r.Cuts, r.Stalls = t.cuts.Load(), t.stalls.Load()
	r.Errors = c.errorCounts()
	r.Findings = c.chronicle.Verdict()
}

func (c *chaos) errorCounts() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.errors)
}

// Failure is the error that the run ends with because of what it found; nil if all
// is well.
func (r *ChaosResult) Failure() error {
	f := &r.Findings
	switch {
	case !f.OK():
		return fmt.Errorf("seed %d: %d lost, %d doubled, %d reordered, %d altered; for instance: %s; data and log are in %s",
			r.Seed, f.Lost, f.Doubled, f.Reordered, f.Altered, f.Examples[0], r.Folder)
	case r.Unconfirmed > 0:
		return fmt.Errorf("seed %d: %d messages were never confirmed; data and log are in %s", r.Seed, r.Unconfirmed, r.Folder)
	}
	return nil
}

// WriteTable writes the result for people.
func (r *ChaosResult) WriteTable(out io.Writer) error {
	t, f := newTable(out), &r.Findings
	t.row("seed", "%d", r.Seed)
	t.row("kills", "%d under load, %d while it recovered, in %.1f s", r.Rounds, r.KilledStarting, r.Seconds)
	t.row("slowest start", "%.2f s", r.SlowestStart)
	t.row("clients", "%d users, %d devices each; %d restarts, %d cuts, %d stalls", r.Users, r.Devices, r.Restarts, r.Cuts, r.Stalls)
	t.row("messages", "%d sent, %d confirmed, %d in inboxes, %d seen by all devices", f.Written, f.Confirmed, f.Kept, f.Seen)
	t.row("sent again", "%d under the same id; %d abandoned; %d refused as a conflict", r.Resent, r.Abandoned, r.Conflicts)
	t.row("repeats", "%d, in %d restarts of devices that left their cursor to the service", f.Repeats, r.Unsure)
	for _, code := range slices.Sorted(maps.Keys(r.Errors)) {
		t.row("error "+code, "%d", r.Errors[code])
	}
	t.row("found", "%d lost, %d doubled, %d reordered, %d altered, %d unconfirmed", f.Lost, f.Doubled, f.Reordered, f.Altered, r.Unconfirmed)
	for _, example := range f.Examples {
		t.row("", "%s", example)
	}
	return t.flush()
}
