package memory_test

import (
	"fmt"
	"testing"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/memory"
	"callboard/protocol"
)

// BenchmarkCommit appends a message and moves a device behind it, as the actor of a user
// whose devices keep up does for each message.
func BenchmarkCommit(b *testing.B) {
	for _, users := range []int{1, 10_000} {
		b.Run(fmt.Sprint("users=", users), func(b *testing.B) {
			s := memory.New(memory.Config{})
			batches := make([]inbox.Batch, users)
			heads := make([]uint64, users)
			for i := range batches {
				user := protocol.UserID(fmt.Sprint("user", i))
				batches[i] = ack(user, 0)
				batches[i].Appends = []inbox.Append{inboxtest.Entry(user, 1, 0, "id", "hello")}
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				batch := &batches[i]
				heads[i]++
				batch.Appends[0].Message.Seq = heads[i]
				batch.Moves[0].Device.Cursor = heads[i]
				if err := s.Commit(batch); err != nil {
					b.Fatal(err)
				}
				if i++; i == users {
					i = 0
				}
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	s := memory.New(memory.Config{})
	inboxtest.Fill(b, s, "bob", 1000, "hello")
	for name, id := range map[string]string{"known": "500", "unknown": "none"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Find("bob", "sender", id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
