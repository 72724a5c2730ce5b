package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// A Result is what Run measured. Times are in microseconds.
type Result struct {
	Workload Workload `json:"workload"`
	Protocol Protocol `json:"protocol"`
	URL      string   `json:"url"`
	Users    int      `json:"users"`
	Window   int      `json:"window"`
	Size     int      `json:"size"`
	Rate     int      `json:"rate,omitempty"`
	Seconds  float64  `json:"seconds"`

	Connections          int     `json:"connections"`
	ConnectionsPerSecond float64 `json:"connections_per_s"`

	Messages           uint64   `json:"messages"` // that arrived
	MessagesPerSecond  float64  `json:"messages_per_s"`
	Confirmed          uint64   `json:"confirmed"`
	ConfirmedPerSecond float64  `json:"confirmed_per_s"`
	Skipped            uint64   `json:"skipped,omitempty"` // due, and never sent
	SendToSent         *Latency `json:"send_to_sent_us,omitempty"`
	SendToReceive      *Latency `json:"send_to_receive_us,omitempty"`

	BytesSent     int64 `json:"bytes_sent"`
	BytesReceived int64 `json:"bytes_received"`

	Errors   map[string]uint64 `json:"errors,omitempty"` // by code
	OwnCores float64           `json:"own_cores"`
	Service  *ServiceUse       `json:"service,omitempty"`
	Check    *Check            `json:"check,omitempty"`
	Notes    []string          `json:"notes,omitempty"` // what makes the figures doubtful
}

// A ServiceUse is what a run cost the service's process.
type ServiceUse struct {
	ResidentBytes          int64   `json:"resident_bytes"`
	BytesPerConnection     float64 `json:"bytes_per_connection"` // with what it had cached by then
	Cores                  float64 `json:"cores"`
	MicrosecondsPerMessage float64 `json:"cpu_us_per_message,omitempty"`
}

func (r *Result) note(text string) {
	if text != "" {
		r.Notes = append(r.Notes, text)
	}
}

// Failure is the error that the run ends with because of what it found; nil if all
// is well.
func (r *Result) Failure() error {
	if r.Check == nil || r.Check.OK() {
		return nil
	}
	c := r.Check
	return fmt.Errorf("the check failed: %d lost, %d doubled, %d reordered, %d altered, %d unanswered of %d confirmed messages; for instance: %s",
		c.Lost, c.Doubled, c.Reordered, c.Altered, c.Unanswered, c.Confirmed, c.Examples[0])
}

// WriteTable writes the result for people.
func (r *Result) WriteTable(out io.Writer) error {
	t := newTable(out)
	t.row("workload", "%s, %s, %d users", r.Workload, r.Protocol, r.Users)
	t.row("connections", "%d, %.0f/s", r.Connections, r.ConnectionsPerSecond)
	if r.Workload != Idle {
		r.traffic(t)
	}
	t.errors(r.Errors)
	t.row("load generator", "%.2f processors", r.OwnCores)
	if s := r.Service; s != nil {
		t.row("service", "%.1f MiB, %.2f processors", float64(s.ResidentBytes)/(1<<20), s.Cores)
		if r.Workload == Idle {
			t.row("", "%.0f bytes for each connection", s.BytesPerConnection)
		} else {
			t.row("", "%.1f µs of processor for each message", s.MicrosecondsPerMessage)
		}
	}
	if r.Check != nil {
		t.check(r.Check)
	}
	t.notes(r.Notes)
	return t.flush()
}

func (r *Result) traffic(t *table) {
	t.row("window, size", "%d, %d bytes", r.Window, r.Size)
	t.row("messages", "%d in %.1f s", r.Messages, r.Seconds)
	t.row("messages/s", "%.0f", r.MessagesPerSecond)
	if r.Confirmed > 0 {
		t.row("confirmed/s", "%.0f", r.ConfirmedPerSecond)
	}
	t.row("bytes", "%d sent, %d received", r.BytesSent, r.BytesReceived)
	t.latency("send to SENT", r.SendToSent)
	t.latency("send to RECEIVE", r.SendToReceive)
}

// A table is lines of a name and what there is to say. It keeps the first error.
type table struct {
	w   *tabwriter.Writer
	err error
}

func newTable(out io.Writer) *table { return &table{w: tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)} }

func (t *table) row(name, format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
}

func (t *table) latency(name string, l *Latency) {
	if l == nil {
		return
	}
	t.row(name, "p50 %s  p90 %s  p99 %s  p99.9 %s  max %s",
		microseconds(l.P50), microseconds(l.P90), microseconds(l.P99), microseconds(l.P999), microseconds(l.Max))
}

func (t *table) errors(errors map[string]uint64) {
	for _, code := range slices.Sorted(maps.Keys(errors)) {
		t.row("error "+code, "%d", errors[code])
	}
}

func (t *table) notes(notes []string) {
	for _, note := range notes {
		t.row("note", "%s", note)
	}
}

func (t *table) check(c *Check) {
	t.row("check", "%d confirmed, %d seen: %d lost, %d doubled, %d reordered, %d altered, %d unanswered",
		c.Confirmed, c.Seen, c.Lost, c.Doubled, c.Reordered, c.Altered, c.Unanswered)
	for _, example := range c.Examples {
		t.row("", "%s", example)
	}
}

func (t *table) flush() error {
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

// microseconds is a time with three digits or so.
func microseconds(us float64) string {
	switch {
	case us < 1000:
		return strings.TrimSuffix(fmt.Sprintf("%.0f", us), ".0") + "µs"
	case us < 1e6:
		return fmt.Sprintf("%.2fms", us/1e3)
	}
	return fmt.Sprintf("%.2fs", us/1e6)
}
