package top

import (
	"callboard/transport/admin/adminv1"
)

// rates are what two looks say of the time between them.
type rates struct {
	known   bool // there were two, of the same process
	seconds float64

	in, kept, out, opened, ended float64

	hits, refused, closed map[string]float64 // by word
	shards                map[uint32]float64
}

func (m *model) rates() rates {
	r := rates{hits: map[string]float64{}, refused: map[string]float64{}, closed: map[string]float64{}, shards: map[uint32]float64{}}
	a, b := m.before, m.now
	if a.load == nil || b.load == nil || a.stats.StartedMs != b.stats.StartedMs || b.load.AtMs <= a.load.AtMs {
		return r
	}
	r.known, r.seconds = true, float64(b.load.AtMs-a.load.AtMs)/1000
	r.in = r.of(a.load.Taken, b.load.Taken)
	r.kept = r.of(a.load.Kept, b.load.Kept)
	r.out = r.of(a.load.Delivered, b.load.Delivered)
	r.opened = r.of(a.load.Opened, b.load.Opened)
	r.ended = r.of(a.load.Ended, b.load.Ended)
	r.words(r.hits, a.load.Limits, b.load.Limits)
	r.words(r.refused, a.load.Refused, b.load.Refused)
	r.words(r.closed, a.load.Closed, b.load.Closed)
	shards := map[uint32]uint64{}
	for _, s := range a.load.Shards {
		shards[s.Number] = s.Taken
	}
	for _, s := range b.load.Shards {
		r.shards[s.Number] = r.of(shards[s.Number], s.Taken)
	}
	return r
}

// of is how fast a total grew.
func (r *rates) of(before, now uint64) float64 {
	return float64(now-min(before, now)) / r.seconds
}

func (r *rates) words(into map[string]float64, before, now []*adminv1.CodeCount) {
	was := map[string]uint64{}
	for _, c := range before {
		was[c.Code] = c.Count
	}
	for _, c := range now {
		into[c.Code] = r.of(was[c.Code], c.Count)
	}
}

// sum is all of them together.
func sum(by map[string]float64) (total float64) {
	for _, rate := range by {
		total += rate
	}
	return total
}
