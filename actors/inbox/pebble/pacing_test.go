package pebble

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

func TestWritersOfTablesSleepUnlessCommitsWouldWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pacer{memtable: 32 << 20}
		slept := func() time.Duration {
			began := time.Now()
			for key := range 10 * yieldEvery * sleepEvery {
				p.yield(key + 1)
			}
			return time.Since(began)
		}
		flush := func(memtables int, bytes uint64) pebble.FlushInfo {
			return pebble.FlushInfo{Input: memtables, InputBytes: bytes}
		}

		if got := slept(); got != 10*sleepFor {
			t.Errorf("without a flush: %v", got)
		}
		p.flushBegins(flush(1, 32<<20))
		if got := slept(); got != 10*sleepFor {
			t.Errorf("the first flush: %v", got)
		}
		p.flushEnds(flush(1, 32<<20))
		time.Sleep(900 * time.Millisecond)
		p.flushBegins(flush(1, 32<<20))
		if got := slept(); got != 0 || p.pressure.Load() != busy {
			t.Errorf("32 MiB in 0.9 s: %v", got)
		}
		p.flushEnds(flush(1, 32<<20))
		time.Sleep(3 * time.Second)
		p.flushBegins(flush(2, 64<<20))
		if got := slept(); got != 0 || p.pressure.Load() != urgent {
			t.Errorf("two memtables: %v", got)
		}
		p.flushEnds(flush(2, 64<<20))
		if got := slept(); got != 10*sleepFor {
			t.Errorf("after the flushes: %v", got)
		}
		time.Sleep(3 * time.Second)
		p.flushBegins(flush(1, 32<<20))
		p.commitsWait()
		if got := slept(); got != 0 {
			t.Errorf("while commits wait: %v", got)
		}
		p.flushEnds(flush(1, 32<<20))

		tables := []pebble.TableInfo{{Size: 32 << 20}}
		for range maxLevel0 + 1 {
			p.flushEnds(pebble.FlushInfo{Output: tables})
		}
		if got := slept(); got != 0 {
			t.Errorf("when level 0 is too large: %v", got)
		}
		p.compactionEnds(pebble.CompactionInfo{Input: []pebble.LevelInfo{{Level: 0, Tables: tables}, {Level: 5, Tables: tables}}})
		if got := slept(); got != 10*sleepFor {
			t.Errorf("when level 0 is no longer too large: %v", got)
		}
		p.hurry.Store(true)
		if got := slept(); got != 0 {
			t.Errorf("when the database is opened or closed: %v", got)
		}
	})
}

// What Pebble tells and what it has must agree, or else compactions would sleep for ever, or never.
func TestPolitenessKnowsLevel0(t *testing.T) {
	w := newWritten(t, t.TempDir(), Config{MemTableBytes: 1 << 20})
	pacer := w.db.pacer
	var most int64
	for range 300 {
		w.write("1", 200)
		most = max(most, pacer.level0.Load())
	}
	if most == 0 {
		t.Error("no flush was told of")
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		has := w.db.Metrics()
		if told := pacer.level0.Load(); told == has.Levels[0].TablesSize && has.Compact.NumInProgress == 0 && has.Flush.NumInProgress == 0 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("level 0 has %d bytes, and the pacer was told of %d", has.Levels[0].TablesSize, told)
		}
	}
	if pacer.pressure.Load() != relaxed || pacer.hurry.Load() {
		t.Errorf("somebody hurries without need: %d, %v", pacer.pressure.Load(), pacer.hurry.Load())
	}
}
