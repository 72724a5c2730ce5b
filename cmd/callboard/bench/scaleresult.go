package bench

import (
	"fmt"
	"io"
)

// A ScaleResult is what Scale measured.
type ScaleResult struct {
	Protocol Protocol `json:"protocol"`
	Users    int      `json:"users"`
	Window   int      `json:"window"`
	Size     int      `json:"size"`

	Stages []Stage           `json:"stages"`
	Errors map[string]uint64 `json:"errors,omitempty"` // by code
	Check  *Check            `json:"check,omitempty"`
	Notes  []string          `json:"notes,omitempty"` // what makes the figures doubtful
}

// A Stage is a steady time, or a move: then From and To differ. The ratios are those of a move to
// the steady time before it.
type Stage struct {
	From              int      `json:"from"`
	To                int      `json:"to"`
	Moved             int      `json:"moved,omitempty"` // users
	Seconds           float64  `json:"seconds"`
	Messages          uint64   `json:"messages"` // that arrived
	MessagesPerSecond float64  `json:"messages_per_s"`
	SendToReceive     *Latency `json:"send_to_receive_us,omitempty"` // of those that were due in it
	ThroughputRatio   float64  `json:"throughput_ratio,omitempty"`
	P99Ratio          float64  `json:"p99_ratio,omitempty"`
}

func (r *ScaleResult) note(text string) {
	if text != "" {
		r.Notes = append(r.Notes, text)
	}
}

// compare fills in the ratios.
func (r *ScaleResult) compare() {
	for i := range r.Stages {
		s := &r.Stages[i]
		if s.From == s.To {
			continue
		}
		steady := &r.Stages[i-1]
		if steady.MessagesPerSecond > 0 {
			s.ThroughputRatio = s.MessagesPerSecond / steady.MessagesPerSecond
		}
		if steady.SendToReceive != nil && s.SendToReceive != nil {
			s.P99Ratio = s.SendToReceive.P99 / steady.SendToReceive.P99
		}
	}
}

// Failure is the error that the run ends with because of what it found; nil if all
// is well.
func (r *ScaleResult) Failure() error { return (&Result{Check: r.Check}).Failure() }

// WriteTable writes the result for people.
func (r *ScaleResult) WriteTable(out io.Writer) error {
	t := newTable(out)
	t.row("workload", "relay, %s, %d users, window %d, %d bytes", r.Protocol, r.Users, r.Window, r.Size)
	for _, s := range r.Stages {
		name, ratio := fmt.Sprintf("%d shards", s.To), ""
		if s.From != s.To {
			name = fmt.Sprintf("%d to %d", s.From, s.To)
			ratio = fmt.Sprintf("; %.2f times the messages/s, %.2f times the p99; %d users moved", s.ThroughputRatio, s.P99Ratio, s.Moved)
		}
		var l Latency
		if s.SendToReceive != nil {
			l = *s.SendToReceive
		}
		t.row(name, "%.2f s, %.0f messages/s, p50 %s, p99 %s, max %s%s",
			s.Seconds, s.MessagesPerSecond, microseconds(l.P50), microseconds(l.P99), microseconds(l.Max), ratio)
	}
	t.errors(r.Errors)
	if r.Check != nil {
		t.check(r.Check)
	}
	t.notes(r.Notes)
	return t.flush()
}
