package pebble

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

func TestWritersOfTablesSleepUnlessCommitsWouldWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p politeness
		slept := func() time.Duration {
			began := time.Now()
			for key := range 10 * politeEvery * politeSleeps {
				p.yield(key + 1)
			}
			return time.Since(began)
		}
		flush := func(memtables int, bytes uint64) pebble.FlushInfo {
			return pebble.FlushInfo{Input: memtables, InputBytes: bytes}
		}

		if got := slept(); got != 10*politeSleep {
			t.Errorf("without a flush: %v", got)
		}
		p.flushBegins(flush(1, 32<<20))
		if got := slept(); got != 10*politeSleep {
			t.Errorf("the first flush: %v", got)
		}
		p.flushEnds(flush(1, 32<<20))
		time.Sleep(900 * time.Millisecond)
		p.flushBegins(flush(1, 32<<20))
		if got := slept(); got != 0 || p.manners.Load() != brisk {
			t.Errorf("32 MiB in 0.9 s: %v", got)
		}
		p.flushEnds(flush(1, 32<<20))
		time.Sleep(3 * time.Second)
		p.flushBegins(flush(2, 64<<20))
		if got := slept(); got != 0 || p.manners.Load() != urgent {
			t.Errorf("two memtables: %v", got)
		}
		p.flushEnds(flush(2, 64<<20))
		if got := slept(); got != 10*politeSleep {
			t.Errorf("after the flushes: %v", got)
		}
	})
}
