package actors

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

func (w *world) block(user string, of time.Duration) int {
	w.Helper()
	block := Block{User: protocol.UserID(user), Reason: "spam", By: "otto", At: now()}
	if of > 0 {
		block.Until = now() + of.Milliseconds()
	}
	n, err := w.system.Block(w.Context(), block)
	if err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
	return n
}

func (w *world) unblock(user string) bool {
	w.Helper()
	was, err := w.system.Unblock(w.Context(), protocol.UserID(user))
	if err != nil {
		w.Fatal(err)
	}
	return was
}

func (w *world) blockedUsers(limit int) (users []string) {
	after, more := protocol.UserID(""), true
	for more {
		var page []*Block
		if page, more = w.system.ListBlocked(after, limit); len(page) > limit {
			w.Fatalf("%d on a page of %d", len(page), limit)
		}
		for _, b := range page {
			users, after = append(users, string(b.User)), b.User
		}
	}
	return users
}

// closedAs checks how a session was closed, in either dialect.
func (p *peer) closedAs(code protocol.CloseCode) {
	p.w.Helper()
	if frame, ok := p.conn.closeFrame(); !ok || frame.Code != code || frame.Reason != string(code.Word()) {
		p.w.Errorf("the close frame is %+v, %v; want %v", frame, ok, code)
	}
}

func TestBlockedUserIsClosedAndKeptOut(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		seed, v1, other := w.connect("bob"), w.device("bob", "phone"), w.connect("alice")

		if n := w.block("bob", 0); n != 2 {
			t.Errorf("%d sessions were closed", n)
		}

		seed.closedAs(protocol.CloseBlocked)
		v1.closedAs(protocol.CloseBlocked)
		if _, closed := other.conn.closeFrame(); closed {
			t.Error("another user was closed too")
		}
		if b := w.system.Blocked("bob"); b == nil || b.Reason != "spam" || b.By != "otto" || w.system.Blocked("alice") != nil {
			t.Errorf("blocked: %+v", b)
		}
		if _, err := w.tryConnect("bob"); !errors.Is(err, ErrBlocked) {
			t.Errorf("connecting: %v", err)
		}
		w.tryV1("bob", &protocol.Connect{Device: "phone"}).closedAs(protocol.CloseBlocked)

		if !w.unblock("bob") || w.unblock("bob") {
			t.Error("unblocking did not say that bob was blocked, once")
		}
		w.connect("bob")
	})
}

func TestMailForABlockedUserIsKept(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.block("bob", 0)
		w.mail("bob", 3)
		w.unblock("bob")
		if got := w.device("bob", "phone").seqs(); !slices.Equal(got, upTo(1, 3)) {
			t.Errorf("bob got %v", got)
		}
	})
}

func TestBlockSurvivesARestart(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.block("bob", 0)
		w.block("eve", time.Hour)
		w.block("dan", 0)
		w.unblock("dan")
		w.restart()
		if got := w.blockedUsers(1); !slices.Equal(got, []string{"bob", "eve"}) {
			t.Errorf("after the restart %v are blocked", got)
		}
		if _, err := w.tryConnect("bob"); !errors.Is(err, ErrBlocked) {
			t.Errorf("connecting: %v", err)
		}
		time.Sleep(time.Hour + 2*sweepPause)
		if got := w.blockedUsers(9); !slices.Equal(got, []string{"bob"}) {
			t.Errorf("after an hour %v are blocked", got)
		}
	})
}

func TestServiceDoesNotStartWithoutItsBlocks(t *testing.T) {
	store := newFakeStore()
	store.stops(errDisk)
	if _, err := New(Config{Store: store}); !errors.Is(err, errDisk) {
		t.Errorf("%v", err)
	}
}

func TestBlockEndsByItself(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.block("bob", time.Minute)
		w.block("eve", 3*time.Hour) // longer than between two sweeps
		w.block("dan", time.Minute)
		w.block("dan", 0) // instead
		time.Sleep(time.Minute - time.Millisecond)
		if w.system.Blocked("bob") == nil {
			t.Error("too early")
		}
		time.Sleep(time.Millisecond)
		if b := w.system.Blocked("bob"); b != nil {
			t.Errorf("still %+v", b)
		}
		w.connect("bob")
		time.Sleep(2 * sweepPause)
		if n := w.store.blocked(); n != 2 || w.system.blocked.Load().Len() != 2 {
			t.Errorf("%d blocks are kept", n)
		}
		time.Sleep(3 * time.Hour)
		if got := w.blockedUsers(9); !slices.Equal(got, []string{"dan"}) || w.store.blocked() != 1 {
			t.Errorf("after three hours %v are blocked", got)
		}
	})
}

func TestBlocksAreBounded(t *testing.T) {
	inBubble(t, Config{MaxBlocked: 3}, func(w *world) {
		w.block("a", time.Minute)
		w.block("b", 0)
		w.block("c", 0)
		w.block("b", 0) // again
		if _, err := w.system.Block(w.Context(), Block{User: "d"}); !errors.Is(err, ErrTooManyBlocked) {
			t.Errorf("one more: %v", err)
		}
		time.Sleep(2 * time.Minute)
		w.block("d", 0) // in the place of the one that has ended
	})
}

func TestManyBlocksEndInSteps(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		for i := range 3 * maxSweep {
			w.block(fmt.Sprint("u", i), time.Minute)
		}
		time.Sleep(time.Minute + sweepPause/2)
		if left := w.store.blocked(); left != 2*maxSweep {
			t.Errorf("after one sweep %d are left", left)
		}
		time.Sleep(3 * sweepPause)
		if left := w.store.blocked(); left != 0 {
			t.Errorf("%d are left", left)
		}
	})
}

func TestBlockThatIsNotKeptIsRefused(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		bob := w.connect("bob")
		w.block("eve", time.Minute)
		w.store.breaks(errDisk)
		if _, err := w.system.Block(w.Context(), Block{User: "bob"}); !errors.Is(err, ErrUnavailableStore) {
			t.Errorf("block: %v", err)
		}
		if _, err := w.system.Unblock(w.Context(), "eve"); !errors.Is(err, ErrUnavailableStore) || w.system.Blocked("eve") == nil {
			t.Errorf("unblock: %v", err)
		}
		synctest.Wait()
		if _, closed := bob.conn.closeFrame(); closed || w.system.Blocked("bob") != nil {
			t.Error("bob is blocked all the same")
		}
		time.Sleep(2 * time.Minute) // the sweep fails and comes again
		w.store.breaks(nil)
		time.Sleep(2 * sweepPause)
		if w.store.blocked() != 0 {
			t.Error("what has ended is still there")
		}
	})
}

// A session between its upgrade and its user, and one whose user has a new actor, do not
// slip through.
func TestSessionOnItsWayDoesNotSlipThrough(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		p := &peer{w: w, conn: &fakeConn{}}
		var err error
		if p.link, err = w.system.Connect(w.Context(), "bob", V1, p.conn); err != nil {
			t.Fatal(err)
		}
		if n := w.block("bob", 0); n != 0 {
			t.Errorf("%d sessions were closed", n)
		}
		p.link.Connect(&protocol.Connect{})
		synctest.Wait()
		p.closedAs(protocol.CloseBlocked)
	})
}

// The store may have kept a block and failed before it could say so.
func TestUnblockTakesAwayABlockThatNobodyKnowsOf(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		if err := w.store.Block(&Block{User: "bob", At: now()}); err != nil {
			t.Fatal(err)
		}
		if w.unblock("bob") {
			t.Error("bob is said to have been blocked")
		}
		if n := w.store.blocked(); n != 0 {
			t.Errorf("%d blocks are in the store", n)
		}
	})
}
