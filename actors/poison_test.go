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

// letters are what is set aside, read a page at a time.
func (w *world) letters(limit int) (all []DeadletterInfo) {
	w.Helper()
	for after, more := uint64(0), true; more; {
		page, next, sum, err := w.system.ListDeadletters(w.Context(), after, limit)
		if err != nil || len(page) > limit {
			w.Fatalf("a page of %d: %d, %v", limit, len(page), err)
		}
		for _, l := range page {
			all, after = append(all, l), l.Number
		}
		if more = next; !more && sum.Messages != len(all) {
			w.Errorf("%d are listed, and there are %+v", len(all), sum)
		}
	}
	return all
}

// poisons has the receiver's actor fail on a message until it is set aside.
func (p *peer) poisons(to, content, id string) {
	for range deadlyCrashes {
		p.sendID(to, content, id)
		synctest.Wait()
	}
}

func TestMessageThatFailsItsUserTwiceIsSetAsideAndTheUserLivesOn(t *testing.T) {
	config := Config{MaxInFlight: 4, Intensity: Intensity{Failures: 1, Window: time.Hour, Park: time.Hour, MaxPark: time.Hour}}
	inBubble(t, config, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		w.crashOn("bob", "fatal")

		for i := range 3 { // three poison messages are six failures, and one parks
			id := fmt.Sprint(i)
			alice.sendID("bob", "fatal "+id, id)
			synctest.Wait()
			if got := alice.refused()[id]; got != protocol.CodeInternal {
				t.Errorf("after its first failure message %s is refused as %q", id, got)
			}
			alice.sendID("bob", "fatal "+id, id)
			alice.sendID("bob", "behind "+id, "behind "+id)
			synctest.Wait()
			if got := alice.refused()[id]; got != protocol.CodePoisoned {
				t.Errorf("after its second failure message %s is refused as %q", id, got)
			}
		}

		if info := w.userInfo("bob"); info.State != "active" || info.Failures != 0 {
			t.Errorf("bob is %q with %d failures", info.State, info.Failures)
		}
		if got := bob.conn.contents(); !slices.Equal(got, []string{"behind 0", "behind 1", "behind 2"}) || bob.conn.isClosed() {
			t.Errorf("bob got %q, closed: %v", got, bob.conn.isClosed())
		}
		letters := w.letters(2)
		if len(letters) != 3 || letters[1].Sender != "alice" || letters[1].Receiver != "bob" || letters[1].ID != "1" ||
			letters[1].Crashes != 2 || letters[1].Size != len("fatal 1") || !strings.Contains(letters[1].Reason, "crash on purpose") {
			t.Errorf("set aside: %+v", letters)
		}
		letter, err := w.system.ReadDeadletter(w.Context(), letters[1].Number)
		if err != nil || letter.Content != "fatal 1" || !strings.Contains(letter.Stack, "crashOn") || strings.Contains(letter.Stack, "HandleFailure") {
			t.Errorf("the letter is %+v, %v", letter, err)
		}
		if got := alice.link.credits.Load(); got != 4 {
			t.Errorf("alice has %d credits of 4", got)
		}
		if tree := w.tree(); tree.Poisoned != 3 || tree.Failures != 6 {
			t.Errorf("%d poisoned, %d failures", tree.Poisoned, tree.Failures)
		}
	})
}

func TestPoisonIsRefusedWithoutBeingTriedAgainUntilItIsForgotten(t *testing.T) {
	inBubble(t, Config{PingInterval: 24 * time.Hour}, func(w *world) {
		alice := w.device("alice", "phone")
		w.crashOn("bob", "fatal")
		alice.poisons("bob", "fatal", "1")
		before := w.tree().Failures

		alice.sendID("bob", "fatal", "1")
		synctest.Wait()
		if got := w.tree(); got.Failures != before || alice.codes()[2] != protocol.CodePoisoned {
			t.Errorf("%d more failures, alice was told %v", got.Failures-before, alice.codes())
		}
		w.on(func(string, any) {})
		alice.sendID("eve", "fatal", "1")    // the same to somebody else
		alice.sendID("bob", "harmless", "2") // another to the same
		w.device("carl", "phone").sendID("bob", "fatal", "1")
		synctest.Wait()
		if got := w.store.contents("bob"); len(got) != 2 || len(w.store.contents("eve")) != 1 {
			t.Errorf("bob has %q; only the poison is refused", got)
		}

		time.Sleep(crashMemory + time.Millisecond)
		alice.sendID("bob", "fatal", "1")
		synctest.Wait()
		if got := w.store.contents("bob"); len(got) != 3 {
			t.Errorf("bob has %q after the memory is over", got)
		}
	})
}

// Without an id the same text may be another message.
func TestPoisonWithoutAnIDIsSetAsideAndTriedEachTime(t *testing.T) {
	inBubble(t, Config{Intensity: Intensity{Failures: 1, Window: time.Hour, Park: time.Hour, MaxPark: time.Hour}}, func(w *world) {
		alice, bob := w.connect("alice"), w.connect("bob")
		w.crashOn("bob", "fatal")
		alice.poisons("bob", "fatal", "")
		alice.poisons("bob", "fatal", "")
		if letters := w.letters(10); len(letters) != 1 || letters[0].Crashes != 4 || letters[0].Number != 1 {
			t.Errorf("set aside: %+v", letters)
		}
		w.on(func(string, any) {})
		alice.send("bob", "fatal")
		synctest.Wait()
		if got := bob.conn.contents(); !slices.Equal(got, []string{"fatal"}) {
			t.Errorf("bob got %q", got)
		}
	})
}

func TestPoisonSurvivesARestartAndCanBeRetriedAndDropped(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.crashOn("bob", "fatal")
		for i := range 3 {
			w.device("alice", "phone").poisons("bob", fmt.Sprint("fatal ", i), fmt.Sprint(i))
		}
		w.restart()
		if got := w.letters(1); len(got) != 3 || got[2].Number != 3 {
			t.Fatalf("after the restart %+v are set aside", got)
		}

		if _, err := w.system.RetryDeadletter(w.Context(), 2); !isCode(err, ErrPoisoned) {
			t.Errorf("a retry that fails again: %v", err)
		}
		if got := w.letters(10); len(got) != 3 || w.userInfo("bob").State == "parked" {
			t.Errorf("after a retry that fails again: %+v", got)
		}
		w.on(func(string, any) {})
		sent, err := w.system.RetryDeadletter(w.Context(), 2)
		if err != nil || sent.Id != "1" || sent.Seq != 1 {
			t.Errorf("the retry: %+v, %v", sent, err)
		}
		if bob := w.device("bob", "phone"); len(of[*protocol.Receive](bob.conn)) != 1 {
			t.Errorf("bob got %q", bob.conn.contents())
		} else if m := of[*protocol.Receive](bob.conn)[0]; m.Sender != "alice" || m.Id != "1" || m.Content != "fatal 1" {
			t.Errorf("bob got %+v", m)
		}
		if _, err := w.system.RetryDeadletter(w.Context(), 2); !isCode(err, ErrNoDeadletter) {
			t.Errorf("retried again: %v", err)
		}

		if n, err := w.system.DropDeadletters(w.Context(), false, 1, 2, 99); n != 1 || err != nil {
			t.Errorf("dropped %d, %v", n, err)
		}
		if n, err := w.system.DropDeadletters(w.Context(), true); n != 1 || err != nil {
			t.Errorf("dropped %d, %v", n, err)
		}
		w.restart()
		if got := w.letters(10); len(got) != 0 {
			t.Errorf("dropped, and there are %+v", got)
		}
	})
}

func TestSetAsideIsBoundedAndTheOldestGo(t *testing.T) {
	inBubble(t, Config{MaxDeadletters: 3, MaxDeadletterBytes: 150_000}, func(w *world) {
		alice := w.device("alice", "phone")
		w.crashOn("bob", "fatal")
		for i := range 5 {
			alice.poisons("bob", fmt.Sprint("fatal ", i), fmt.Sprint(i))
		}
		if got := w.letters(10); len(got) != 3 || got[0].ID != "2" || w.tree().DeadlettersLost != 2 || len(w.store.dead) != 3 {
			t.Errorf("%d lost, left %+v", w.tree().DeadlettersLost, got)
		}
		long := strings.Repeat("x", 60_000)
		for i := range 4 {
			alice.poisons("bob", "fatal "+long, fmt.Sprint("long ", i))
		}
		got := w.letters(10)
		bytes := 0
		for _, l := range got {
			bytes += l.Bytes
		}
		if len(got) != 2 || got[1].ID != "long 3" || bytes > 150_000 {
			t.Errorf("%d bytes are left of %+v", bytes, got)
		}
		w.config.MaxDeadletters = 1
		w.restart()
		w.device("alice", "tablet").poisons("bob", "fatal", "last")
		if got := w.letters(10); len(got) != 1 || got[0].ID != "last" {
			t.Errorf("with a lower limit %+v are left", got)
		}
	})
}

// What nobody keeps is not said to be kept.
func TestPoisonThatTheStoreDoesNotTakeMayComeAgain(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 4}, func(w *world) {
		alice := w.device("alice", "phone")
		w.crashOn("bob", "fatal")
		alice.sendID("bob", "fatal", "1")
		synctest.Wait()
		w.store.breaks(errDisk)
		alice.sendID("bob", "fatal", "1")
		synctest.Wait()
		if got := alice.refused()["1"]; got != protocol.CodeUnavailable || len(w.letters(10)) != 0 {
			t.Errorf("alice was told %q", got)
		}
		w.store.breaks(nil)
		time.Sleep(2 * probeEvery)
		alice.sendID("bob", "fatal", "1")
		synctest.Wait()
		if got := alice.refused()["1"]; got != protocol.CodePoisoned || len(w.letters(10)) != 1 {
			t.Errorf("alice was told %q", got)
		}
		if got := alice.link.credits.Load(); got != 4 {
			t.Errorf("alice has %d credits of 4", got)
		}
	})
}

func TestCoronerThatFailsAnswersAndGoesOn(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 4}, func(w *world) {
		alice := w.device("alice", "phone")
		w.on(func(actor string, message any) {
			if send, ok := message.(*protocol.Send); ok && actor == "bob" && send.Content == "fatal" {
				panic("crash on purpose")
			}
			if _, ok := message.(*setAside); ok {
				panic("crash on purpose, too")
			}
		})
		alice.poisons("bob", "fatal", "1")
		if got := alice.refused()["1"]; got != protocol.CodeInternal || alice.link.credits.Load() != 4 {
			t.Errorf("alice was told %q and has %d credits", got, alice.link.credits.Load())
		}
		w.crashOn("bob", "fatal")
		alice.sendID("bob", "fatal", "1")
		synctest.Wait()
		if got := alice.refused()["1"]; got != protocol.CodePoisoned || len(w.letters(10)) != 1 {
			t.Errorf("alice was told %q", got)
		}
	})
}

func TestServiceDoesNotStartWithoutWhatIsSetAside(t *testing.T) {
	store := newFakeStore()
	store.unread = errDisk
	if _, err := newCoroner(&System{config: Config{Store: store}}); err == nil {
		t.Error("it starts")
	}
}

func TestCrashesThatAreRememberedAreBounded(t *testing.T) {
	c := newCrashes(maxCrashes / 16)
	msg := func(i int) *protocol.Send { return &protocol.Send{Receiver: "bob", Sender: "alice", Id: fmt.Sprint(i)} }
	for i := range 100 {
		c.add(msg(i), 0)
		c.setAside(msg(i), 0)
	}
	if len(c.byMessage) != 16 || c.recent.Len() != 16 || c.aside != 16 || c.refuses(msg(83)) || !c.refuses(msg(84)) {
		t.Errorf("%d, %d, %d are remembered", len(c.byMessage), c.recent.Len(), c.aside)
	}
	c.pardon(msg(99), 1)
	if c.refuses(msg(99)) || c.aside != 15 || c.add(msg(99), 1) != deadlyCrashes {
		t.Errorf("after a pardon %d are set aside", c.aside)
	}
	c.forget(crashMemory)
	if c.recent.Len() != 1 || len(c.byMessage) != 1 || c.aside != 0 {
		t.Errorf("later %d, %d, %d are remembered", len(c.byMessage), c.recent.Len(), c.aside)
	}
}
