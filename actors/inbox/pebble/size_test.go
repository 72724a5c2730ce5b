package pebble_test

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox"
	"callboard/actors/inbox/pebble"
	"callboard/protocol"
)

func TestBytesGrowWithWhatIsKept(t *testing.T) {
	store, err := pebble.Open("inboxes", pebble.Config{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	before := store.Bytes()
	content := strings.Repeat("x", 1000)
	batch := &inbox.Batch{}
	for seq := range uint64(100) {
		batch.Appends = append(batch.Appends, inbox.Append{User: "bob", Entry: inbox.Entry{
			Message: &protocol.Receive{Seq: seq + 1, Sender: "alice", Receiver: "bob", Content: content}, Sum: seq + 1,
		}})
	}
	if err := store.Commit(batch); err != nil {
		t.Fatal(err)
	}
	if grown := store.Bytes() - before; grown < 100_000 || grown > 1_000_000 {
		t.Errorf("100 messages of 1,000 bytes take %d", grown)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if left := store.Bytes(); left != 0 {
		t.Errorf("a closed store takes %d", left)
	}
}
