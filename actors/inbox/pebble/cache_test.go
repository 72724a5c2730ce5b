package pebble

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
)

func TestMemtablesTakeNothingFromTheCache(t *testing.T) {
	s, err := Open(t.TempDir(), Config{CacheBytes: 512 << 10, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	find := func() (missed int64) {
		before := s.db.Metrics().BlockCache.Misses
		for i := range 1000 {
			if seq, _, err := s.db.pair(appendIDKey(nil, "1", "2", fmt.Sprint("unknown-", i))); seq != 0 || err != nil {
				t.Fatalf("%d, %v", seq, err)
			}
		}
		return s.db.Metrics().BlockCache.Misses - before
	}

	content := strings.Repeat("x", 500)
	batch, seq, sum := &inbox.Batch{}, uint64(0), uint64(0)
	for range 100 { // 5 MB: several tables, and a memtable of its full size
		batch.Reset()
		for range 100 {
			seq++
			a := inboxtest.Entry("1", seq, sum, fmt.Sprint("id-", seq), content)
			sum = a.Sum
			batch.Appends = append(batch.Appends, a)
		}
		if err := s.Commit(batch); err != nil {
			t.Fatal(err)
		}
	}

	for deadline := time.Now().Add(10 * time.Second); ; {
		missed := find() // more at first: flushes and compactions read too, and make new tables
		if missed <= 100 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("looked up again and again, 1,000 unknown ids read %d blocks", missed)
		}
	}
}
