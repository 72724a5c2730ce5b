package memory_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/memory"
	"callboard/protocol"
)

// The empty batch asks whether the store takes messages.
func TestFullStoreSaysSoToWhoAsks(t *testing.T) {
	s := memory.New(memory.Config{MaxBytes: 300_000})
	if err := s.Commit(&inbox.Batch{}); err != nil {
		t.Fatalf("empty, it says %v", err)
	}
	inboxtest.Fill(t, s, "bob", 4, strings.Repeat("x", 60_000))
	if err := s.Commit(&inbox.Batch{}); !errors.Is(err, inbox.ErrFull) {
		t.Errorf("without room for the longest message it says %v", err)
	}
	if err := s.Commit(&inbox.Batch{Moves: []inbox.Move{{User: "bob", Device: inbox.Device{Cursor: 4}}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(&inbox.Batch{}); err != nil {
		t.Errorf("with room again it says %v", err)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStoreKeepsTheContract(t *testing.T) {
	inboxtest.Run(t, func(testing.TB) inbox.Store { return memory.New(memory.Config{}) })
}

func TestStoreKeepsTheContractOfDeadletters(t *testing.T) {
	inboxtest.RunDeadletters(t, func(testing.TB) inbox.Store { return memory.New(memory.Config{}) })
}

func TestStoreKeepsTheContractOfABlocklist(t *testing.T) {
	inboxtest.RunBlocklist(t, func(testing.TB) inbox.Store { return memory.New(memory.Config{}) })
}

func TestStoreIsImmediate(t *testing.T) {
	var store inbox.Store = memory.New(memory.Config{})
	if _, ok := store.(interface{ Immediate() }); !ok {
		t.Error("it does not say so")
	}
}

func commit(t *testing.T, s *memory.Store, batch inbox.Batch) {
	t.Helper()
	if err := s.Commit(&batch); err != nil {
		t.Fatal(err)
	}
}

func ack(user protocol.UserID, cursor uint64) inbox.Batch {
	return inbox.Batch{Moves: []inbox.Move{{User: user, Device: inbox.Device{Cursor: cursor}}}}
}

func TestWhatAllDevicesHaveGoesAndIsRememberedForAWhile(t *testing.T) {
	s := memory.New(memory.Config{})
	inboxtest.Fill(t, s, "bob", 2*memory.Remembered, "hello")
	commit(t, s, ack("bob", 2*memory.Remembered))
	state, err := s.Open("bob")
	if err != nil || state.Floor != 2*memory.Remembered || state.Head != state.Floor {
		t.Errorf("%+v, %v", state, err)
	}
	if entries, err := s.Read("bob", 0, 10, 1000); err != nil || len(entries) != 0 {
		t.Errorf("Read: %v, %v", entries, err)
	}
	for id, known := range map[int]bool{1: false, memory.Remembered: false, memory.Remembered + 1: true, 2 * memory.Remembered: true} {
		found, err := s.Find("bob", "sender", fmt.Sprint(id))
		if err != nil || (found != nil) != known {
			t.Errorf("Find of %d: %v, %v, want %v", id, found, err, known)
		}
	}
	commit(t, s, inbox.Batch{Trims: []inbox.Trim{{User: "bob", UpTo: 2 * memory.Remembered}}})
	if found, _ := s.Find("bob", "sender", fmt.Sprint(2*memory.Remembered)); found != nil {
		t.Errorf("Find knows what was trimmed: %v", found)
	}
}

func TestOneMoreThanFitsIsRefused(t *testing.T) {
	s := memory.New(memory.Config{MaxBytes: 100_000})
	sum, head, full := uint64(0), uint64(0), false
	for range 1000 {
		a := inboxtest.Entry("bob", head+1, sum, "", strings.Repeat("x", 1000))
		err := s.Commit(&inbox.Batch{Appends: []inbox.Append{a}})
		if errors.Is(err, inbox.ErrFull) {
			full = true
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		head, sum = head+1, a.Sum
	}
	if state, err := s.Open("bob"); !full || err != nil || state.Head != head || head < 70 || head > 100 {
		t.Fatalf("full %v at %d: %+v, %v", full, head, state, err)
	}
	if err := s.Commit(&inbox.Batch{}); !errors.Is(err, inbox.ErrFull) {
		t.Errorf("an empty batch: %v", err)
	}
	commit(t, s, ack("bob", head)) // makes room
	a := inboxtest.Entry("bob", head+1, sum, "", "hello")
	commit(t, s, inbox.Batch{Appends: []inbox.Append{a}})
}

func TestEverythingThatWasFreedCanBeUsedAgain(t *testing.T) {
	s := memory.New(memory.Config{MaxBytes: 1 << 20})
	sums := map[protocol.UserID]uint64{}
	for i := range uint64(20_000) { // 20 MB through 1 MiB
		for _, user := range []protocol.UserID{"alice", "bob"} {
			a := inboxtest.Entry(user, i+1, sums[user], fmt.Sprint(i), strings.Repeat("x", 500))
			sums[user] = a.Sum
			batch := ack(user, i+1)
			batch.Appends = []inbox.Append{a}
			if i%7 == 0 {
				batch.Trims = []inbox.Trim{{User: user, UpTo: i}}
			}
			commit(t, s, batch)
		}
	}
}

func TestIdleUserCostsLittle(t *testing.T) {
	const users = 50_000
	names := make([]protocol.UserID, users)
	for i := range names {
		names[i] = protocol.UserID(fmt.Sprintf("user%08d", i))
	}
	s := memory.New(memory.Config{})
	before := heap()
	for _, user := range names {
		a := inboxtest.Entry(user, 1, 0, "", "hello")
		batch := ack(user, 1)
		batch.Appends = []inbox.Append{a}
		batch.Trims = []inbox.Trim{{User: user, UpTo: 1}}
		commit(t, s, batch)
	}
	const device = 48 // the one that each of them has
	cost := float64(heap()-before)/users - device
	t.Logf("%.0f bytes for each user", cost)
	if cost > 160 {
		t.Errorf("an idle user costs %.0f bytes", cost)
	}
	runtime.KeepAlive(s)
	runtime.KeepAlive(names)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestManyMayCommitAtOnce(t *testing.T) {
	s := memory.New(memory.Config{})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			user := protocol.UserID(fmt.Sprint("user", i))
			sum := uint64(0)
			for seq := range uint64(2000) {
				a := inboxtest.Entry(user, seq+1, sum, fmt.Sprint(seq), "hello")
				sum = a.Sum
				batch := ack(user, seq)
				batch.Appends = []inbox.Append{a}
				if err := s.Commit(&batch); err != nil {
					t.Error(err)
				}
			}
			if state, err := s.Open(user); err != nil || state.Head != 2000 || state.Floor != 1999 {
				t.Errorf("%+v, %v", state, err)
			}
		})
	}
	group.Wait()
}

func TestAClosedStoreSaysSo(t *testing.T) {
	s := memory.New(memory.Config{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, open := s.Open("bob")
	_, read := s.Read("bob", 0, 1, 1)
	_, find := s.Find("bob", "a", "b")
	_, blocks := s.Blocks("", 1)
	for _, err := range []error{
		open, read, find, blocks, s.Commit(&inbox.Batch{}), s.Block(&inbox.Block{User: "bob"}), s.Unblock("bob"), s.Close(),
	} {
		if !errors.Is(err, inbox.ErrClosed) {
			t.Error(err)
		}
	}
}
