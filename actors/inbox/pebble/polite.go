package pebble

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

const (
	// politeEvery is after how many keys who writes a table lets others go first: 0.1 to 0.2 ms.
	politeEvery = 64

	// politeSleeps is every which time it sleeps instead, and politeSleep how long at least; Go
	// makes a millisecond of it where nobody else is awake.
	politeSleeps = 8
	politeSleep  = 20 * time.Microsecond

	// politeRate is how many bytes each second fill memtables fast.
	politeRate = 32 << 20

	// politeBacklog is how many bytes of several memtables, which then wait for one flush, are too
	// many. A new store begins with small memtables, which are flushed at once.
	politeBacklog = 32 << 20
)

// politeness says how flushes and compactions let others go first. Where there are no more processors
// than work they would otherwise hold one for 10 ms at a time, until Go takes it away, and each
// commit needs one several times: relay on one processor fell to a tenth while one ran.
//
// To let those go first who can run is not enough: as long as anybody can, Go looks for what has come
// from the network every 10 ms only. So they also sleep, unless memtables fill fast, and do neither
// while several wait to be flushed, for soon commits would wait for that.
type politeness struct {
	manners atomic.Int32
	last    time.Time // when the last flush began; owned by the flush that runs, and there is one at a time
}

// manners, by what the flush that runs has found; without one there is no hurry.
const (
	patient int32 = iota // let others go first, and sleep
	brisk                // let others go first: memtables fill fast
	urgent               // do neither: several memtables are full
)

// flushBegins and flushEnds are told by Pebble.
func (p *politeness) flushBegins(info pebble.FlushInfo) {
	now := time.Now()
	switch {
	case info.Input > 1 && info.InputBytes > politeBacklog:
		p.manners.Store(urgent)
	case float64(info.InputBytes) > politeRate*now.Sub(p.last).Seconds():
		p.manners.Store(brisk)
	}
	p.last = now
}

func (p *politeness) flushEnds(pebble.FlushInfo) { p.manners.Store(patient) }

// yield is called by who has worked on some more keys.
func (p *politeness) yield(keys int) {
	if keys%politeEvery != 0 {
		return
	}
	switch manners := p.manners.Load(); {
	case manners == urgent:
	case manners == patient && keys%(politeEvery*politeSleeps) == 0:
		time.Sleep(politeSleep)
	default:
		runtime.Gosched()
	}
}

// A politeFilter is a Bloom filter whose maker is polite: flushes and compactions show it each key that they
// write, and nothing else of ours is called by both.
type politeFilter struct {
	bloom.FilterPolicy

	politeness *politeness
}

// NewWriter implements pebble.FilterPolicy.
func (f politeFilter) NewWriter(kind pebble.FilterType) pebble.FilterWriter {
	return &politeWriter{FilterWriter: f.FilterPolicy.NewWriter(kind), politeness: f.politeness}
}

type politeWriter struct {
	pebble.FilterWriter

	politeness *politeness
	keys       int
}

// AddKey implements pebble.FilterWriter.
func (w *politeWriter) AddKey(key []byte) {
	w.keys++
	w.politeness.yield(w.keys)
	w.FilterWriter.AddKey(key)
}
