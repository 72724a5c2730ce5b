package inboxtest

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// Run holds a Store to the contract of inbox.Store, crashes aside. Open returns an empty
// one, and sees to its end.
func Run(t *testing.T, open func(t testing.TB) inbox.Store) {
	t.Helper()
	t.Run("a user who was never written to has nothing", func(t *testing.T) { nothing(t, open(t)) })
	t.Run("what was committed can be read", func(t *testing.T) { readable(t, open(t)) })
	t.Run("a read ends at its limits", func(t *testing.T) { limited(t, open(t)) })
	t.Run("users do not mix", func(t *testing.T) { apart(t, open(t)) })
	t.Run("devices move and are forgotten", func(t *testing.T) { devices(t, open(t)) })
	t.Run("a trim leaves head and sum", func(t *testing.T) { trimmed(t, open(t)) })
	t.Run("a trim of what the batch appends", func(t *testing.T) { trimmedAtOnce(t, open(t)) })
	t.Run("an epoch is all inboxes', and stays", func(t *testing.T) { epoch(t, open(t)) })
	t.Run("an empty batch changes nothing", func(t *testing.T) { empty(t, open(t)) })
	t.Run("readers do not disturb commits", func(t *testing.T) { together(t, open(t)) })
	t.Run("it does what the model does", func(t *testing.T) {
		rapid.Check(t, func(r *rapid.T) {
			store := open(t)
			follow(r, store, model{}, 20)
			if closer, ok := store.(interface{ Close() error }); ok {
				must(r, closer.Close())
			}
		})
	})
}

// Entry makes the entry of a message that follows on another.
func Entry(user protocol.UserID, seq, sum uint64, id, content string) inbox.Append {
	m := &protocol.Receive{Seq: seq, Id: id, Sender: "sender", Receiver: string(user), Content: content, At: int64(1000 + seq)}
	return inbox.Append{User: user, Entry: inbox.Entry{Message: m, Sum: sum + inbox.Size(m)}}
}

// Fill commits count messages with ids "1", "2" and so on to an inbox that is empty.
func Fill(tb testing.TB, store inbox.Store, user protocol.UserID, count int, content string) []inbox.Append {
	tb.Helper()
	batch := &inbox.Batch{}
	sum := uint64(0)
	for seq := range uint64(count) {
		a := Entry(user, seq+1, sum, fmt.Sprint(seq+1), content)
		sum = a.Sum
		batch.Appends = append(batch.Appends, a)
	}
	must(tb, store.Commit(batch))
	return batch.Appends
}

type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func must(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func state(t failer, store inbox.Store, user protocol.UserID) inbox.State {
	t.Helper()
	s, err := store.Open(user)
	must(t, err)
	s.Epoch = 0 // any one will do, and epoch looks at it
	return s
}

// epochOf is the epoch of a user's inbox.
func epochOf(t failer, store inbox.Store, user protocol.UserID) uint32 {
	t.Helper()
	s, err := store.Open(user)
	must(t, err)
	return s.Epoch
}

func epoch(t *testing.T, store inbox.Store) {
	t.Helper()
	first := epochOf(t, store, "bob")
	if first == 0 {
		t.Fatal("the epoch of a new store is 0")
	}
	Fill(t, store, "bob", 3, "hello")
	must(t, store.Commit(&inbox.Batch{
		Moves: []inbox.Move{{User: "bob", Device: inbox.Device{Name: "phone", Cursor: 2}}},
		Trims: []inbox.Trim{{User: "bob", UpTo: 1}},
	}))
	must(t, store.Commit(&inbox.Batch{}))
	for _, user := range []protocol.UserID{"bob", "nobody"} {
		same(t, "epoch", epochOf(t, store, user), first)
	}
}

func read(t failer, store inbox.Store, user protocol.UserID, after uint64, maxEntries, maxBytes int) []uint64 {
	t.Helper()
	entries, err := store.Read(user, after, maxEntries, maxBytes)
	must(t, err)
	var seqs []uint64
	for _, e := range entries {
		seqs = append(seqs, e.Message.Seq)
	}
	return seqs
}

func same(t failer, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

func nothing(t *testing.T, store inbox.Store) {
	t.Helper()
	same(t, "Open", state(t, store, "nobody"), inbox.State{})
	same(t, "Read", len(read(t, store, "nobody", 0, 10, 1000)), 0)
	found, err := store.Find("nobody", "sender", "1")
	must(t, err)
	if found != nil {
		t.Errorf("Find: %v", found)
	}
}

func readable(t *testing.T, store inbox.Store) {
	t.Helper()
	appends := Fill(t, store, "bob", 3, "hello\x00\xff")
	same(t, "Open", state(t, store, "bob"), inbox.State{Head: 3, Sum: appends[2].Sum})
	entries, err := store.Read("bob", 0, 10, 1<<20)
	must(t, err)
	for i, e := range entries {
		same(t, "entry", line(e), line(appends[i].Entry))
		found, err := store.Find("bob", "sender", e.Message.Id)
		must(t, err)
		if found == nil {
			t.Fatalf("Find does not know %q", e.Message.Id)
		}
		same(t, "found", found.Seq, e.Message.Seq)
	}
	same(t, "count", len(entries), 3)
	for _, unknown := range [][2]string{{"sender", "4"}, {"other", "1"}, {"sender", ""}, {"sender1", ""}, {"", "sender1"}} {
		found, err := store.Find("bob", unknown[0], unknown[1])
		must(t, err)
		if found != nil {
			t.Errorf("Find of %q: %v", unknown, found)
		}
	}
}

func limited(t *testing.T, store inbox.Store) {
	t.Helper()
	appends := Fill(t, store, "bob", 9, "hello")
	size := int(inbox.Size(appends[0].Message))
	same(t, "by count", read(t, store, "bob", 3, 2, 1<<20), []uint64{4, 5})
	same(t, "by bytes", read(t, store, "bob", 3, 9, 2*size), []uint64{4, 5})
	same(t, "by bytes, beyond", read(t, store, "bob", 3, 9, 2*size+1), []uint64{4, 5, 6})
	same(t, "one always", read(t, store, "bob", 3, 9, 0), []uint64{4})
	same(t, "after the head", len(read(t, store, "bob", 9, 9, 1<<20)), 0)
	same(t, "far after the head", len(read(t, store, "bob", 1<<64-1, 9, 1<<20)), 0)
	same(t, "none wanted", len(read(t, store, "bob", 0, 0, 1<<20)), 0)
}

func apart(t *testing.T, store inbox.Store) {
	t.Helper()
	names := []protocol.UserID{"b", "bo", "bob", "bobb", "a", "c", "0", protocol.UserID(strings.Repeat("b", protocol.MaxUserIDBytes))}
	batch := &inbox.Batch{}
	for _, user := range names {
		batch.Appends = append(batch.Appends, Entry(user, 1, 0, "x", "for "+string(user)))
	}
	must(t, store.Commit(batch))
	for _, user := range names {
		same(t, "head", state(t, store, user).Head, uint64(1))
		found, err := store.Find(user, "sender", "x")
		must(t, err)
		same(t, "content", found.Content, "for "+string(user))
		same(t, "entries", read(t, store, user, 0, 10, 1<<20), []uint64{1})
	}
}

func devices(t *testing.T, store inbox.Store) {
	t.Helper()
	Fill(t, store, "bob", 3, "hello")
	phone, nameless := inbox.Device{Name: "phone", Cursor: 2, Seen: 77}, inbox.Device{Cursor: 1, Seen: -1}
	must(t, store.Commit(&inbox.Batch{Moves: []inbox.Move{{User: "bob", Device: phone}, {User: "bob", Device: nameless}}}))
	same(t, "devices", state(t, store, "bob").Devices, []inbox.Device{nameless, phone})
	phone.Cursor = 1 // backwards
	must(t, store.Commit(&inbox.Batch{Moves: []inbox.Move{{User: "bob", Device: phone}, {User: "bob", Device: nameless, Forget: true}}}))
	same(t, "devices", state(t, store, "bob").Devices, []inbox.Device{phone})
	must(t, store.Commit(&inbox.Batch{Moves: []inbox.Move{{User: "eve", Device: inbox.Device{Name: "none"}, Forget: true}}}))
	same(t, "devices", len(state(t, store, "eve").Devices), 0)
}

func trimmed(t *testing.T, store inbox.Store) {
	t.Helper()
	for _, count := range []int{3, 200} { // a few, and a range
		user := protocol.UserID(fmt.Sprint("bob", count))
		appends := Fill(t, store, user, count, "hello")
		last := appends[count-1]
		must(t, store.Commit(&inbox.Batch{Trims: []inbox.Trim{{User: user, UpTo: uint64(count - 1)}}}))
		same(t, "Open", state(t, store, user), inbox.State{Head: uint64(count), Sum: last.Sum, Floor: uint64(count - 1)})
		same(t, "Read", read(t, store, user, 0, 10, 1<<20), []uint64{uint64(count)})
		gone, err := store.Find(user, "sender", "1")
		must(t, err)
		if gone != nil {
			t.Errorf("Find knows what was trimmed: %v", gone)
		}
		must(t, store.Commit(&inbox.Batch{Trims: []inbox.Trim{{User: user, UpTo: 1}, {User: user, UpTo: 1 << 40}}}))
		same(t, "Open", state(t, store, user), inbox.State{Head: uint64(count), Sum: last.Sum, Floor: uint64(count)})
		next := Entry(user, uint64(count)+1, last.Sum, "1", "again")
		must(t, store.Commit(&inbox.Batch{Appends: []inbox.Append{next}}))
		same(t, "Read", read(t, store, user, 0, 10, 1<<20), []uint64{uint64(count) + 1})
	}
}

func trimmedAtOnce(t *testing.T, store inbox.Store) {
	t.Helper()
	first := Entry("bob", 1, 0, "1", "hello")
	second := Entry("bob", 2, first.Sum, "2", "hello")
	must(t, store.Commit(&inbox.Batch{Appends: []inbox.Append{first, second}, Trims: []inbox.Trim{{User: "bob", UpTo: 1}, {User: "eve", UpTo: 7}}}))
	same(t, "Open", state(t, store, "bob"), inbox.State{Head: 2, Sum: second.Sum, Floor: 1})
	same(t, "Read", read(t, store, "bob", 0, 10, 1<<20), []uint64{2})
	same(t, "Open", state(t, store, "eve"), inbox.State{})
}

func empty(t *testing.T, store inbox.Store) {
	t.Helper()
	Fill(t, store, "bob", 1, "hello")
	before := state(t, store, "bob")
	must(t, store.Commit(&inbox.Batch{}))
	same(t, "Open", state(t, store, "bob"), before)
}

// together has readers look on while an inbox grows, moves and is trimmed.
func together(t *testing.T, store inbox.Store) {
	t.Helper()
	done := make(chan struct{})
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := look(store, "bob"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	sum := uint64(0)
	for seq := range uint64(300) {
		a := Entry("bob", seq+1, sum, fmt.Sprint(seq+1), "hello")
		sum = a.Sum
		batch := &inbox.Batch{
			Appends: []inbox.Append{a},
			Moves:   []inbox.Move{{User: "bob", Device: inbox.Device{Name: "phone", Cursor: seq}}},
		}
		if seq%10 == 9 {
			batch.Trims = []inbox.Trim{{User: "bob", UpTo: seq - 5}}
		}
		if err := store.Commit(batch); err != nil {
			t.Error(err)
			break
		}
	}
	close(done)
	group.Wait()
}

// look checks that what is read has no gap.
func look(store inbox.Store, user protocol.UserID) error {
	s, err := store.Open(user)
	if err != nil {
		return err
	}
	if s.Floor > s.Head {
		return fmt.Errorf("floor %d above head %d", s.Floor, s.Head)
	}
	entries, err := store.Read(user, s.Floor, 100, 1<<20)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if e.Message.Seq != entries[0].Message.Seq+uint64(i) {
			return errors.New("a gap in " + line(e))
		}
	}
	return nil
}

// follow commits random batches and compares the Store with the model after each.
func follow(t *rapid.T, store inbox.Store, m model, batches int) {
	for range batches {
		batch := randomBatch(rapidDice{t}, m, 30)
		must(t, store.Commit(batch))
		m.apply(batch)
		for _, user := range users {
			compare(t, store, m.box(user), user)
		}
	}
}

func compare(t *rapid.T, store inbox.Store, b *box, user protocol.UserID) {
	s := state(t, store, user)
	same(t, "head", s.Head, b.head())
	same(t, "sum", s.Sum, b.sum())
	if s.Floor < b.trimmed || s.Floor > max(b.trimmed, b.passed) {
		t.Fatalf("the floor of %s is %d, want %d to %d", user, s.Floor, b.trimmed, max(b.trimmed, b.passed))
	}
	same(t, "devices", len(s.Devices), len(b.devices))
	for _, d := range s.Devices {
		same(t, "device", d, b.devices[d.Name])
	}
	entries, err := store.Read(user, 0, 1000, 1<<20)
	must(t, err)
	same(t, "entries", len(entries), len(b.log[s.Floor:]))
	for i, e := range entries {
		same(t, "entry", line(e), line(b.log[s.Floor:][i]))
	}
	for i, e := range b.log {
		m := e.Message
		if m.Id == "" {
			continue
		}
		found, err := store.Find(user, m.Sender, m.Id)
		must(t, err)
		want := b.live(m.Sender, m.Id)
		switch {
		case found == nil && want != nil && want.Seq > s.Floor:
			t.Fatalf("Find of %s does not know %s", user, line(b.log[i]))
		case found != nil && (want == nil || found.Seq != want.Seq):
			t.Fatalf("Find of %s/%s says %d, want %v", m.Sender, m.Id, found.Seq, want)
		}
	}
}
