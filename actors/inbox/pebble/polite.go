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

	// politeLevel0 is how many memtables' worth of bytes level 0 may have, with four times as many as
	// what a compaction begins with: more would cost those who read.
	politeLevel0 = 4 * level0Compaction
)

// politeness says how flushes and compactions let others go first. Where there are no more processors
// than work they would otherwise hold one for 10 ms at a time, until Go takes it away, and each
// commit needs one several times: relay on one processor fell to a tenth while one ran.
//
// To let those go first who can run is not enough: as long as anybody can, Go looks for what has come
// from the network every 10 ms only. So they also sleep, unless memtables fill fast. They do neither
// when others would have to wait for them: while a flush has more than one full memtable to write or
// commits wait for it, while level 0 is too large, and while the database is opened or closed.
type politeness struct {
	memtable uint64       // Config.MemTableBytes
	hurry    atomic.Bool  // the database is being opened or closed
	manners  atomic.Int32 // of the flush that runs
	level0   atomic.Int64 // bytes in level 0
	last     time.Time    // when the last flush began; owned by the flush that runs, and there is one at a time
}

// manners, by what the flush that runs has found; without one there is no hurry.
const (
	patient int32 = iota // let others go first, and sleep
	brisk                // let others go first: memtables fill fast
	urgent               // do neither: commits wait, or soon will
)

// Pebble tells of flushes, stalls and compactions.

func (p *politeness) flushBegins(info pebble.FlushInfo) {
	now := time.Now()
	switch {
	case info.InputBytes > p.memtable: // more than one; those of a new store are smaller at first
		p.manners.Store(urgent)
	case float64(info.InputBytes) > politeRate*now.Sub(p.last).Seconds():
		p.manners.Store(brisk)
	}
	p.last = now
}

func (p *politeness) commitsWait() { p.manners.Store(urgent) }

func (p *politeness) flushEnds(info pebble.FlushInfo) {
	p.manners.Store(patient)
	if info.Err == nil {
		p.level0.Add(sizeOf(info.Output))
	}
}

func (p *politeness) compactionEnds(info pebble.CompactionInfo) {
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
func (p *politeness) yield(keys int) {
	if keys%politeEvery != 0 {
		return
	}
	switch manners := p.manners.Load(); {
	case manners == urgent, p.hurry.Load(), p.level0.Load() > politeLevel0*int64(p.memtable):
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
