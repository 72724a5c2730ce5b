package pebble_test

import (
	"fmt"
	"strings"
	"testing"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/pebble"
	"callboard/protocol"
)

// benchUsers is over how many inboxes the appends of a batch are spread.
const benchUsers = 1000

// BenchmarkCommit appends messages of 128 bytes with ids to a store in a real directory;
// each batch is synced. One op is one batch.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1, 16, 256, 4096} {
		b.Run(fmt.Sprint("appends=", size), func(b *testing.B) {
			s := openStore(b, b.TempDir(), pebble.Config{})
			users := make([]protocol.UserID, benchUsers)
			for i := range users {
				users[i] = protocol.UserID(fmt.Sprint("user", i))
			}
			heads, sums := make([]uint64, benchUsers), make([]uint64, benchUsers)
			content := strings.Repeat("x", 128)
			batch := &inbox.Batch{}
			next := 0
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				batch.Reset()
				for range size {
					u := next % benchUsers
					a := inboxtest.Entry(users[u], heads[u]+1, sums[u], fmt.Sprint("id-", next), content)
					heads[u], sums[u] = heads[u]+1, a.Sum
					batch.Appends = append(batch.Appends, a)
					next++
				}
				b.StartTimer()
				if err := s.Commit(batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(next)/b.Elapsed().Seconds(), "appends/s")
		})
	}
}

// BenchmarkMoves moves one device, which is not synced.
func BenchmarkMoves(b *testing.B) {
	s := openStore(b, b.TempDir(), pebble.Config{})
	batch := at(1, 1)
	b.ReportAllocs()
	for b.Loop() {
		batch.Moves[0].Device.Cursor++
		if err := s.Commit(&batch); err != nil {
			b.Fatal(err)
		}
	}
}

// filled is a store with 1000 inboxes of 100 messages of 128 bytes each, opened anew so
// that they are in tables.
func filled(b *testing.B) *pebble.Store {
	b.Helper()
	dir := b.TempDir()
	s := openStore(b, dir, pebble.Config{})
	for i := range benchUsers {
		inboxtest.Fill(b, s, protocol.UserID(fmt.Sprint("user", i)), 100, strings.Repeat("x", 128))
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return openStore(b, dir, pebble.Config{})
}

func BenchmarkLook(b *testing.B) {
	s := filled(b)
	user := func(i int) protocol.UserID { return protocol.UserID(fmt.Sprint("user", i%benchUsers)) }
	each := func(name string, look func(i int) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := look(i); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
	each("open", func(i int) error { _, err := s.Open(user(i)); return err })
	each("read100", func(i int) error { _, err := s.Read(user(i), 0, 100, 1<<20); return err })
	each("find-known", func(i int) error { _, err := s.Find(user(i), "sender", "50"); return err })
	each("find-unknown", func(i int) error { _, err := s.Find(user(i), "sender", "none"); return err })
}
