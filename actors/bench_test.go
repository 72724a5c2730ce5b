package actors

import (
	"context"
	"fmt"
	"testing"

	"callboard/protocol"
)

// BenchmarkRelay is a message from one user to another without the sockets, with
// so many under way at once.
func BenchmarkRelay(b *testing.B) {
	for _, window := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			system := benchSystem(b)
			got := make(chan struct{}, window)
			alice := benchConnect(b, system, "alice", &fakeConn{keep: true})
			benchConnect(b, system, "bob", &fakeConn{keep: true, onWrite: func(protocol.Message) { got <- struct{}{} }})

			for range window {
				got <- struct{}{}
			}
			b.ReportAllocs()
			for b.Loop() {
				<-got
				next := alice.Next()
				next.Receiver, next.Content = "bob", "hello i am alice"
				if !alice.Send() {
					b.Fatal("the session has ended")
				}
			}
			for range window {
				<-got
			}
		})
	}
}

// BenchmarkConnect is the coming and going of a user's only session.
func BenchmarkConnect(b *testing.B) {
	system := benchSystem(b)
	b.ReportAllocs()
	for b.Loop() {
		benchConnect(b, system, "alice", &fakeConn{keep: true}).Gone(0)
	}
}

func benchSystem(b *testing.B) *System {
	b.Helper()
	system, err := New(Config{Store: fakeMemory{newFakeStore()}, MaxSessionsPerUser: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := system.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return system
}

func benchConnect(b *testing.B, system *System, user protocol.UserID, conn Conn) *Link {
	b.Helper()
	link, err := system.Connect(b.Context(), user, Seed, conn)
	if err != nil {
		b.Fatal(err)
	}
	return link
}
