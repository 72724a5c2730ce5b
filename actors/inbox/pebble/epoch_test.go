package pebble_test

import (
	"errors"
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/pebble"
)

// epochIn opens a store, asks for its epoch and closes it.
func epochIn(t *testing.T, dir string, config pebble.Config) uint32 {
	t.Helper()
	s := openStore(t, dir, config)
	state, err := s.Open("bob")
	if err != nil || state.Epoch != s.Epoch() {
		t.Fatalf("the store has epoch %d, bob's inbox %+v: %v", s.Epoch(), state, err)
	}
	user, err := s.User("bob")
	if err != nil || user.Epoch != s.Epoch() {
		t.Fatalf("bob is %+v: %v", user, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return state.Epoch
}

func TestEpochIsOfTheDirectoryAndStays(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	first := epochIn(t, dir, pebble.Config{})
	if first == 0 {
		t.Fatal("a new store has no epoch")
	}
	for _, config := range []pebble.Config{{}, {ReadOnly: true}, {}} {
		if again := epochIn(t, dir, config); again != first {
			t.Errorf("the epoch was %d and is %d", first, again)
		}
	}
	if epochIn(t, other, pebble.Config{}) == first {
		t.Error("another directory has the same epoch")
	}
}

// The directory is one that a program without epochs has written.
func TestStoreWithoutAnEpochGetsOneAndLosesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/version1")); err != nil {
		t.Fatal(err)
	}
	if epoch := epochIn(t, dir, pebble.Config{ReadOnly: true}); epoch != 0 {
		t.Fatalf("the store has the epoch %d already", epoch)
	}

	first := epochIn(t, dir, pebble.Config{})

	if first == 0 || epochIn(t, dir, pebble.Config{}) != first {
		t.Errorf("the epoch %d did not stay", first)
	}
	s := openStore(t, dir, pebble.Config{})
	if err := verify(s); err != nil {
		t.Error(err)
	}
	bob, err := s.Open("bob")
	if err != nil || bob.Head != 5 || bob.Floor != 0 || len(bob.Devices) != 1 || bob.Devices[0].Cursor != 3 {
		t.Errorf("bob has %+v, %v", bob, err)
	}
	entries, err := s.Read("alice", 0, 10, 1<<20)
	if err != nil || len(entries) != 2 || entries[1].Message.Content != "hello" {
		t.Errorf("alice has %v, %v", entries, err)
	}
	commit(t, s, inbox.Batch{Appends: []inbox.Append{inboxtest.Entry("alice", 3, entries[1].Sum, "3", "hello")}})
}

func TestRenewedStoreHasAnotherEpochAndAllElse(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s, err := pebble.Open("data", pebble.Config{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	inboxtest.Fill(t, s, "bob", 3, "hello")
	first := s.Epoch()

	renewed, err := s.Renew()

	if err != nil || renewed == first || renewed == 0 || s.Epoch() != renewed {
		t.Fatalf("renewed from %d to %d, and it is %d: %v", first, renewed, s.Epoch(), err)
	}
	lost := fs.CrashClone(vfs.CrashCloneCfg{}) // keeps just what was synced
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if again := epochIn(t, "data", pebble.Config{FS: lost}); again != renewed {
		t.Errorf("after a power loss the epoch is %d, not %d", again, renewed)
	}
	after := openStore(t, "data", pebble.Config{FS: lost})
	if state, err := after.Open("bob"); err != nil || state.Head != 3 {
		t.Errorf("%+v, %v", state, err)
	}
}

func TestEpochIsNotRenewedWhereNothingMayBeWritten(t *testing.T) {
	dir := t.TempDir()
	first := epochIn(t, dir, pebble.Config{})
	s := openStore(t, dir, pebble.Config{ReadOnly: true})
	if _, err := s.Renew(); err == nil {
		t.Error("a store that is open for reading only was renewed")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Renew(); !errors.Is(err, inbox.ErrClosed) {
		t.Errorf("Renew of a closed store: %v", err)
	}
	if again := epochIn(t, dir, pebble.Config{}); again != first {
		t.Errorf("the epoch was %d and is %d", first, again)
	}
}
