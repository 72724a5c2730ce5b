package pebble

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/pebble/disktest"
	"callboard/protocol"
)

// written is a store with some inboxes, and how many messages each has.
type written struct {
	*Store

	t     *testing.T
	heads map[protocol.UserID]uint64
	sums  map[protocol.UserID]uint64
}

func newWritten(t *testing.T, dir string, config Config) *written {
	t.Helper()
	s, err := Open(dir, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &written{Store: s, t: t, heads: map[protocol.UserID]uint64{}, sums: map[protocol.UserID]uint64{}}
}

func (w *written) write(user protocol.UserID, count int) {
	w.t.Helper()
	batch := &inbox.Batch{}
	for range count {
		w.heads[user]++
		a := inboxtest.Entry(user, w.heads[user], w.sums[user], fmt.Sprint("id-", w.heads[user]), "x")
		w.sums[user] = a.Sum
		batch.Appends = append(batch.Appends, a)
	}
	if err := w.Commit(batch); err != nil {
		w.t.Fatal(err)
	}
}

// finds fails the test unless all that was written is found.
func (w *written) finds() {
	w.t.Helper()
	for user, head := range w.heads {
		for seq := uint64(1); seq <= head; seq++ {
			if m, err := w.Find(user, "sender", fmt.Sprint("id-", seq)); err != nil || m == nil || m.Seq != seq {
				w.t.Fatalf("message %d of %s: found %v, %v", seq, user, m, err)
			}
		}
	}
}

// rebuilt waits until another filter is asked than before.
func (w *written) rebuilt(before any) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); w.ids.asked.Load() == nil || any(w.ids.asked.Load()) == before; {
		if time.Now().After(deadline) {
			w.t.Fatal("the ids are not read")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestIDsAreFoundAfterTheyWereRead(t *testing.T) {
	dir := t.TempDir()
	w := newWritten(t, dir, Config{})
	for range 50 {
		w.write("1", 200)
		w.write("22", 1)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again := newWritten(t, dir, Config{})
	again.heads, again.sums = w.heads, w.sums

	again.finds() // while they are read
	again.rebuilt(nil)
	again.finds()

	looks := func() int64 {
		before := again.db.Metrics().BlockCache
		for i := range 1000 {
			if m, err := again.Find("1", "sender", fmt.Sprint("unknown-", i)); m != nil || err != nil {
				t.Fatalf("%v, %v", m, err)
			}
		}
		after := again.db.Metrics().BlockCache
		return after.Hits + after.Misses - before.Hits - before.Misses
	}
	for deadline := time.Now().Add(10 * time.Second); ; { // flushes and compactions look too, at first
		looked := looks()
		if looked <= 100 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("again and again, 1,000 unknown ids made %d looks into the database", looked)
		}
	}
}

func TestIDsThatComeWhileOthersAreReadAreFound(t *testing.T) {
	w := newWritten(t, t.TempDir(), Config{})
	w.rebuilt(nil)
	w.write("1", 10)

	rebuild := w.beginRebuild()
	w.write("2", 10)
	if err := w.readSomeIDs(rebuild); err != nil || rebuild.from != nil || rebuild.count != 20 {
		t.Fatalf("%+v, %v", rebuild, err)
	}
	w.write("1", 10)
	w.finds()
	if err := w.endRebuild(rebuild); err != nil {
		t.Error(err)
	}

	w.write("3", 10)
	w.finds()
}

func TestIDsAreReadAnewWhenTheyAreTooMany(t *testing.T) {
	w := newWritten(t, t.TempDir(), Config{CacheBytes: 4096}) // full with 819
	w.rebuilt(nil)
	for range 3 {
		before := w.ids.asked.Load()
		for range max(10, w.heads["1"]/100) { // as many again, and more than it takes
			w.write("1", 110)
		}
		w.rebuilt(before)
		w.finds()
		w.write("2", 1)
		w.finds()
	}
}

// newBreakable is a store on a disk that fails to write logs when it is told to.
func newBreakable(t *testing.T) (w *written, breaks func(bool)) {
	t.Helper()
	files := disktest.New(vfs.NewCrashableMem())
	w = newWritten(t, "data", Config{FS: files, RetentionEntries: 5, RetentionAge: 1e6 * time.Hour}) // the messages are of 1970
	w.rebuilt(nil)
	return w, func(broken bool) {
		files.Break(func(name string) error {
			if broken && strings.HasPrefix(name, "write ") && strings.HasSuffix(name, ".log") {
				return syscall.EIO
			}
			return nil
		})
	}
}

// mended has the disk work again, and fails the test unless what was written is found.
func (w *written) mended(breaks func(bool)) {
	w.t.Helper()
	breaks(false)
	if err := w.Commit(&inbox.Batch{}); err != nil {
		w.t.Fatal(err)
	}
	w.finds()
}

func TestIDsThatAFailedCommitTookAwayAreFoundAgain(t *testing.T) {
	w, breaks := newBreakable(t)
	w.write("1", 10)
	breaks(true)
	if err := w.Commit(&inbox.Batch{Trims: []inbox.Trim{{User: "1", UpTo: 5}}}); err == nil {
		t.Fatal("a disk that does not write confirmed a commit")
	}

	rebuild := w.beginRebuild()
	if err := w.readSomeIDs(rebuild); err == nil {
		t.Error("what a broken disk has in memory was read")
	}
	rebuild.from = nil // as if the disk had broken later
	if err := w.endRebuild(rebuild); err == nil {
		t.Error("what a broken disk has in memory was taken for what it has")
	}
	w.mended(breaks)
	if err := w.endRebuild(rebuild); !errors.Is(err, errOutdated) {
		t.Errorf("what was read before a failure was taken for what is there after it: %v", err)
	}
	w.finds()
}

func TestIDsThatRetentionTookAwayInMemoryAreFoundAgain(t *testing.T) {
	w, breaks := newBreakable(t)
	w.write("1", 10)
	rebuild := w.beginRebuild()
	at10 := inbox.Move{User: "1", Device: inbox.Device{Name: "phone", Cursor: 10, Seen: w.config.Now().UnixMilli()}}
	if err := w.Commit(&inbox.Batch{Moves: []inbox.Move{at10}}); err != nil {
		t.Fatal(err)
	}
	var took taken
	w.retainUser("1", 0, &took) // is not synced
	if err := w.readSomeIDs(rebuild); err != nil || took.entries != 5 || rebuild.count != 5 {
		t.Fatalf("%+v, %+v, %v", took, rebuild, err)
	}

	breaks(true)
	if err := w.endRebuild(rebuild); err == nil {
		t.Error("a filter was taken without the ids of what retention has taken only in memory")
	}
	w.mended(breaks)
}

func TestIDsAreReadWhenTheDiskWorksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, breaks := newBreakable(t)
		w.write("1", 10)
		before := w.ids.asked.Load()
		breaks(true)
		if err := w.Commit(&inbox.Batch{}); err == nil {
			t.Fatal("a disk that does not write confirmed a commit")
		}
		w.ids.stale <- struct{}{}
		time.Sleep(time.Hour)
		if w.ids.asked.Load() != before {
			t.Error("a filter was taken of a broken disk")
		}
		w.mended(breaks)
		time.Sleep(w.config.RetentionInterval)
		synctest.Wait()
		if w.ids.asked.Load() == before {
			t.Error("the ids are not read though the disk works again")
		}
		w.finds()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}
