package actors

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// Invariant 4: confirmed means kept.
func TestNothingIsConfirmedOrDeliveredBeforeItsCommit(t *testing.T) {
	onDisk(t, Config{MaxInFlight: 8}, func(w *world) {
		alice, sam := w.device("alice", "phone"), w.connect("sam")
		bob, barbara := w.device("bob", "phone"), w.connect("bob")
		w.store.hold()
		alice.sendID("bob", "one", "1")
		alice.sendID("bob", "two", "2")
		sam.send("bob", "three")
		synctest.Wait()

		if got := alice.confirmed(); len(got) != 0 {
			t.Errorf("before the commit alice was told %v", got)
		}
		if got := sam.link.credits.Load(); got != 7 {
			t.Errorf("before the commit sam has %d credits of 8, want 7", got)
		}
		for _, p := range []*peer{bob, barbara} {
			if got := p.conn.contents(); len(got) != 0 {
				t.Errorf("before the commit a session of bob got %q", got)
			}
		}

		w.store.release()
		synctest.Wait()

		sent := of[*protocol.Sent](alice.conn)
		if len(sent) != 2 || sent[0].Id != "1" || sent[0].Seq != 1 || sent[1].Id != "2" || sent[1].Seq != 2 {
			t.Errorf("alice was told %v", sent)
		}
		for _, m := range sent {
			if m.At != time.Now().UnixMilli() {
				t.Errorf("taken at %d, want %d", m.At, time.Now().UnixMilli())
			}
		}
		if got := sam.link.credits.Load(); got != 8 {
			t.Errorf("sam has %d credits of 8", got)
		}
		for _, p := range []*peer{bob, barbara} {
			if got := p.conn.contents(); !slices.Equal(got, []string{"one", "two", "three"}) {
				t.Errorf("a session of bob got %q", got)
			}
		}
	})
}

// A commit that is applied is not yet one that the user knows of; who attaches in
// between gets every message all the same.
func TestWhoAttachesBetweenACommitAndItsWordGetsAllOnce(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		w.mail("bob", 2)
		open := gate[*committed](w, "bob")
		alice := w.device("alice", "phone")
		alice.sendID("bob", "three", "3")
		synctest.Wait()
		if got := w.store.contents("bob"); len(got) != 3 {
			w.Fatalf("the store has %q", got)
		}
		connecting := make(chan *peer, 1)
		go func() { connecting <- w.connect("bob") }()
		synctest.Wait()

		open()
		synctest.Wait()

		if got := (<-connecting).seqs(); !slices.Equal(got, upTo(1, 3)) {
			t.Errorf("bob got %v, want 1 to 3, each once", got)
		}
	})
}

func TestOneCommitTakesAllThatWaited(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		alice := w.device("alice", "phone")
		before := len(w.store.commits())
		w.store.hold()
		alice.send("bob", "first")
		synctest.Wait() // its commit is under way
		for i := range 99 {
			alice.send("bob", fmt.Sprint(i))
		}
		for i := range 20 {
			alice.send(fmt.Sprint("carol", i), "to many")
		}
		synctest.Wait()
		w.store.release()
		synctest.Wait()

		got := w.store.commits()[before:]
		if !slices.Equal(got, []int{1, 119}) {
			t.Errorf("commits of %v messages, want the one that was under way, and one of all that waited", got)
		}
		if got := len(of[*protocol.Sent](alice.conn)); got != 120 {
			t.Errorf("%d messages were confirmed, want 120", got)
		}
	})
}

func TestOneCommitIsBounded(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		const messages, size = 40, 60 << 10
		alice := w.device("alice", "phone")
		before := len(w.store.commits())
		w.store.hold()
		for range messages {
			alice.send("bob", strings.Repeat("x", size))
			synctest.Wait() // each is handed to the journal alone
		}
		w.store.release()
		synctest.Wait()

		got := w.store.commits()[before:]
		if most := slices.Max(got); most > maxBatchBytes/size+1 || len(got) > 4 {
			t.Errorf("commits of %v messages, want at most %d in one and as many as may", got, maxBatchBytes/size+1)
		}
		if got := len(w.store.contents("bob")); got != messages {
			t.Errorf("bob's inbox has %d of %d", got, messages)
		}
	})
}

// However much waits for one user, so much is handed over at a time.
func TestWhatAUserHandsOverAtOnceIsBounded(t *testing.T) {
	const messages = 2*maxFresh + 10
	inBubble(t, Config{MaxInFlight: messages}, func(w *world) {
		alice := w.device("alice", "phone")
		var handed []int
		waiting := make(chan struct{})
		w.on(func(actor string, message any) {
			switch msg := message.(type) {
			case *protocol.Send:
				if actor == "bob" {
					<-waiting
				}
			case *commit:
				handed = append(handed, len(msg.entries))
			}
		})
		for range messages {
			alice.send("bob", "hello")
		}
		synctest.Wait()
		close(waiting)
		synctest.Wait()
		if w.system.journal == nil {
			handed = w.store.commits()
		}
		if most := slices.Max(handed); most != maxFresh {
			t.Errorf("handed over were %v messages at a time, want %d at most", handed, maxFresh)
		}
		if got := len(w.store.contents("bob")); got != messages {
			t.Errorf("bob's inbox has %d of %d", got, messages)
		}
	})
}

// Nothing waiting is confirmed, everybody is told, what can be served is, and when the
// disk works again everything goes on where it was.
func TestFailedCommitConfirmsNothingAndServesWhatItCan(t *testing.T) {
	for _, test := range []struct {
		err  error
		code protocol.ErrorCode
	}{
		{errDisk, protocol.CodeUnavailable},
		{fmt.Errorf("writing the log: %w", inbox.ErrFull), protocol.CodeStorageFull},
	} {
		t.Run(string(test.code), func(t *testing.T) {
			onDisk(t, Config{MaxInFlight: 8}, func(w *world) {
				alice, sam, bob := w.device("alice", "phone"), w.connect("sam"), w.device("bob", "phone")
				alice.sendID("bob", "kept", "0")
				synctest.Wait()
				w.store.hold()
				alice.sendID("bob", "in the commit", "1")
				synctest.Wait()
				alice.sendID("bob", "behind it", "2")
				alice.sendID("carol", "to another", "3")
				sam.sendID("bob", "from another", "s")
				synctest.Wait()
				w.store.breaks(test.err)
				w.store.release()
				synctest.Wait()

				want := map[string]protocol.ErrorCode{"1": test.code, "2": test.code, "3": test.code}
				if got := alice.refused(); !maps.Equal(got, want) || len(alice.codes()) != 3 {
					t.Errorf("alice was refused %v, want %v", got, want)
				}
				if got := sam.refused(); !maps.Equal(got, map[string]protocol.ErrorCode{"s": test.code}) {
					t.Errorf("sam, in the seed's dialect, was refused %v", got)
				}
				if got := alice.confirmed(); !maps.Equal(got, map[string]uint64{"0": 1}) {
					t.Errorf("alice was confirmed %v", got)
				}
				if err := w.system.Ready(); !errors.Is(err, test.err) || !strings.Contains(err.Error(), string(test.code)) {
					t.Errorf("Ready says %v", err)
				}
				w.servesWhatItCan(test.code, alice, bob)
				w.goesOnAfter(alice, sam, bob)
			})
		})
	}
}

// servesWhatItCan: while commits fail, sends are refused and what is kept is delivered.
func (w *world) servesWhatItCan(code protocol.ErrorCode, alice, bob *peer) {
	w.Helper()
	alice.sendID("bob", "meanwhile", "m")
	tablet := w.device("bob", "tablet")
	if got := alice.refused()["m"]; got != code {
		w.Errorf("a send meanwhile was refused %q, want %q", got, code)
	}
	if got := tablet.conn.contents(); !slices.Equal(got, []string{"kept"}) {
		w.Errorf("who attached meanwhile got %q", got)
	}
	bob.ack(1)
	if got := w.store.entries("bob"); len(got) != 1 {
		w.Errorf("bob's inbox has %d entries, want the one that is kept", len(got))
	}
	time.Sleep(10 * time.Second)
	if w.system.Ready() == nil {
		w.Error("ready while the disk is broken")
	}
}

// goesOnAfter: within a probe's time of the disk working again, sends are taken.
func (w *world) goesOnAfter(alice, sam, bob *peer) {
	w.Helper()
	w.store.breaks(nil)
	time.Sleep(probeEvery + time.Millisecond)
	if err := w.system.Ready(); err != nil {
		w.Errorf("the disk works, and Ready says %v", err)
	}
	for _, id := range []string{"1", "2", "m"} {
		alice.sendID("bob", "again "+id, id)
	}
	sam.sendID("bob", "again s", "s")
	time.Sleep(retryEvery + time.Millisecond)

	if got := alice.confirmed(); got["1"] != 2 || got["2"] != 3 || got["m"] != 4 {
		w.Errorf("alice was confirmed %v", got)
	}
	want := []string{"kept", "again 1", "again 2", "again m", "again s"}
	if got := bob.conn.contents(); !slices.Equal(got, want) || !slices.Equal(bob.seqs(), upTo(1, 5)) {
		w.Errorf("bob got %q as %v", got, bob.seqs())
	}
	if got := w.store.contents("bob"); !slices.Equal(got, want) {
		w.Errorf("bob's inbox has %q", got)
	}
	if a, s := alice.link.credits.Load(), sam.link.credits.Load(); a != 8 || s != 8 {
		w.Errorf("alice has %d credits and sam %d, want 8", a, s)
	}
	if got := w.store.cursor("bob", "phone"); got != 1 {
		w.Errorf("what bob acknowledged while the disk was broken is %d, want 1", got)
	}
	if got := w.store.wasOfferedGaps(); got != 0 {
		w.Errorf("%d numbers were void", got)
	}
}

// The numbers behind one that is void are void too, also when they wait in the
// journal's mailbox and the store works.
func TestNumbersBehindAVoidOneAreRefused(t *testing.T) {
	onDisk(t, Config{MaxInFlight: 8}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		var once atomic.Bool
		w.on(func(actor string, message any) {
			if c, ok := message.(*commit); ok && actor == "journal" && c.user == "bob" && once.CompareAndSwap(false, true) {
				panic("crash on purpose")
			}
		})
		w.store.hold()
		alice.sendID("carol", "under way", "0")
		for _, id := range []string{"1", "2", "3"} {
			synctest.Wait() // each is handed to the journal alone
			alice.sendID("bob", "to bob", id)
		}
		alice.sendID("dave", "another's", "4")
		synctest.Wait()
		w.store.release()
		synctest.Wait()

		if got := alice.refused(); got["1"] != protocol.CodeInternal || got["2"] != protocol.CodeUnavailable || got["3"] != protocol.CodeUnavailable || len(got) != 3 {
			t.Errorf("alice was refused %v", got)
		}
		if got := alice.confirmed(); !maps.Equal(got, map[string]uint64{"0": 1, "4": 1}) {
			t.Errorf("alice was confirmed %v", got)
		}
		if got := w.store.wasOfferedGaps(); got != 0 {
			t.Errorf("the store was offered %d appends behind a void one", got)
		}
		alice.sendID("bob", "again", "1")
		synctest.Wait()
		if got := bob.seqs(); !slices.Equal(got, upTo(1, 1)) || alice.confirmed()["1"] != 1 {
			t.Errorf("bob got %v, alice was confirmed %v", got, alice.confirmed())
		}
	})
}

// After an error nobody knows what the disk has. Here it has everything.
func TestCommitThatFailedAfterItWasAppliedDoublesNothing(t *testing.T) {
	onDisk(t, Config{MaxInFlight: 8}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		w.store.hold()
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		alice.sendID("bob", "two", "2")
		synctest.Wait()
		w.store.lies(errDisk)
		w.store.release()
		time.Sleep(5 * time.Second)
		if got := alice.refused(); got["1"] != protocol.CodeUnavailable || got["2"] != protocol.CodeUnavailable || len(alice.confirmed()) != 0 {
			t.Errorf("alice was refused %v and confirmed %v", got, alice.confirmed())
		}

		w.store.lies(nil)
		time.Sleep(2*probeEvery + retryEvery)
		alice.sendID("bob", "two", "2")
		alice.sendID("bob", "one", "1")
		synctest.Wait()

		if got := alice.confirmed(); got["1"] != 1 || got["2"] != 2 {
			t.Errorf("alice was confirmed %v, want the place that the first has", got)
		}
		if got := bob.conn.contents(); !slices.Equal(got, []string{"one", "two"}) || w.store.wasOfferedGaps() != 0 {
			t.Errorf("bob got %q, and %d gaps were offered", got, w.store.wasOfferedGaps())
		}
		if got := alice.link.credits.Load(); got != 8 {
			t.Errorf("alice has %d credits of 8", got)
		}
	})
}

// What a commit that failed has left in the store may be gone after the next power loss: until
// that is settled, nobody is told that it is kept, and no device gets it.
func TestWhatAFailedCommitHasLeftIsNeitherConfirmedNorDelivered(t *testing.T) {
	onDisk(t, Config{MaxInFlight: 8}, func(w *world) {
		alice, phone := w.device("alice", "phone"), w.device("bob", "phone")
		alice.sendID("bob", "zero", "0")
		synctest.Wait()
		w.store.lies(errDisk)
		for range 3 { // the first is in the commit, the others find it in the store
			alice.sendID("bob", "one", "1")
			synctest.Wait()
		}
		tablet := w.device("bob", "tablet")

		if got := w.store.contents("bob"); !slices.Equal(got, []string{"zero", "one"}) {
			w.Fatalf("the store has %q", got)
		}
		unavailable := protocol.CodeUnavailable
		if got := alice.codes(); !slices.Equal(got, []protocol.ErrorCode{unavailable, unavailable, unavailable}) {
			t.Errorf("alice was refused %v, and confirmed %v", got, alice.confirmed())
		}
		for _, p := range []*peer{phone, tablet} {
			if got := p.conn.contents(); !slices.Equal(got, []string{"zero"}) {
				t.Errorf("while nobody knows what is kept a device of bob got %q", got)
			}
		}

		w.store.lies(nil)
		time.Sleep(2*probeEvery + retryEvery)
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		if got := alice.confirmed(); !maps.Equal(got, map[string]uint64{"0": 1, "1": 2}) {
			t.Errorf("alice was confirmed %v", got)
		}
		for _, p := range []*peer{phone, tablet} {
			if got := p.conn.contents(); !slices.Equal(got, []string{"zero", "one"}) {
				t.Errorf("a device of bob got %q", got)
			}
		}
	})
}

func TestCursorsOutliveADiskThatFails(t *testing.T) {
	onDisk(t, Config{IdleAfter: 8 * time.Second}, func(w *world) {
		w.mail("bob", 5)
		bob := w.device("bob", "phone")
		w.store.breaks(errDisk)
		bob.ack(2)
		bob.ack(4)
		_, before := w.store.calls()
		time.Sleep(30 * time.Second)
		if _, after := w.store.calls(); after-before > 35 {
			t.Errorf("%d commits were tried in 30 s: that is a hot loop", after-before)
		}
		bob.hangUp()
		time.Sleep(30 * time.Second)
		if info := w.userInfo("bob"); info.State != "active" {
			t.Errorf("with a cursor that is not kept bob is %q", info.State)
		}

		w.store.breaks(nil)
		time.Sleep(probeEvery + retryEvery + time.Millisecond)

		if got := w.store.cursor("bob", "phone"); got != 4 {
			t.Errorf("the cursor is %d, want 4", got)
		}
		time.Sleep(20 * time.Second)
		if got := w.users(); got != 0 {
			t.Errorf("%d users have not left", got)
		}
	})
}

func TestJournalThatPanicsIsRestarted(t *testing.T) {
	for _, where := range []string{"receive", "commit"} {
		t.Run(where, func(t *testing.T) {
			onDisk(t, Config{MaxInFlight: 8}, func(w *world) {
				alice, sam, bob := w.device("alice", "phone"), w.connect("sam"), w.device("bob", "phone")
				alice.sendID("bob", "before", "0")
				synctest.Wait()
				if where == "commit" {
					w.store.crashes(1)
				} else {
					var once atomic.Bool
					w.on(func(actor string, message any) {
						if _, ok := message.(*commit); ok && actor == "journal" && once.CompareAndSwap(false, true) {
							panic("crash on purpose")
						}
					})
				}
				alice.sendID("bob", "fatal", "1")
				synctest.Wait()
				if got := alice.refused(); !maps.Equal(got, map[string]protocol.ErrorCode{"1": protocol.CodeInternal}) {
					t.Errorf("alice was refused %v", got)
				}

				alice.sendID("bob", "fatal", "1")
				sam.send("bob", "after")
				synctest.Wait()

				if got := bob.conn.contents(); !slices.Equal(got, []string{"before", "fatal", "after"}) || !slices.Equal(bob.seqs(), upTo(1, 3)) {
					t.Errorf("bob got %q as %v", got, bob.seqs())
				}
				if err := w.system.Ready(); err != nil || alice.confirmed()["1"] != 2 {
					t.Errorf("Ready says %v, alice was confirmed %v", err, alice.confirmed())
				}
				if a, s := alice.link.credits.Load(), sam.link.credits.Load(); a != 8 || s != 8 {
					t.Errorf("alice has %d credits and sam %d, want 8", a, s)
				}
			})
		})
	}
}

// What the journal has in hand outlives the actor that numbered it.
func TestCrashOfAUserLosesNoCommitInFlight(t *testing.T) {
	onDisk(t, Config{MaxInFlight: 16}, func(w *world) {
		alice, phone, seed := w.device("alice", "phone"), w.v1("bob", &protocol.Connect{Device: "phone", Window: 2}), w.connect("bob")
		alice.sendID("bob", "0", "0")
		synctest.Wait()
		w.crashOn("bob", "fatal")
		w.store.hold()
		for _, id := range []string{"1", "2", "3"} {
			alice.sendID("bob", id, id)
			synctest.Wait()
		}
		alice.sendID("bob", "fatal", "f")
		synctest.Wait()
		alice.sendID("bob", "4", "4")
		alice.sendID("bob", "2", "2") // again, while its commit is in flight
		synctest.Wait()
		if info := w.userInfoSoon("bob"); info != nil {
			t.Errorf("before the journal has answered bob is %+v", info)
		}

		w.store.release()
		synctest.Wait()

		if got := alice.refused(); !maps.Equal(got, map[string]protocol.ErrorCode{"f": protocol.CodeInternal}) {
			t.Errorf("alice was refused %v", got)
		}
		if got := alice.confirmed(); !maps.Equal(got, map[string]uint64{"0": 1, "1": 2, "2": 3, "3": 4, "4": 5}) {
			t.Errorf("alice was confirmed %v", got)
		}
		if got := seed.seqs(); !slices.Equal(got, upTo(1, 5)) {
			t.Errorf("bob's session of the seed got %v, want 1 to 5, each once", got)
		}
		if got := phone.seqs(); !slices.Equal(got, upTo(1, 2)) {
			t.Errorf("bob's phone got %v, want its window", got)
		}
		phone.ack(2)
		phone.ack(4)
		if got := phone.seqs(); !slices.Equal(got, upTo(1, 5)) {
			t.Errorf("bob's phone got %v, want 1 to 5, each once", got)
		}
		if got := alice.link.credits.Load(); got != 16 {
			t.Errorf("alice has %d credits of 16", got)
		}
	})
}

// userInfoSoon describes a user, or returns nil if nobody answers for now.
func (w *world) userInfoSoon(user string) *UserInfo {
	got := make(chan *UserInfo, 1)
	go func() {
		info, err := w.system.DescribeUser(w.Context(), protocol.UserID(user))
		if err == nil {
			got <- info
		}
	}()
	synctest.Wait()
	select {
	case info := <-got:
		return info
	default:
		return nil
	}
}

func TestUserWithACommitInFlightDoesNotLeave(t *testing.T) {
	onDisk(t, Config{IdleAfter: 8 * time.Second, PingInterval: time.Hour}, func(w *world) {
		alice := w.device("alice", "phone")
		w.store.hold()
		alice.sendID("ghost", "boo", "1")
		time.Sleep(time.Minute)
		if info := w.userInfo("ghost"); info.State != "active" {
			t.Errorf("with a commit in flight the user is %q", info.State)
		}
		w.store.release()
		time.Sleep(20 * time.Second)
		if info := w.userInfo("ghost"); info.State != "" || alice.confirmed()["1"] != 1 {
			t.Errorf("when all is done the user is %q, alice was confirmed %v", info.State, alice.confirmed())
		}
		if got := w.users(); got != 1 {
			t.Errorf("%d users have an actor, want alice alone", got)
		}
	})
}

// With a journal and without.
func TestFailedCommitIsNotConfirmedInEitherStore(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 8}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		w.store.breaks(fmt.Errorf("no room: %w", inbox.ErrFull))
		alice.sendID("bob", "one", "1")
		alice.sendID("bob", "two", "2")
		synctest.Wait()
		if got := alice.refused(); got["1"] != protocol.CodeStorageFull || got["2"] == "" || len(alice.confirmed()) != 0 {
			t.Errorf("alice was refused %v, confirmed %v", got, alice.confirmed())
		}
		w.store.breaks(nil)
		time.Sleep(2*probeEvery + retryEvery)
		alice.sendID("bob", "two", "2")
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		if got := bob.conn.contents(); !slices.Equal(got, []string{"two", "one"}) || !slices.Equal(bob.seqs(), upTo(1, 2)) {
			t.Errorf("bob got %q as %v", got, bob.seqs())
		}
		if got := alice.link.credits.Load(); got != 8 || w.store.wasOfferedGaps() != 0 {
			t.Errorf("alice has %d credits of 8, %d gaps", got, w.store.wasOfferedGaps())
		}
	})
}

// With a journal and without.
func TestCrashInACommitIsAnswered(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 8}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		w.store.crashes(1)
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		if got := alice.refused()["1"]; got != protocol.CodeInternal || alice.link.credits.Load() != 8 {
			t.Errorf("alice was told %q, and has %d credits of 8", got, alice.link.credits.Load())
		}
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		if got := bob.seqs(); !slices.Equal(got, upTo(1, 1)) {
			t.Errorf("bob got %v", got)
		}
	})
}

func TestWhatAFailedActorHadNumberedAndNotHandedOverIsRefused(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 8}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		held := make(chan struct{})
		w.on(func(actor string, message any) {
			switch send, ok := message.(*protocol.Send); {
			case ok && actor == "bob" && send.Content == "first":
				<-held
			case ok && actor == "bob" && send.Content == "fatal":
				panic("crash on purpose")
			}
		})
		for _, content := range []string{"first", "numbered", "fatal", "behind"} {
			alice.sendID("bob", content, content)
		}
		synctest.Wait()
		close(held)
		synctest.Wait()

		lost := protocol.CodeInternal
		if got := alice.refused(); !maps.Equal(got, map[string]protocol.ErrorCode{"first": lost, "numbered": lost, "fatal": lost}) {
			t.Errorf("alice was refused %v", got)
		}
		if got := bob.conn.contents(); !slices.Equal(got, []string{"behind"}) || alice.confirmed()["behind"] != 1 || alice.link.credits.Load() != 8 {
			t.Errorf("bob got %q, alice was confirmed %v and has %d credits of 8", got, alice.confirmed(), alice.link.credits.Load())
		}
	})
}
