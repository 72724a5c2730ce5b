package pebble_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/pebble/disktest"
)

// append1 is a batch with the next message of an inbox that has the given head.
func append1(user string, head, sum uint64) *inbox.Batch {
	return &inbox.Batch{Appends: []inbox.Append{inboxtest.Entry("bob", head+1, sum, "", user)}}
}

func TestAFailedSyncIsNotConfirmedAndTheOthersReadOn(t *testing.T) {
	files := disktest.New(vfs.NewCrashableMem())
	s := openStore(t, "data", smallConfig(files))
	bobs := inboxtest.Fill(t, s, "bob", 1, "hello")
	inboxtest.Fill(t, s, "alice", 1, "hello")
	files.Break(func(name string) error {
		if strings.HasPrefix(name, "sync ") {
			return syscall.EIO
		}
		return nil
	})

	err := s.Commit(append1("bob", 1, bobs[0].Sum))
	if !errors.Is(err, syscall.EIO) || errors.Is(err, inbox.ErrFull) {
		t.Fatalf("Commit on a disk that does not sync: %v", err)
	}
	if err := s.Commit(&inbox.Batch{}); !errors.Is(err, syscall.EIO) {
		t.Errorf("the probe: %v", err)
	}
	if state, err := s.Open("alice"); err != nil || state.Head != 1 {
		t.Errorf("alice's inbox, which is sure: %+v, %v", state, err)
	}
	if state, err := s.Open("bob"); !errors.Is(err, syscall.EIO) {
		t.Errorf("bob's inbox, which nobody knows: %+v, %v", state, err)
	}

	files.Break(nil)
	if err := s.Commit(&inbox.Batch{}); err != nil {
		t.Fatalf("the disk works again: %v", err)
	}
	state, err := s.Open("bob")
	if err != nil || state.Head < 1 || state.Head > 2 {
		t.Errorf("bob's inbox: %+v, %v", state, err)
	}
	if err := verify(s); err != nil {
		t.Error(err)
	}
}

// Pebble shows what is not on the disk yet. Who opens an inbox would number on from there.
func TestOpenWaitsForTheCommitThatConcernsItsUser(t *testing.T) {
	for name, fails := range map[string]error{"and it succeeds": nil, "and it fails": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				files := disktest.New(vfs.NewCrashableMem())
				s := openStore(t, "data", smallConfig(files))
				bobs := inboxtest.Fill(t, s, "bob", 1, "hello")
				inboxtest.Fill(t, s, "alice", 1, "hello")
				syncing := make(chan struct{})
				files.Break(func(name string) error {
					if strings.HasPrefix(name, "sync ") {
						<-syncing
						return fails
					}
					return nil
				})
				go func() {
					if err := s.Commit(append1("bob", 1, bobs[0].Sum)); !errors.Is(err, fails) {
						t.Errorf("Commit: %v, want %v", err, fails)
					}
				}()
				synctest.Wait()
				if seen, err := s.Read("bob", 1, 1, 1); err != nil || len(seen) != 1 {
					t.Errorf("while the disk takes its time Read sees %v, %v", seen, err)
				}

				type opened struct {
					inbox.State
					err error
				}
				bob := make(chan opened, 1)
				go func() {
					state, err := s.Open("bob")
					bob <- opened{state, err}
				}()
				synctest.Wait()
				if len(bob) != 0 {
					t.Error("bob's inbox, which nobody knows, was opened")
				}
				if state, err := s.Open("alice"); err != nil || state.Head != 1 {
					t.Errorf("alice's inbox, which is sure: %+v, %v", state, err)
				}
				close(syncing)
				if got := <-bob; !errors.Is(got.err, fails) || fails == nil && got.Head != 2 {
					t.Errorf("bob's inbox after the commit: %+v, want %v", got, fails)
				}

				files.Break(nil)
				if err := errors.Join(s.Commit(&inbox.Batch{}), s.Close()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestNothingReachesTheDiskAfterAFailure(t *testing.T) {
	files := disktest.New(vfs.NewCrashableMem())
	s := openStore(t, "data", smallConfig(files))
	big := inboxtest.Fill(t, s, "bob", 20, strings.Repeat("x", 2000)) // a flush is near
	files.Fail(0, 1, syscall.ENOSPC)
	if err := s.Commit(append1("bob", 20, big[19].Sum)); !errors.Is(err, inbox.ErrFull) {
		t.Fatalf("Commit on a full disk: %v", err)
	}
	before := files.Changes()
	if err := s.Close(); err == nil {
		t.Error("Close of a store that lost something says nothing")
	}
	if files.Changes() != before {
		t.Errorf("%d changes were tried after the one that failed", files.Changes()-before)
	}
}

func TestMovesAloneSurviveAPowerLoss(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := openStore(t, "data", smallConfig(mem))
	inboxtest.Fill(t, s, "bob", 3, "hello")
	move := inbox.Move{User: "bob", Device: inbox.Device{Name: "phone", Cursor: 2}}
	if err := s.Commit(&inbox.Batch{Moves: []inbox.Move{move}}); err != nil {
		t.Fatal(err)
	}
	if n := devicesAfterCrash(t, mem); n != 1 {
		t.Errorf("%d devices after a power loss, want 1", n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// devicesAfterCrash returns how many devices bob has if the power goes off now.
func devicesAfterCrash(t *testing.T, mem *vfs.MemFS) int {
	t.Helper()
	s := openStore(t, "data", smallConfig(mem.CrashClone(vfs.CrashCloneCfg{})))
	state, err := s.Open("bob")
	if err != nil || state.Head != 3 {
		t.Errorf("%+v, %v", state, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return len(state.Devices)
}

func TestMovesAloneSurviveTheProcess(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := openStore(t, "data", smallConfig(mem))
	inboxtest.Fill(t, s, "bob", 3, "hello")
	move := inbox.Move{User: "bob", Device: inbox.Device{Name: "phone", Cursor: 2}}
	if err := s.Commit(&inbox.Batch{Moves: []inbox.Move{move}}); err != nil {
		t.Fatal(err)
	}
	// What was written is with the system, which outlives the process: all of it is kept.
	left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: newRNG()})
	again := openStore(t, "data", smallConfig(left))
	if state, err := again.Open("bob"); err != nil || len(state.Devices) != 1 {
		t.Errorf("%+v, %v", state, err)
	}
}

func TestConfirmedMovesSurviveAFailureOfTheDisk(t *testing.T) {
	files := disktest.New(vfs.NewCrashableMem())
	s := openStore(t, "data", smallConfig(files))
	inboxtest.Fill(t, s, "bob", 3, "hello")
	inboxtest.Fill(t, s, "alice", 3, "hello")
	move := inbox.Move{User: "bob", Device: inbox.Device{Name: "phone", Cursor: 2}}
	if err := s.Commit(&inbox.Batch{Moves: []inbox.Move{move}}); err != nil {
		t.Fatal(err)
	}
	files.Fail(0, 1, syscall.EIO)
	if err := s.Commit(&inbox.Batch{}); err == nil {
		t.Fatal("the probe of a disk that fails succeeded")
	}
	if err := s.Commit(&inbox.Batch{}); err != nil {
		t.Fatal(err)
	}
	if state, err := s.Open("bob"); err != nil || len(state.Devices) != 1 || state.Devices[0].Cursor != 2 {
		t.Errorf("%+v, %v", state, err)
	}
}

func TestACommitThatWaitsForAFlushThatFailsReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := disktest.New(vfs.NewCrashableMem())
		s := openStore(t, "data", smallConfig(files))
		fail := make(chan struct{})
		files.Break(func(name string) error {
			if strings.HasPrefix(name, "create ") && strings.HasSuffix(name, ".sst") {
				<-fail
				return syscall.EIO
			}
			return nil
		})

		result := make(chan error, 1)
		confirmed := uint64(0)
		go func() {
			sum := uint64(0)
			for {
				a := inboxtest.Entry("bob", confirmed+1, sum, "", strings.Repeat("x", 10_000))
				if err := s.Commit(&inbox.Batch{Appends: []inbox.Append{a}}); err != nil {
					result <- err
					return
				}
				confirmed, sum = confirmed+1, a.Sum
			}
		}()
		synctest.Wait() // the log is full, and the commit waits
		close(fail)
		if err := <-result; !errors.Is(err, syscall.EIO) {
			t.Errorf("%v", err)
		}
		files.Break(nil)
		if err := s.Commit(&inbox.Batch{}); err != nil {
			t.Error(err)
		}
		state, err := s.Open("bob")
		if err != nil || state.Head < confirmed || state.Head > confirmed+1 || confirmed < 5 {
			t.Errorf("%d were confirmed: %+v, %v", confirmed, state, err)
		}
		if err := errors.Join(verify(s), s.Close()); err != nil {
			t.Error(err)
		}
	})
}
