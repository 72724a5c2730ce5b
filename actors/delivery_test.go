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

func TestMessageReachesAllSessionsOfTheReceiver(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, bob1, bob2 := w.connect("alice"), w.connect("bob"), w.connect("bob")

		alice.sendID("bob", "hello", "7")
		synctest.Wait()

		for _, bob := range []*peer{bob1, bob2} {
			got := of[*protocol.Receive](bob.conn)
			if len(got) != 1 || got[0].Content != "hello" || got[0].Id != "7" || got[0].Receiver != "bob" {
				t.Errorf("a session of bob got %v", got)
			}
		}
		if got := alice.conn.contents(); len(got) != 0 {
			t.Errorf("alice got her own message: %v", got)
		}
	})
}

func TestSenderIsTheOneWhoIsConnected(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		mallory, bob := w.connect("mallory"), w.connect("bob")

		mallory.link.Next().Sender = "alice"
		mallory.send("bob", "it is me, alice")
		synctest.Wait()

		got := of[*protocol.Receive](bob.conn)
		if len(got) != 1 || got[0].Sender != "mallory" {
			t.Errorf("bob got %v", got)
		}
	})
}

// The seed's fault 10: a message to somebody who is offline vanished.
func TestMessageToAnAbsentUserWaitsInTheInbox(t *testing.T) {
	inBubble(t, Config{IdleAfter: time.Second, PingInterval: time.Hour}, func(w *world) {
		alice := w.connect("alice")
		alice.send("bob", "one")
		time.Sleep(time.Minute) // bob's actor has long left
		alice.send("bob", "two")
		synctest.Wait()
		sent, err := w.system.Send(w.Context(), &protocol.Send{Sender: "op", Receiver: "bob", Content: "three", Id: "x"})
		if err != nil || sent.Seq != 3 || sent.Id != "x" {
			t.Errorf("System.Send: %v, %v", sent, err)
		}

		bob := w.connect("bob")
		synctest.Wait()

		if got := bob.conn.contents(); !slices.Equal(got, []string{"one", "two", "three"}) {
			t.Errorf("bob got %q", got)
		}
		if got := alice.codes(); len(got) != 0 {
			t.Errorf("alice was refused: %v", got)
		}
	})
}

func TestOrderIsKeptFromEachSenderToEachReceiver(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		const n = 300
		bob := w.connect("bob")
		for i := range 4 {
			alice := w.connect(fmt.Sprint("alice", i))
			go func() {
				for j := range n {
					alice.send("bob", fmt.Sprint(j))
				}
			}()
		}
		synctest.Wait()

		next := map[string]int{}
		for _, receive := range of[*protocol.Receive](bob.conn) {
			if want := fmt.Sprint(next[receive.Sender]); receive.Content != want {
				t.Fatalf("from %s came %s, want %s", receive.Sender, receive.Content, want)
			}
			next[receive.Sender]++
		}
		for i := range 4 {
			if got := next[fmt.Sprint("alice", i)]; got != n {
				t.Errorf("from alice%d came %d of %d", i, got, n)
			}
		}
	})
}

// The seed's fault 6: the end of a first connection removed the second one.
func TestSessionThatEndsTakesAwayOnlyItself(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, bob1, bob2 := w.connect("alice"), w.connect("bob"), w.connect("bob")

		bob1.hangUp()
		synctest.Wait()
		alice.send("bob", "still there?")
		synctest.Wait()

		if got := bob2.conn.contents(); !slices.Equal(got, []string{"still there?"}) {
			t.Errorf("the second session got %v", got)
		}
		if !bob1.conn.isClosed() || len(bob1.conn.contents()) != 0 {
			t.Errorf("the first session is closed: %v, got %v", bob1.conn.isClosed(), bob1.conn.contents())
		}
		if info := w.userInfo("bob"); !slices.Equal(info.Sessions, []uint64{bob2.number()}) {
			t.Errorf("bob's sessions are %v", info.Sessions)
		}
	})
}

func TestSessionsOfOneUserAreBounded(t *testing.T) {
	inBubble(t, Config{MaxSessionsPerUser: 2}, func(w *world) {
		w.connect("bob")
		second := w.connect("bob")

		third, err := w.tryConnect("bob")
		if !isCode(err, ErrTooManySessions) || third.link == nil {
			t.Fatalf("third session: link %v, %v", third.link, err)
		}
		synctest.Wait()
		if frame, _ := third.conn.closeFrame(); frame.Code != protocol.CloseTryAgainLater || frame.Reason != string(protocol.CodeTooManySessions) {
			t.Errorf("close frame %+v", frame)
		}
		third.answerClose()
		synctest.Wait()
		if !third.conn.isClosed() {
			t.Error("the refused session's socket is open")
		}

		second.hangUp()
		synctest.Wait()
		w.connect("bob")
	})
}

// Users who are only written to are bounded; who connects is always let in.
func TestUsersWhoAreOnlyWrittenToAreBounded(t *testing.T) {
	inBubble(t, Config{Shards: 1, MaxUsers: 2}, func(w *world) {
		alice := w.connect("alice")
		for i := range 10 {
			alice.send(fmt.Sprint("ghost", i), "boo")
		}
		synctest.Wait()

		refused := slices.Repeat([]protocol.ErrorCode{protocol.CodeUnavailable}, 8)
		if got := alice.codes(); !slices.Equal(got, refused) {
			t.Errorf("refusals %v, want 8 of 10", got)
		}
		w.connect("bob")
		if got := w.users(); got != 4 {
			t.Errorf("%d users, want alice, bob and two ghosts", got)
		}
	})
}

func isCode(err error, want *Error) bool { return errors.Is(err, want) }
