package pebble_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/pebble"
	"callboard/protocol"
)

func newRNG() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// retained runs a round of retention on what fill commits, at the given time since the
// messages of inboxtest were sent, and returns bob's state.
func retained(t *testing.T, config pebble.Config, now time.Duration, fill func(*pebble.Store)) (state inbox.State) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		config.FS = vfs.NewMem()
		config.RetentionInterval = time.Hour
		config.Now = func() time.Time { return time.UnixMilli(1000).Add(now) }
		s := openStore(t, "data", config)
		fill(s)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		var err error
		if state, err = s.Open("bob"); err != nil {
			t.Error(err)
		}
		if err := verify(s); err != nil {
			t.Error(err)
		}
		entries, err := s.Read("bob", 0, 1<<20, 1<<30)
		if err != nil || uint64(len(entries)) != state.Head-state.Floor {
			t.Errorf("%d entries, %+v, %v", len(entries), state, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return state
}

func commit(t *testing.T, s inbox.Store, batch inbox.Batch) {
	t.Helper()
	if err := s.Commit(&batch); err != nil {
		t.Error(err)
	}
}

func at(cursor uint64, seen int64) inbox.Batch {
	return inbox.Batch{Moves: []inbox.Move{{User: "bob", Device: inbox.Device{Name: "phone", Cursor: cursor, Seen: seen}}}}
}

func TestRetentionTakesWhatIsTooOldWhoeverHasIt(t *testing.T) {
	// The messages are a millisecond apart, so 2500 of them are older than a second.
	state := retained(t, pebble.Config{RetentionAge: time.Second}, 3501*time.Millisecond, func(s *pebble.Store) {
		inboxtest.Fill(t, s, "alice", 10, "hello")
		inboxtest.Fill(t, s, "bob", 3000, "hello")
	})
	if state.Head != 3000 || state.Floor != 2500 {
		t.Errorf("%+v, want floor 2500", state)
	}
}

func TestRetentionByCountLeavesWhatNoDeviceHas(t *testing.T) {
	for cursor, floor := range map[uint64]uint64{0: 0, 500: 500, 2000: 1990} {
		state := retained(t, pebble.Config{RetentionEntries: 10}, 0, func(s *pebble.Store) {
			inboxtest.Fill(t, s, "bob", 2000, "hello")
			commit(t, s, at(cursor, 1000))
		})
		if state.Floor != floor {
			t.Errorf("cursor %d: %+v, want floor %d", cursor, state, floor)
		}
	}
}

func TestRetentionForgetsDevicesThatWouldMissNothing(t *testing.T) {
	for name, c := range map[string]struct {
		cursor uint64
		seen   int64
		floor  uint64
		left   int
	}{
		"past everything, long ago":     {5, 0, 5, 0},
		"past everything, lately":       {5, 9500, 5, 1},
		"behind, long ago":              {4, 0, 5, 0}, // all it had not seen is gone too
		"has what is left, long ago":    {5, 0, 2, 1}, // and would get it again as a new one
		"has some of what is left":      {3, 0, 2, 1},
		"has what is gone, and no more": {2, 0, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			now := 9 * time.Second
			if c.floor < 5 { // the messages are a millisecond apart
				now = time.Second + time.Duration(c.floor+1)*time.Millisecond
			}
			state := retained(t, pebble.Config{RetentionAge: time.Second}, now, func(s *pebble.Store) {
				inboxtest.Fill(t, s, "bob", 5, "hello")
				commit(t, s, at(c.cursor, c.seen))
			})
			if len(state.Devices) != c.left || state.Head != 5 || state.Floor != c.floor {
				t.Errorf("%+v, want %d devices and floor %d", state, c.left, c.floor)
			}
		})
	}
}

func TestRetentionGoesThroughAllUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := pebble.Config{
			FS: vfs.NewMem(), RetentionAge: time.Second, RetentionInterval: time.Hour,
			Now: func() time.Time { return time.UnixMilli(100_000) },
		}
		s := openStore(t, "data", config)
		for i := range 300 {
			inboxtest.Fill(t, s, protocol.UserID(fmt.Sprint("user", i)), 3, "hello")
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		total, err := s.Stats(t.Context())
		if err != nil || total.Users != 300 || total.Entries != 0 {
			t.Errorf("%+v, %v", total, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Nobody waits for the end of an interval who gives less because the disk is full.
func TestRetentionThatWasChangedActsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, "data", pebble.Config{
			FS: vfs.NewMem(), RetentionInterval: 24 * time.Hour, Now: func() time.Time { return time.UnixMilli(1_000_000) },
		})
		inboxtest.Fill(t, s, "bob", 5, "hello")
		for range 3 {
			if err := s.Retain(pebble.Retention{Age: time.Second, Entries: 100}); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Second) // of a day
		synctest.Wait()
		if state, err := s.Open("bob"); err != nil || state.Floor != 5 {
			t.Errorf("%+v, %v", state, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestRetentionThatWasChangedIsThatOfTheNextRound(t *testing.T) {
	state := retained(t, pebble.Config{RetentionEntries: 100, RetentionAge: time.Hour}, 1501*time.Millisecond, func(s *pebble.Store) {
		inboxtest.Fill(t, s, "bob", 2000, "hello")
		commit(t, s, at(10, 1000))
		for _, wrong := range []pebble.Retention{{Age: 0, Entries: 1}, {Age: time.Second, Entries: 0}} {
			if s.Retain(wrong) == nil {
				t.Errorf("%+v is taken", wrong)
			}
		}
		if err := s.Retain(pebble.Retention{Age: time.Second, Entries: 100}); err != nil {
			t.Error(err)
		}
	})
	if state.Floor != 500 { // those that are older than a second
		t.Errorf("%+v, want floor 500", state)
	}
}
