package pebble_test

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/pebble"
	"callboard/protocol"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// tracedEntry is an entry with a traceparent.
func tracedEntry(user protocol.UserID, seq, sum uint64, id, content string) inbox.Append {
	a := inboxtest.Entry(user, seq, sum, id, content)
	a.Message.Traceparent = traceparent
	a.Sum = sum + inbox.Size(a.Message)
	return a
}

// versionIn is the version of the layout that a directory says it has, and that of the entry.
func versionIn(t *testing.T, dir string, user protocol.UserID, seq uint64) (layout, entry uint64) {
	t.Helper()
	db := rawOpen(t, dir)
	defer func() { _ = db.Close() }()
	value, closer, err := db.Get([]byte("\x00v"))
	if err != nil {
		t.Fatal(err)
	}
	layout, _ = binary.Uvarint(value)
	_ = closer.Close()
	key := append([]byte{1, byte(len(user))}, user...)
	if value, closer, err = db.Get(binary.BigEndian.AppendUint64(append(key, 4), seq)); err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	return layout, uint64(value[0])
}

// A store of an earlier program keeps its version, and with it the way back to that program,
// until there is an entry that it could not read.
func TestStoreIsOfTheNewestVersionFromItsFirstTraceparentOn(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/version1")); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir, pebble.Config{})
	state, err := s.Open("alice")
	if err != nil {
		t.Fatal(err)
	}
	plain := inboxtest.Entry("alice", 3, state.Sum, "3", "hello")
	commit(t, s, inbox.Batch{Appends: []inbox.Append{plain}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if layout, entry := versionIn(t, dir, "alice", 3); layout != 1 || entry != 1 {
		t.Fatalf("without a traceparent the store has version %d and the entry %d", layout, entry)
	}

	s = openStore(t, dir, pebble.Config{})
	commit(t, s, inbox.Batch{Appends: []inbox.Append{tracedEntry("alice", 4, plain.Sum, "4", "hello")}})
	commit(t, s, inbox.Batch{Appends: []inbox.Append{tracedEntry("bob", 6, stateOf(t, s, "bob").Sum, "6", "hello")}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if layout, entry := versionIn(t, dir, "alice", 4); layout != 2 || entry != 2 {
		t.Fatalf("with a traceparent the store has version %d and the entry %d", layout, entry)
	}

	s = openStore(t, dir, pebble.Config{})
	if err := verify(s); err != nil {
		t.Error(err)
	}
	entries, err := s.Read("alice", 0, 10, 1<<20)
	if err != nil || len(entries) != 4 {
		t.Fatalf("alice has %v, %v", entries, err)
	}
	for i, want := range []string{"", "", "", traceparent} {
		if m := entries[i].Message; m.Traceparent != want || m.Content != "hello" && i > 1 {
			t.Errorf("message %d is %v", i+1, m)
		}
	}
	found, err := s.Find("alice", "sender", "4")
	if err != nil || found == nil || found.Traceparent != traceparent {
		t.Errorf("message 4 is found as %v, %v", found, err)
	}
}

func stateOf(t *testing.T, s *pebble.Store, user protocol.UserID) inbox.State {
	t.Helper()
	state, err := s.Open(user)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// The version comes to the disk with the entry that needs it, or not at all.
func TestVersionIsRaisedWithTheEntryThatNeedsIt(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s, err := pebble.Open("data", pebble.Config{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, inbox.Batch{Appends: []inbox.Append{tracedEntry("bob", 1, 0, "1", "hello")}})
	lost := fs.CrashClone(vfs.CrashCloneCfg{}) // keeps just what was synced
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	after := openStore(t, "data", pebble.Config{FS: lost})
	entries, err := after.Read("bob", 0, 10, 1<<20)
	if err != nil || len(entries) != 1 || entries[0].Message.Traceparent != traceparent {
		t.Fatalf("after a power loss bob has %v, %v", entries, err)
	}
	commit(t, after, inbox.Batch{Trims: []inbox.Trim{{User: "bob", UpTo: 1}}}) // which reads sender and id
	if found, err := after.Find("bob", "sender", "1"); err != nil || found != nil {
		t.Errorf("after a trim there is %v, %v", found, err)
	}
}
