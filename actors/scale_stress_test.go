package actors

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"callboard/actors/inbox"
	"callboard/actors/inbox/memory"
	"callboard/actors/inbox/pebble"
	"callboard/protocol"
)

// Invariant 9, on all processors and in real time: senders with an old ring in their hands
// meet shards that have turned. Whatever the schedule, each receiver gets the messages of
// each sender once and in the order in which they were sent.
func TestOrderOfASenderHoldsWhileUsersMove(t *testing.T) {
	t.Run("memory", func(t *testing.T) { hurry(t, memory.New(memory.Config{}), 1_500) })
	t.Run("disk", func(t *testing.T) {
		store, err := pebble.Open(t.TempDir(), pebble.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		hurry(t, store, 500)
	})
}

// hurry has every user send at least so many messages, and go on until enough users have moved.
func hurry(t *testing.T, store inbox.Store, least int) {
	t.Helper()
	const users = 12
	system, err := New(Config{Store: store, Shards: 3, MaxInFlight: 16, PingInterval: time.Hour, hooks: hooks{maxAway: 2}})
	if err != nil {
		t.Fatal(err)
	}
	conns, links := make([]*fakeConn, users), make([]*Link, users)
	for i := range users {
		conns[i] = &fakeConn{}
		if i%3 == 0 {
			links[i], err = system.Connect(t.Context(), protocol.UserID(name(i)), Seed, conns[i])
		} else {
			links[i], err = system.Connect(t.Context(), protocol.UserID(name(i)), V1, conns[i])
			links[i].Connect(&protocol.Connect{Device: "phone", Window: 64})
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	stop := make(chan struct{})
	var scaling, sending sync.WaitGroup
	var moved atomic.Int64
	sent := make([]int, users)
	scaling.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			_, _ = system.Scale(t.Context(), 1+n*5%11, "hurry") // refused while another is under way
			for system.Scaling().Phase != Settled {
				time.Sleep(50 * time.Microsecond)
			}
			moved.Add(int64(system.Scaling().Moved))
		}
	})
	for i, link := range links {
		sending.Go(func() { // the reader of the link
			acked := 0
			for n := 0; n < least || moved.Load() < users; n++ {
				if n >= least {
					time.Sleep(time.Millisecond)
				}
				next := link.Next()
				next.Receiver, next.Content = name((i+n)%users), fmt.Sprintf("%d %d", i, n)
				if i%3 != 0 {
					next.Id = fmt.Sprint(n)
				}
				if !link.Send() {
					t.Errorf("the session of %s has ended", name(i))
					return
				}
				sent[i]++
				if i%3 != 0 && n%8 == 0 {
					if got := of[*protocol.Receive](conns[i]); len(got) > acked {
						acked = len(got)
						link.Ack(got[acked-1].Seq)
					}
				}
			}
		})
	}
	sending.Wait()
	want := 0
	for _, n := range sent {
		want += n
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		got := 0
		for i, conn := range conns {
			if received := of[*protocol.Receive](conn); len(received) > 0 {
				got += len(received)
				if i%3 != 0 {
					links[i].Ack(received[len(received)-1].Seq)
				}
			}
		}
		if got >= want {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("%d messages of %d arrived", got, want)
			break
		}
	}
	close(stop)
	scaling.Wait()
	if moved.Load() < users {
		t.Errorf("only %d moves: the test has shown little", moved.Load())
	}
	t.Logf("%d messages, %d moves", want, moved.Load())
	for i, conn := range conns {
		inOrder(t, i, sent, conn)
		for _, e := range of[*protocol.Error](conn) {
			t.Errorf("%s was refused: %v", name(i), e)
		}
	}
	for _, link := range links {
		link.Gone(0)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := system.Stop(ctx); err != nil {
		t.Error(err)
	}
	if n := system.counts.survived.Load() + system.counts.unhandled.Load() + system.counts.failures.Load(); n > 0 {
		t.Errorf("%d panics or messages that nobody handles", n)
	}
}

// inOrder checks what one user got.
func inOrder(t *testing.T, user int, sent []int, conn *fakeConn) {
	t.Helper()
	users := len(sent)
	next := make(map[int]int) // the number that is next, by sender
	for i := range users {
		next[i] = (user - i + users) % users
	}
	seq := uint64(0)
	for _, m := range of[*protocol.Receive](conn) {
		var from, n int
		if _, err := fmt.Sscan(strings.TrimSpace(m.Content), &from, &n); err != nil {
			t.Fatal(err)
		}
		if seq++; m.Seq != seq {
			t.Fatalf("%s got %d in place of %d", name(user), m.Seq, seq)
		}
		if next[from] != n {
			t.Fatalf("%s got message %d of %s in place of %d", name(user), n, name(from), next[from])
		}
		next[from] += users
	}
	for from, n := range next {
		if n < sent[from] {
			t.Errorf("%s did not get message %d of %s", name(user), n, name(from))
		}
	}
}
