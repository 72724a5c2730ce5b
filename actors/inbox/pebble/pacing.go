package pebble

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

const (
	// yieldEvery is after how many keys who writes a table lets others go first: 0.1 to 0.2 ms.
	yieldEvery = 64

	// sleepEvery is every which time it sleeps instead, and sleepFor how long at least; Go
	// makes a millisecond of it where nobody else is awake.
	sleepEvery = 8
	sleepFor   = 20 * time.Microsecond

	// busyRate is how many bytes each second fill memtables fast.
	busyRate = 32 << 20

	// maxLevel0 is how many memtables' worth of bytes level 0 may have, with four times as many as
	// what a compaction begins with: more would cost those who read.
	maxLevel0 = 4 * level0Compaction
)

// A pacer says how flushes and compactions let others go first. Where there are no more processors
// than work they would otherwise hold one for 10 ms at a time, until Go takes it away, and each
// commit needs one several times: relay on one processor fell to a tenth while one ran.
//
// To let those go first who can run is not enough: as long as anybody can, Go looks for what has come
// from the network every 10 ms only. So they also sleep, unless memtables fill fast. They do neither
// when others would have to wait for them: while a flush has more than one full memtable to write or
// commits wait for it, while level 0 is too large, and while the database is opened or closed.
type pacer struct {
	memtable uint64       // Config.MemTableBytes
	hurry    atomic.Bool  // the database is being opened or closed
	pressure atomic.Int32 // of the flush that runs
	level0   atomic.Int64 // bytes in level 0
	last     time.Time    // when the last flush began; owned by the flush that runs, and there is one at a time
}

// pressure, by what the flush that runs has found; without one there is no hurry.
const (
	relaxed int32 = iota // let others go first, and sleep
	busy                 // let others go first: memtables fill fast
	urgent               // do neither: commits wait, or soon will
)

// Pebble tells of flushes, stalls and compactions.

func (p *pacer) flushBegins(info pebble.FlushInfo) {
	now := time.Now()
	switch {
	case info.InputBytes > p.memtable: // more than one; those of a new store are smaller at first
		p.pressure.Store(urgent)
	case float64(info.InputBytes) > busyRate*now.Sub(p.last).Seconds():
		p.pressure.Store(busy)
	}
	p.last = now
}

func (p *pacer) commitsWait() { p.pressure.Store(urgent) }

func (p *pacer) flushEnds(info pebble.FlushInfo) {
	p.pressure.Store(relaxed)
	if info.Err == nil {
		p.level0.Add(sizeOf(info.Output))
	}
}

func (p *pacer) compactionEnds(info pebble.CompactionInfo) {
	if info.Err != nil {
		return
	}
	for _, input := range info.Input {
		if input.Level == 0 {
			p.level0.Add(-sizeOf(input.Tables))
		}
	}
	if info.Output.Level == 0 {
		p.level0.Add(sizeOf(info.Output.Tables))
	}
}

func sizeOf(tables []pebble.TableInfo) (bytes int64) {
	for i := range tables {
		bytes += int64(tables[i].Size)
	}
	return bytes
}

// yield is called by who has worked on some more keys.
func (p *pacer) yield(keys int) {
	if keys%yieldEvery != 0 {
		return
	}
	switch pressure := p.pressure.Load(); {
	case pressure == urgent, p.hurry.Load(), p.level0.Load() > maxLevel0*int64(p.memtable):
	case pressure == relaxed && keys%(yieldEvery*sleepEvery) == 0:
		time.Sleep(sleepFor)
	default:
		runtime.Gosched()
	}
}

// A pacedFilter is a Bloom filter whose writer paces itself: flushes and compactions show it each key that they
// write, and nothing else of ours is called by both.
type pacedFilter struct {
	bloom.FilterPolicy

	pacer *pacer
}

// NewWriter implements pebble.FilterPolicy.
func (f pacedFilter) NewWriter(kind pebble.FilterType) pebble.FilterWriter {
	return &pacedWriter{FilterWriter: f.FilterPolicy.NewWriter(kind), pacer: f.pacer}
}

type pacedWriter struct {
	pebble.FilterWriter

	pacer *pacer
	keys  int
}

// AddKey implements pebble.FilterWriter.
func (w *pacedWriter) AddKey(key []byte) {
	w.keys++
	w.pacer.yield(w.keys)
	w.FilterWriter.AddKey(key)
}
