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

func TestSeedCountsAsDeliveredWhatIsWritten(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		bob := w.connect("bob")
		w.mail("bob", 3)
		time.Sleep(ackEvery + time.Millisecond)
		synctest.Wait()
		if got := w.store.cursor("bob", ""); got != 3 || len(bob.seqs()) != 3 {
			t.Errorf("%v after they were written the cursor is %d, want 3", ackEvery, got)
		}
		bob.conn.stall()
		w.mail("bob", 3)
		time.Sleep(time.Second)
		if got := w.store.cursor("bob", ""); got != 3 {
			t.Errorf("what the network has not taken counts as delivered: the cursor is %d", got)
		}
		bob.conn.release(nil)
		time.Sleep(time.Second)
		if got := w.store.cursor("bob", ""); got != 6 {
			t.Errorf("the cursor is %d, want 6", got)
		}
	})
}

// A new actor of the user learns from the session what the network has taken, and not what waits for it.
func TestSeedIsBroughtAgainWhatItsSocketDidNotTakeThoughItsUserFailed(t *testing.T) {
	inBubble(t, Config{PingInterval: time.Hour}, func(w *world) {
		bob := w.connect("bob")
		w.mail("bob", 2)
		bob.conn.stall()
		w.mail("bob", 3)
		w.crash("bob")
		bob.hangUp()
		time.Sleep(time.Second)
		again := w.connect("bob")
		synctest.Wait()
		if got := again.seqs(); !slices.Equal(got, upTo(3, 5)) {
			t.Errorf("connected again, bob got %v, want 3 to 5", got)
		}
	})
}

func TestSeedReportsMuchAtOnce(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		bob := w.connect("bob")
		w.mail("bob", seedWindow/2)
		if got := w.store.cursor("bob", ""); got <= seedWindow/2-reportAfter {
			t.Errorf("with %d messages written the cursor is %d, and no time has passed", seedWindow/2, got)
		}
		text := strings.Repeat("x", 50<<10)
		for range 12 {
			if _, err := w.system.Send(w.Context(), &protocol.Send{Sender: "post", Receiver: "bob", Content: text}); err != nil {
				w.Fatal(err)
			}
		}
		synctest.Wait()
		if got := len(bob.seqs()); got != seedWindow/2+12 {
			t.Errorf("without time passing bob got %d messages, want all", got)
		}
	})
}

func TestSeedIsNotBroughtAgainWhatWasWrittenBeforeAnOrderlyClose(t *testing.T) {
	for name, end := range map[string]func(w *world, bob *peer){
		"CLOSE of the client":       func(_ *world, bob *peer) { bob.link.Close(protocol.CloseNormal, "") },
		"close frame of the client": func(_ *world, bob *peer) { bob.link.Gone(protocol.CloseNormal) },
		"close of the operator": func(w *world, _ *peer) {
			_, _ = w.system.CloseUser(w.Context(), "bob", protocol.CloseNormal, "")
		},
		"drain": func(w *world, bob *peer) {
			go func() { _ = w.system.Drain(w.Context(), time.Millisecond) }()
			time.Sleep(10 * time.Millisecond)
			bob.answerClose()
			time.Sleep(time.Second)
			w.restart()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(w *world) {
				bob := w.connect("bob")
				w.mail("bob", 3)
				end(w, bob)
				synctest.Wait()
				if got := w.store.cursor("bob", ""); got != 3 {
					t.Errorf("the cursor is %d, want 3", got)
				}
				w.mail("bob", 1)
				again := w.connect("bob")
				synctest.Wait()
				if got := again.seqs(); !slices.Equal(got, upTo(4, 4)) {
					t.Errorf("connected again, bob got %v, want 4 alone", got)
				}
			})
		})
	}
}

func TestSeedIsBroughtAgainWhatASlowConsumerDidNotRead(t *testing.T) {
	inBubble(t, Config{PingInterval: time.Hour}, func(w *world) {
		bob := w.connect("bob")
		w.mail("bob", 2)
		bob.conn.stall()
		w.mail("bob", 3)
		bob.conn.release(errDeadline)
		time.Sleep(protocol.CloseTimeout + time.Second)
		if frame, _ := bob.conn.closeFrame(); frame.Code != protocol.CloseSlowConsumer || !slices.Equal(bob.seqs(), upTo(1, 2)) {
			t.Errorf("bob got %v and the close frame %+v", bob.seqs(), frame)
		}

		again := w.connect("bob")
		synctest.Wait()

		if got := again.seqs(); !slices.Equal(got, upTo(3, 5)) {
			t.Errorf("connected again, bob got %v, want 3 to 5", got)
		}
	})
}

func TestSeedIsBroughtAgainWhatABrokenSocketDidNotTake(t *testing.T) {
	inBubble(t, Config{PingInterval: time.Hour}, func(w *world) {
		bob := w.connect("bob")
		w.mail("bob", 2)
		bob.conn.stall()
		w.mail("bob", 3)
		bob.hangUp()
		time.Sleep(time.Second)
		again := w.connect("bob")
		synctest.Wait()
		if got := again.seqs(); !slices.Equal(got, upTo(3, 5)) {
			t.Errorf("connected again, bob got %v, want 3 to 5", got)
		}
	})
}

func TestClientThatDoesNotSayConnectHoldsNoSession(t *testing.T) {
	inBubble(t, Config{HandshakeTimeout: 3 * time.Second}, func(w *world) {
		mute, prompt := &peer{w: w, conn: &fakeConn{}}, w.device("bob", "phone")
		mute.link, _ = w.system.Connect(w.Context(), "bob", V1, mute.conn)
		w.mail("bob", 1)
		time.Sleep(3*time.Second - time.Millisecond)
		if _, closed := mute.conn.closeFrame(); closed || len(mute.conn.contents()) != 0 {
			t.Errorf("before its time: closed %v, got %q", closed, mute.conn.contents())
		}
		time.Sleep(2 * time.Millisecond)
		if frame, _ := mute.conn.closeFrame(); frame.Code != protocol.ClosePolicyViolation {
			t.Errorf("the close frame is %+v, want 1008", frame)
		}
		time.Sleep(protocol.CloseTimeout + time.Second)
		if _, closed := prompt.conn.closeFrame(); closed || !mute.conn.isClosed() {
			t.Errorf("who said CONNECT is closed: %v; who did not: %v", closed, mute.conn.isClosed())
		}
	})
}

func TestConnectIsAnsweredWithWhatIsGranted(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 17, MaxSessionsPerUser: 5, PingInterval: 9 * time.Second}, func(w *world) {
		w.mail("bob", 4)
		two := uint64(2)
		bob := w.v1("bob", &protocol.Connect{Device: "phone", Cursor: &two})
		got := bob.welcome()
		if got.User != "bob" || got.Device != "phone" || got.Session != fmt.Sprint(bob.number()) || got.Cursor == nil || *got.Cursor != 2 || got.Head != 4 || got.Gap != nil || got.Token != "" {
			t.Errorf("the answer is %v", got)
		}
		if l := got.Limits; l.InFlight != 17 || l.Sessions != 5 || l.PingIntervalMs != 9000 || l.FrameBytes != protocol.MaxFrameBytes || l.MissedPongs != protocol.MissedPongs {
			t.Errorf("the limits are %v", l)
		}
		if first, ok := bob.conn.arrived[0].(*protocol.Connect); !ok || first != got {
			t.Errorf("the first frame is %v", bob.conn.arrived[0])
		}
		again := uint64(0)
		bob.link.Connect(&protocol.Connect{Device: "other", Cursor: &again})
		synctest.Wait()
		if bob.welcome() != got || !slices.Equal(bob.seqs(), upTo(3, 4)) {
			t.Errorf("a second CONNECT was heard: %v", bob.conn.arrived)
		}
		w.mail("bob", 1)
		if got := bob.seqs(); !slices.Equal(got, upTo(3, 5)) {
			t.Errorf("after a second CONNECT bob got %v", got)
		}
	})
}

func TestWindowIsTheClientsChoiceUpToTheMost(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", protocol.MaxWindow+10)
		for asked, want := range map[uint32]int{0: protocol.DefaultWindow, 1: 1, 7: 7, protocol.MaxWindow: protocol.MaxWindow, 1<<32 - 1: protocol.MaxWindow} {
			zero := uint64(0)
			bob := w.v1("bob", &protocol.Connect{Device: "phone", Window: asked, Cursor: &zero})
			if got := len(bob.seqs()); got != want || bob.welcome().Window != uint32(want) {
				t.Errorf("who asked for %d was granted %d and got %d, want %d", asked, bob.welcome().Window, got, want)
			}
			bob.hangUp()
			synctest.Wait()
		}
	})
}

// Who sends without an id is told that it is kept all the same, and the seed nothing.
func TestSentCarriesTheIdThePlaceAndTheTime(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, sam := w.device("alice", "phone"), w.connect("sam")
		w.mail("bob", 2)
		time.Sleep(time.Second)
		at := time.Now().UnixMilli()
		alice.sendID("bob", "hello", "x")
		sam.sendID("bob", "hello", "x")
		synctest.Wait()
		sent := of[*protocol.Sent](alice.conn)
		if len(sent) != 1 || sent[0].Id != "x" || sent[0].Seq != 3 || sent[0].At != at {
			t.Errorf("alice was told %v, want x, 3, %d", sent, at)
		}
		if got := of[*protocol.Sent](sam.conn); len(got) != 0 {
			t.Errorf("a session of the seed was told %v", got)
		}
		got := of[*protocol.Receive](w.device("bob", "phone").conn)
		if len(got) != 4 || got[2].Sender != "alice" || got[2].Id != "x" || got[2].At != at || got[2].Receiver != "bob" {
			t.Errorf("bob got %v", got)
		}
	})
}

// What a new actor of the user might send again, the session knows.
func TestSessionWritesNoMessageTwice(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		for _, bob := range []*peer{w.device("bob", "phone"), w.connect("bob")} {
			w.mail("bob", 2)
			before := bob.seqs()
			for _, again := range of[*protocol.Receive](bob.conn) {
				w.system.root.Send(bob.link.pid, again)
			}
			synctest.Wait()
			if got := bob.seqs(); !slices.Equal(got, before) {
				t.Errorf("a session got %v", got)
			}
		}
	})
}
