package inboxtest

import (
	"testing"

	"callboard/actors/inbox"
)

// RunDeadletters holds a Store to the contract of inbox.Deadletters, crashes aside. Open
// returns an empty one, and sees to its end.
func RunDeadletters(t *testing.T, open func(t testing.TB) inbox.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, inbox.Store, inbox.Deadletters){
		"a letter is kept as it is":             keptLetters,
		"letters are read a page at a time":     pagedLetters,
		"one is kept and others go together":    swappedLetters,
		"inboxes, blocks and letters are apart": separateLetters,
	} {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			dead, ok := store.(inbox.Deadletters)
			if !ok {
				t.Fatalf("%T keeps no Deadletters", store)
			}
			test(t, store, dead)
		})
	}
}

func letters(t failer, dead inbox.Deadletters) (all []inbox.Deadletter) {
	t.Helper()
	found, err := dead.Deadletters(0, 1000)
	must(t, err)
	for _, l := range found {
		all = append(all, *l)
	}
	return all
}

func numbers(t failer, dead inbox.Deadletters) (all []uint64) {
	t.Helper()
	for _, l := range letters(t, dead) {
		all = append(all, l.Number)
	}
	return all
}

func keptLetters(t *testing.T, _ inbox.Store, dead inbox.Deadletters) {
	t.Helper()
	same(t, "at first", len(letters(t, dead)), 0)
	full := inbox.Deadletter{
		Number: 7, At: -1_700_000_000_000, Sender: "alice", Receiver: "bob", ID: "id\x00\xff", Content: "text\x00\xff",
		Crashes: 1 << 60, Reason: "nil map", Stack: "goroutine 1\n",
	}
	given := full
	must(t, dead.SetAside(&given))
	given.Content = "changed afterwards"
	bare := inbox.Deadletter{Number: 1<<64 - 1}
	must(t, dead.SetAside(&bare))
	same(t, "two", letters(t, dead), []inbox.Deadletter{full, bare})
	again := inbox.Deadletter{Number: 7, Sender: "eve", Content: "instead"}
	must(t, dead.SetAside(&again))
	same(t, "replaced", letters(t, dead), []inbox.Deadletter{again, bare})
}

func pagedLetters(t *testing.T, _ inbox.Store, dead inbox.Deadletters) {
	t.Helper()
	var want []uint64
	for i := range uint64(25) {
		want = append(want, 200+50*i) // over a byte's end
		must(t, dead.SetAside(&inbox.Deadletter{Number: want[i]}))
	}
	for _, limit := range []int{1, 7, 25, 100} {
		var got []uint64
		for after := uint64(0); ; after = got[len(got)-1] {
			page, err := dead.Deadletters(after, limit)
			must(t, err)
			if len(page) > limit {
				t.Fatalf("%d on a page of %d", len(page), limit)
			}
			for _, l := range page {
				got = append(got, l.Number)
			}
			if len(page) < limit {
				break
			}
		}
		same(t, "pages", got, want)
	}
	none, err := dead.Deadletters(0, 0)
	must(t, err)
	same(t, "none wanted", len(none), 0)
	none, err = dead.Deadletters(1<<64-1, 10)
	must(t, err)
	same(t, "behind the last there may be", len(none), 0)
}

func swappedLetters(t *testing.T, _ inbox.Store, dead inbox.Deadletters) {
	t.Helper()
	for number := range uint64(5) {
		must(t, dead.SetAside(&inbox.Deadletter{Number: number + 1}))
	}
	must(t, dead.SetAside(&inbox.Deadletter{Number: 6}, 1, 3, 99))
	same(t, "swapped", numbers(t, dead), []uint64{2, 4, 5, 6})
	must(t, dead.Drop(4, 98, 6))
	must(t, dead.Drop())
	same(t, "dropped", numbers(t, dead), []uint64{2, 5})
}

func separateLetters(t *testing.T, store inbox.Store, dead inbox.Deadletters) {
	t.Helper()
	Fill(t, store, "bob", 3, "hello")
	must(t, dead.SetAside(&inbox.Deadletter{Number: 1, Receiver: "bob", Content: "hello"}))
	same(t, "head", state(t, store, "bob").Head, uint64(3))
	if list, ok := store.(inbox.Blocklist); ok {
		must(t, list.Block(&inbox.Block{User: "bob"}))
		same(t, "blocks", len(blocks(t, list)), 1)
		must(t, list.Unblock("bob"))
	}
	must(t, store.Commit(&inbox.Batch{Trims: []inbox.Trim{{User: "bob", UpTo: 3}}}))
	same(t, "letters", numbers(t, dead), []uint64{1})
	must(t, dead.Drop(1))
	same(t, "head", state(t, store, "bob").Head, uint64(3))
}
