package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// A HandshakesResult is what Handshakes measured.
type HandshakesResult struct {
	Protocol Protocol `json:"protocol"`
	Users    int      `json:"users"`
	Window   int      `json:"window"`
	Size     int      `json:"size"`
	Rate     int      `json:"rate,omitempty"` // 0: as fast as the window allows

	Rounds []StormRound `json:"rounds"`

	// Throughput and P99 are the medians of the rounds' ratios, of the storm to the calm before it.
	Throughput float64 `json:"throughput_ratio"`
	P99        float64 `json:"p99_ratio"`

	Errors map[string]uint64 `json:"errors,omitempty"` // of the relay, by code
	Check  *Check            `json:"check,omitempty"`
	Notes  []string          `json:"notes,omitempty"` // what makes the figures doubtful
}

// A Spell is a time in which the relay was measured.
type Spell struct {
	Seconds           float64  `json:"seconds"`
	Messages          uint64   `json:"messages"`
	MessagesPerSecond float64  `json:"messages_per_s"`
	SendToReceive     *Latency `json:"send_to_receive_us,omitempty"`
	ServiceCores      float64  `json:"service_cores,omitempty"`
}

// A StormRound is a calm time and the storm behind it.
type StormRound struct {
	Calm       Spell   `json:"calm"`
	Storm      Spell   `json:"storm"`
	Throughput float64 `json:"throughput_ratio"`
	P99        float64 `json:"p99_ratio"`

	Fate                     // of all kinds together
	Kinds    map[Attack]Fate `json:"kinds"`
	OwnCores float64         `json:"own_cores"` // of this process, for the relay and the storm
}

func (r *HandshakesResult) add(calm, storm Spell, from, to map[Attack]Fate, own time.Duration) {
	round := StormRound{Calm: calm, Storm: storm, Kinds: map[Attack]Fate{}, OwnCores: own.Seconds() / storm.Seconds}
	for kind, fate := range to {
		round.Kinds[kind] = fate.minus(from[kind])
		round.Fate = round.plus(round.Kinds[kind])
	}
	if calm.Messages > 0 {
		round.Throughput = storm.MessagesPerSecond / calm.MessagesPerSecond
	}
	if calm.SendToReceive != nil && storm.SendToReceive != nil {
		round.P99 = storm.SendToReceive.P99 / calm.SendToReceive.P99
	}
	r.Rounds = append(r.Rounds, round)
}

// conclude fills in the medians.
func (r *HandshakesResult) conclude() {
	var throughput, p99 []float64
	var all Fate
	for i := range r.Rounds {
		throughput, p99 = append(throughput, r.Rounds[i].Throughput), append(p99, r.Rounds[i].P99)
		all = all.plus(r.Rounds[i].Fate)
	}
	r.Throughput, r.P99 = median(throughput), median(p99)
	if all.Failed > all.Attempts/100 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d handshakes could not be made: the storm was less than it should have been", all.Failed))
	}
	if all.LetIn > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d handshakes were let in: a service that asks for no tokens checks none: run it with --identity-development, and give its --data as --identity-data", all.LetIn))
	}
}

// Failure is the error that the run ends with because of what it found; nil if all
// is well.
func (r *HandshakesResult) Failure() error { return (&Result{Check: r.Check}).Failure() }

// WriteTable writes the result for people.
func (r *HandshakesResult) WriteTable(out io.Writer) error {
	t := newTable(out)
	t.row("workload", "relay, %s, %d users, window %d, %d bytes", r.Protocol, r.Users, r.Window, r.Size)
	for i := range r.Rounds {
		round := &r.Rounds[i]
		t.row(fmt.Sprintf("round %d", i+1), "calm %.0f messages/s, storm %.0f: %.3f times; p99 %.2f times",
			round.Calm.MessagesPerSecond, round.Storm.MessagesPerSecond, round.Throughput, round.P99)
		for _, kind := range slices.Sorted(maps.Keys(round.Kinds)) {
			fate := round.Kinds[kind]
			t.row("", "%s: %d handshakes, %d answered, %d let in, %d cut, %d kept, %d failed", kind, fate.Attempts, fate.Answered, fate.LetIn, fate.Cut, fate.Kept, fate.Failed)
		}
		if round.Storm.ServiceCores > 0 {
			t.row("", "the service used %.2f cores when calm and %.2f in the storm, this process %.2f", round.Calm.ServiceCores, round.Storm.ServiceCores, round.OwnCores)
		}
	}
	t.row("throughput", "%.3f times that of the calm, the median of %d rounds; p99 %.2f times", r.Throughput, len(r.Rounds), r.P99)
	t.errors(r.Errors)
	if r.Check != nil {
		t.check(r.Check)
	}
	t.notes(r.Notes)
	return t.flush()
}
