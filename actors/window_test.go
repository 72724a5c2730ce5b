package actors

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// Invariant 5: the inbox is the queue.
func TestDeviceGetsItsWindowAndAnAckBringsTheNext(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		bob := w.v1("bob", &protocol.Connect{Device: "phone", Window: 4})
		w.mail("bob", 20) // while it is connected; the newest are in the tail
		late := w.v1("bob", &protocol.Connect{Device: "tablet", Window: 4})

		for _, p := range []*peer{bob, late} {
			if got := p.seqs(); !slices.Equal(got, upTo(1, 4)) {
				t.Errorf("without an ACK a device got %v, want 1 to 4", got)
			}
			for _, step := range []struct{ ack, newest uint64 }{{4, 8}, {6, 10}, {10, 14}, {14, 18}, {18, 20}, {20, 20}} {
				if p.ack(step.ack); !slices.Equal(p.seqs(), upTo(1, step.newest)) {
					t.Errorf("after ACK %d a device got %v, want 1 to %d", step.ack, p.seqs(), step.newest)
				}
			}
		}
		w.mail("bob", 1)
		if got := bob.seqs(); !slices.Equal(got, upTo(1, 21)) {
			t.Errorf("caught up, the device got %v", got)
		}
	})
}

func TestWindowHoldsInEveryBurst(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.v1("bob", &protocol.Connect{Device: "phone", Window: 3})
		w.store.hold()
		sendAll(w, alice, "bob", 100)
		w.store.release() // they come in two commits
		synctest.Wait()
		acked := uint64(0)
		for acked < 100 {
			got := bob.seqs()
			newest := uint64(len(got))
			if !slices.Equal(got, upTo(1, newest)) || newest > acked+3 || newest == acked {
				w.Fatalf("after ACK %d the device got %v", acked, got)
			}
			acked = newest
			bob.ack(acked)
		}
	})
}

// sendAll sends while commits are held; where there is no journal, it waits in Commit.
func sendAll(w *world, from *peer, to string, n int) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range n {
			from.send(to, fmt.Sprint(i+1))
		}
	}()
	synctest.Wait()
	<-done
	w.Helper()
}

func TestWindowIsBoundedInBytesButOneMayAlwaysGo(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		early := w.v1("bob", &protocol.Connect{Device: "phone", Window: 64})
		const size = 50 << 10
		for range 12 {
			if _, err := w.system.Send(w.Context(), &protocol.Send{Sender: "post", Receiver: "bob", Content: strings.Repeat("x", size)}); err != nil {
				w.Fatal(err)
			}
		}
		huge := strings.Repeat("x", 63<<10)
		for range 2 {
			if _, err := w.system.Send(w.Context(), &protocol.Send{Sender: "post", Receiver: "bob", Content: huge}); err != nil {
				w.Fatal(err)
			}
		}
		late := w.v1("bob", &protocol.Connect{Device: "tablet", Window: 64})

		for _, p := range []*peer{early, late} {
			acked := uint64(0)
			for acked < 14 {
				got := of[*protocol.Receive](p.conn)
				if uint64(len(got)) == acked {
					w.Fatalf("after ACK %d nothing comes", acked)
				}
				bytes := 0
				for _, m := range got[acked : len(got)-1] { // the last one may be as long as it likes
					bytes += len(m.Content)
				}
				if bytes >= protocol.MaxWindowBytes {
					t.Errorf("after ACK %d, %d messages were on their way, all but the last of %d bytes", acked, uint64(len(got))-acked, bytes)
				}
				acked = uint64(len(got))
				p.ack(acked)
			}
			if got := p.seqs(); !slices.Equal(got, upTo(1, 14)) {
				t.Errorf("a device got %v", got)
			}
		}
	})
}

func TestDeviceThatNeverAcknowledgesHoldsNobodyUp(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		const n = 1000
		alice := w.device("alice", "phone")
		slow := w.v1("bob", &protocol.Connect{Device: "slow", Window: 4})
		fast := w.v1("bob", &protocol.Connect{Device: "fast", Window: 4})
		seed := w.connect("bob")
		carol := w.v1("carol", &protocol.Connect{Window: 4})
		start := time.Now()
		for i := range n {
			alice.sendID("bob", fmt.Sprint(i), fmt.Sprint("b", i))
			alice.sendID("carol", fmt.Sprint(i), fmt.Sprint("c", i))
			synctest.Wait()
			fast.link.Ack(uint64(i + 1))
			carol.link.Ack(uint64(i + 1))
		}
		synctest.Wait()

		for name, p := range map[string]*peer{"bob's other device": fast, "bob's session of the seed": seed, "carol": carol} {
			if got := len(p.seqs()); got != n {
				t.Errorf("%s got %d of %d", name, got, n)
			}
		}
		if got := len(alice.confirmed()); got != 2*n || time.Since(start) != 0 {
			t.Errorf("alice was confirmed %d of %d after %v", got, 2*n, time.Since(start))
		}
		if got := slow.seqs(); !slices.Equal(got, upTo(1, 4)) {
			t.Errorf("without an ACK the device got %v", got)
		}
		for acked := uint64(0); acked < n; {
			acked = uint64(len(slow.seqs()))
			slow.ack(acked)
		}
		if got := slow.seqs(); !slices.Equal(got, upTo(1, n)) {
			t.Errorf("caught up, the device has %d messages of %d, or not in order", len(got), n)
		}
	})
}

// A session that has stalled costs its user's actor no memory but its window's.
func TestTailDoesNotGrowForTheStalled(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		stalled, fast := &attachment{session: w.connect("carol").link.pid, window: 8}, &attachment{session: w.connect("dave").link.pid, window: 8}
		bob := &user{id: "bob", system: w.system, sessions: []*attachment{stalled, fast}, tail: new(tail)}
		for seq := uint64(1); seq <= 1000; seq++ {
			content := strings.Repeat("x", int(seq%7)<<10)
			k := &keep{message: protocol.Receive{Seq: seq, Sender: "alice", Receiver: "bob", Content: content}}
			bob.head = seq
			bob.deliver([]*keep{k})
			if fast.sent != seq || stalled.flight.n > 8 {
				w.Fatalf("after %d the one has been sent %d, and on the way to the other are %d", seq, fast.sent, stalled.flight.n)
			}
			if n, bytes := len(bob.tail.messages), bob.tail.bytes; n > maxTail || bytes > maxTailBytes || seq > 8+maxTail && n > 0 {
				w.Fatalf("after %d the tail has %d messages of %d bytes", seq, n, bytes)
			}
			fast.arrived(seq)
		}
		if reads, _ := w.store.calls(); reads != 0 {
			t.Errorf("%d reads for one that keeps up", reads)
		}
	})
}

func TestWhoKeepsUpIsNotServedFromTheStore(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, bob, seed := w.device("alice", "phone"), w.v1("bob", &protocol.Connect{Device: "phone", Window: 8}), w.connect("bob")
		before, _ := w.store.calls()
		for i := range 50 {
			for range 12 { // more than the window: the rest is in the tail
				alice.send("bob", fmt.Sprint(i))
			}
			synctest.Wait()
			bob.ack(uint64(i*12 + 6))
			bob.ack(uint64(i*12 + 12))
		}
		if got := bob.seqs(); !slices.Equal(got, upTo(1, 600)) || len(seed.seqs()) != 600 {
			t.Errorf("bob got %d and %d of 600", len(got), len(seed.seqs()))
		}
		if after, _ := w.store.calls(); after != before {
			t.Errorf("%d reads for those that keep up", after-before)
		}
	})
}

// A read for each ACK would cost more than the message.
func TestCatchingUpReadsMoreThanOneAtATime(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 400)
		bob := w.v1("bob", &protocol.Connect{Device: "phone", Window: 16})
		before, _ := w.store.calls()
		for seq := uint64(1); seq <= 400; seq++ {
			bob.ack(seq)
		}
		if got := bob.seqs(); !slices.Equal(got, upTo(1, 400)) {
			t.Errorf("bob got %d of 400", len(got))
		}
		if after, _ := w.store.calls(); after-before > 400/8+1 {
			t.Errorf("%d reads for 384 messages and a window of 16", after-before)
		}
	})
}

func TestAckOfWhatWasNeverSentIsRefused(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 4}, func(w *world) {
		w.mail("bob", 10)
		bob := w.v1("bob", &protocol.Connect{Device: "phone", Window: 4})

		bob.ack(5)

		if got := bob.codes(); !slices.Equal(got, []protocol.ErrorCode{protocol.CodeInvalidMessage}) {
			t.Errorf("bob was told %v", got)
		}
		if got := w.store.cursor("bob", "phone"); got != 0 || len(bob.seqs()) != 4 {
			t.Errorf("the cursor is %d, bob got %v", got, bob.seqs())
		}
		bob.ack(4)
		if got := w.store.cursor("bob", "phone"); got != 4 || len(bob.seqs()) != 8 || bob.link.credits.Load() != 4 {
			t.Errorf("the cursor is %d, bob got %v and has %d credits", got, bob.seqs(), bob.link.credits.Load())
		}
	})
}

func TestAckThatSaysNothingNewIsPassedOver(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 5)
		bob := w.device("bob", "phone")
		acks := 0
		w.on(func(actor string, message any) {
			if _, ok := message.(*ack); ok && actor == "bob" {
				acks++
			}
		})
		for _, seq := range []uint64{3, 3, 1, 0, 3, 2} {
			bob.ack(seq)
		}
		if got := w.store.cursor("bob", "phone"); got != 3 || acks != 1 || len(bob.codes()) != 0 {
			t.Errorf("the cursor is %d, bob's actor got %d ACKs, bob was told %v", got, acks, bob.codes())
		}
	})
}

func TestLateAckOfASessionThatHasClosedCounts(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 3)
		for _, test := range []struct {
			device string
			end    func(bob *peer)
		}{
			{"phone", func(bob *peer) { bob.link.Close(protocol.CloseNormal, "") }},
			{"tablet", func(bob *peer) { bob.hangUp() }},
			{"", func(bob *peer) { bob.link.Fail(protocol.CloseProtocolError, "") }},
		} {
			bob := w.v1("bob", &protocol.Connect{Device: test.device})
			test.end(bob)
			synctest.Wait()
			if info := w.userInfo("bob"); len(info.Sessions) != 0 {
				w.Fatalf("bob's sessions are %v", info.Sessions)
			}

			bob.ack(2)

			if got := w.store.cursor("bob", test.device); got != 2 {
				t.Errorf("the cursor of %q is %d, want 2", test.device, got)
			}
			if got := w.v1("bob", &protocol.Connect{Device: test.device}); !slices.Equal(got.seqs(), upTo(3, 3)) {
				t.Errorf("%q, connected again, got %v, want 3", test.device, got.seqs())
			} else {
				got.hangUp()
				synctest.Wait()
			}
		}
	})
}

// The ACK of a session that was replaced says nothing of what the newer one has.
func TestAckOfAReplacedSessionDoesNotMoveTheNewer(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 6)
		older := w.v1("bob", &protocol.Connect{Device: "phone", Window: 4})
		zero := uint64(0)
		newer := w.v1("bob", &protocol.Connect{Device: "phone", Window: 2, Cursor: &zero})
		older.ack(4)
		if got := newer.seqs(); !slices.Equal(got, upTo(1, 2)) {
			t.Errorf("the newer session got %v, want its window", got)
		}
		newer.ack(2)
		if got := newer.seqs(); !slices.Equal(got, upTo(1, 4)) {
			t.Errorf("the newer session got %v", got)
		}
	})
}
