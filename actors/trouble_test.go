package actors

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

func TestInboxThatCannotBeOpenedRefusesAndComesBack(t *testing.T) {
	inBubble(t, Config{PingInterval: time.Hour, MaxInFlight: 4}, func(w *world) {
		alice := w.device("alice", "phone")
		w.mail("bob", 2)
		time.Sleep(time.Minute) // bob's actor has left
		w.store.stops(errDisk)
		seed, err := w.tryConnect("bob")
		if !isCode(err, ErrUnavailableStore) {
			t.Errorf("a session of the seed: %v", err)
		}
		phone := w.tryV1("bob", &protocol.Connect{Device: "phone"})
		for _, p := range []*peer{seed, phone} {
			synctest.Wait()
			if frame, _ := p.conn.closeFrame(); frame.Code != protocol.CloseTryAgainLater || frame.Reason != string(protocol.CodeUnavailable) {
				t.Errorf("the close frame is %+v", frame)
			}
			p.answerClose()
		}
		alice.sendID("bob", "one", "1")
		alice.sendID("ghost", "two", "2")
		alice.send("bob", "without an id")
		time.Sleep(time.Minute)
		if got := alice.refused(); got["1"] != protocol.CodeUnavailable || got["2"] != protocol.CodeUnavailable || got[""] != protocol.CodeUnavailable {
			t.Errorf("alice was refused %v", got)
		}
		if got := w.users(); got > 3 {
			t.Errorf("%d users have an actor", got)
		}
		alice.sendID("bob", "one", "3") // bob has an actor that cannot read when the disk works again
		synctest.Wait()

		w.store.stops(nil)
		time.Sleep(retryEvery + time.Millisecond)

		alice.sendID("bob", "one", "1")
		alice.sendID("ghost", "two", "2")
		synctest.Wait()
		if got := alice.confirmed(); got["1"] != 3 || got["2"] != 1 {
			t.Errorf("alice was confirmed %v and refused %v", got, alice.refused())
		}
		if got := w.device("bob", "phone").seqs(); !slices.Equal(got, upTo(1, 3)) {
			t.Errorf("bob got %v", got)
		}
		if got := alice.link.credits.Load(); got != 4 {
			t.Errorf("alice has %d credits of 4", got)
		}
		if tree := w.tree(); tree.Failures != 0 {
			t.Errorf("%d failures, and no actor did anything wrong", tree.Failures)
		}
	})
}

func TestReadThatFailsIsTriedAgain(t *testing.T) {
	inBubble(t, Config{PingInterval: time.Hour}, func(w *world) {
		w.mail("bob", 10)
		bob, seed := w.v1("bob", &protocol.Connect{Device: "phone", Window: 4}), w.connect("bob")
		settled() // the seed's session has everything
		w.store.hides(true)
		bob.ack(4)
		before, _ := w.store.calls()
		time.Sleep(30 * time.Second)
		after, _ := w.store.calls()
		if got := bob.seqs(); !slices.Equal(got, upTo(1, 4)) || after-before > 35 {
			t.Errorf("bob got %v, and %d reads were tried in 30 s", got, after-before)
		}
		late := w.device("bob", "tablet") // the actor knows the inbox, only the entries cannot be read
		w.store.hides(false)
		time.Sleep(retryEvery + time.Millisecond)
		bob.ack(8)
		for _, p := range []*peer{bob, seed, late} {
			if _, closed := p.conn.closeFrame(); closed || !slices.Equal(p.seqs(), upTo(1, 10)) {
				t.Errorf("a session got %v, closed: %v", p.seqs(), closed)
			}
		}
	})
}

// Who was sent nothing while the store could not be read is not deaf afterwards, also
// if the user's actor had to be replaced in that time.
func TestFailureWhileTheStoreCannotBeReadEndsInACloseNotInSilence(t *testing.T) {
	inBubble(t, Config{PingInterval: time.Hour}, func(w *world) {
		w.mail("bob", 1)
		bob := w.device("bob", "phone")
		bob.ack(1)
		settled()
		w.store.stops(errDisk)
		w.crash("bob")
		time.Sleep(10 * time.Second)
		if frame, _ := bob.conn.closeFrame(); frame.Code != protocol.CloseTryAgainLater || frame.Reason != string(protocol.CodeUnavailable) {
			t.Errorf("the close frame is %+v", frame)
		}
		w.store.stops(nil)
		time.Sleep(2 * retryEvery)
		w.mail("bob", 1)
		if got := w.device("bob", "phone").seqs(); !slices.Equal(got, upTo(2, 2)) {
			t.Errorf("connected again, bob got %v, want 2", got)
		}
	})
}

// While nobody can say whether an id is known, the send is not taken.
func TestSendIsRefusedWhileRepetitionsCannotBeTold(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		w.store.stops(errDisk)
		alice.sendID("bob", "one", "1")
		alice.send("bob", "two, without an id")
		synctest.Wait()
		w.store.stops(nil)
		if got := alice.refused(); got["1"] != protocol.CodeUnavailable || len(got) != 1 {
			t.Errorf("alice was refused %v", got)
		}
		if got := bob.conn.contents(); !slices.Equal(got, []string{"one", "two, without an id"}) {
			t.Errorf("bob got %q", got)
		}
	})
}
