package inboxtest

import (
	"fmt"
	"slices"
	"testing"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// RunBlocklist holds a Store to the contract of inbox.Blocklist, crashes aside. Open
// returns an empty one, and sees to its end.
func RunBlocklist(t *testing.T, open func(t testing.TB) inbox.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, inbox.Store, inbox.Blocklist){
		"a block is kept as it is":          keptBlocks,
		"blocks are read a page at a time":  pagedBlocks,
		"inboxes and blocks do not mix":     separateBlocks,
		"users who are not blocked are not": unblocked,
	} {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			list, ok := store.(inbox.Blocklist)
			if !ok {
				t.Fatalf("%T is no Blocklist", store)
			}
			test(t, store, list)
		})
	}
}

func blocks(t failer, list inbox.Blocklist) (all []inbox.Block) {
	t.Helper()
	found, err := list.Blocks("", 1000)
	must(t, err)
	for _, b := range found {
		all = append(all, *b)
	}
	return all
}

func keptBlocks(t *testing.T, _ inbox.Store, list inbox.Blocklist) {
	t.Helper()
	same(t, "at first", len(blocks(t, list)), 0)
	bob := inbox.Block{User: "bob", Reason: "spam\x00\xff", By: "otto", At: 1_700_000_000_000, Until: 1 << 60}
	given := bob
	must(t, list.Block(&given))
	given.Reason = "changed afterwards"
	eve := inbox.Block{User: "eve", At: -1}
	must(t, list.Block(&eve))
	same(t, "two", blocks(t, list), []inbox.Block{bob, eve})
	bob = inbox.Block{User: "bob", By: "ada", At: 5}
	must(t, list.Block(&bob))
	same(t, "replaced", blocks(t, list), []inbox.Block{bob, eve})
}

func unblocked(t *testing.T, _ inbox.Store, list inbox.Blocklist) {
	t.Helper()
	for _, user := range []protocol.UserID{"a", "b", "c"} {
		must(t, list.Block(&inbox.Block{User: user}))
	}
	must(t, list.Unblock("a", "nobody", "c"))
	same(t, "left", blocks(t, list), []inbox.Block{{User: "b"}})
	must(t, list.Unblock())
	must(t, list.Unblock("b"))
	same(t, "left", len(blocks(t, list)), 0)
}

func pagedBlocks(t *testing.T, _ inbox.Store, list inbox.Blocklist) {
	t.Helper()
	var want []protocol.UserID
	for i := range 25 {
		want = append(want, protocol.UserID(fmt.Sprint("user", i)))
		must(t, list.Block(&inbox.Block{User: want[i]}))
	}
	slices.Sort(want)
	for _, limit := range []int{1, 7, 25, 100} {
		var got []protocol.UserID
		for after := protocol.UserID(""); ; after = got[len(got)-1] {
			page, err := list.Blocks(after, limit)
			must(t, err)
			if len(page) > limit {
				t.Fatalf("%d on a page of %d", len(page), limit)
			}
			for _, b := range page {
				got = append(got, b.User)
			}
			if len(page) < limit {
				break
			}
		}
		same(t, fmt.Sprint("pages of ", limit), got, want)
	}
	none, err := list.Blocks("", 0)
	must(t, err)
	same(t, "none wanted", len(none), 0)
}

// separateBlocks takes names that could be taken for keys of others.
func separateBlocks(t *testing.T, store inbox.Store, list inbox.Blocklist) {
	t.Helper()
	names := []protocol.UserID{"b", "bo", "bob", "0"}
	for _, user := range names {
		must(t, list.Block(&inbox.Block{User: user, Reason: string(user)}))
		same(t, "inbox", state(t, store, user), inbox.State{})
	}
	Fill(t, store, "bob", 3, "hello")
	must(t, list.Unblock("bo"))
	same(t, "head", state(t, store, "bob").Head, uint64(3))
	same(t, "blocks", len(blocks(t, list)), 3)
	must(t, store.Commit(&inbox.Batch{Trims: []inbox.Trim{{User: "bob", UpTo: 3}}}))
	same(t, "blocks", len(blocks(t, list)), 3)
}
