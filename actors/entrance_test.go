package actors

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// slowToAttach has every session wait for its user.
func (w *world) slowToAttach(d time.Duration) {
	w.on(func(actor string, message any) {
		if _, ok := message.(*attach); ok && !strings.HasPrefix(actor, "registry/s") {
			time.Sleep(d)
		}
	})
}

// opens a session and passes on its CONNECT, without waiting for the answer.
func (w *world) opens(user string, hello *protocol.Connect) *peer {
	w.Helper()
	p := &peer{w: w, conn: &fakeConn{}}
	var err error
	if p.link, err = w.system.Connect(w.Context(), protocol.UserID(user), V1, p.conn); err != nil {
		w.Fatal(err)
	}
	if !p.link.Connect(hello) {
		w.Fatal("the session has ended before its CONNECT")
	}
	return p
}

func TestWhatIsSentWithCONNECTIsAnsweredBehindIt(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.connect("bob")
		w.slowToAttach(time.Second)
		alice := w.opens("alice", &protocol.Connect{Device: "phone"})
		before := time.Now()

		alice.sendID("bob", "at once", "1")
		alice.link.Ping([]byte("there?"))
		alice.link.Refuse(&protocol.Error{Code: string(protocol.CodeInvalidMessage)})
		synctest.Wait()

		if time.Since(before) < time.Second {
			t.Error("it was passed on before the session had its user")
		}
		all := of[protocol.Message](alice.conn)
		if _, first := all[0].(*protocol.Connect); !first || len(all) != 3 || alice.confirmed()["1"] != 1 {
			t.Errorf("the client was told %v", all)
		}
		if n := alice.link.inFlight(); n != 0 {
			t.Errorf("%d credits are missing", n)
		}
	})
}

func TestWaitingForCONNECTIsNoLimitThatWasHit(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.slowToAttach(time.Second)
		alice := w.opens("alice", &protocol.Connect{})
		if n := alice.link.inFlight(); n != 0 {
			t.Errorf("%d in flight", n)
		}
		alice.sendID("bob", "at once", "1")
		synctest.Wait()
		if n := w.system.Metrics().Limits[LimitInFlight]; n != 0 {
			t.Errorf("%s was hit %d times", LimitInFlight, n)
		}
	})
}

func TestNobodySendsWithTheCONNECTThatIsRefused(t *testing.T) {
	inBubble(t, Config{MaxSessionsPerUser: 1}, func(w *world) {
		w.block("mallory", 0)
		mallory := w.opens("mallory", &protocol.Connect{})
		for _, id := range []string{"1", "2"} {
			if !mallory.sendID("bob", "in spite of it", id) {
				t.Error("the reader stops before it has seen the end")
			}
		}
		synctest.Wait()
		mallory.closedAs(protocol.CloseBlocked)

		w.v1("alice", &protocol.Connect{Device: "one"})
		alice := w.opens("alice", &protocol.Connect{Device: "two"})
		alice.sendID("bob", "one too many", "1")
		before := time.Now()
		if alice.link.Close(protocol.CloseNormal, ""); time.Since(before) > 0 {
			t.Error("who was refused waits for answers that do not come")
		}
		synctest.Wait()
		if frame, closed := alice.conn.closeFrame(); !closed || frame.Code != protocol.CloseTryAgainLater {
			t.Errorf("the close frame is %+v, %v", frame, closed)
		}
		if kept := w.store.contents("bob"); len(kept) > 0 {
			t.Errorf("bob has %q", kept)
		}
	})
}

func TestWhoIsShutOutSendsNothingMore(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		revoked := func(uint64) bool { return true }
		for code, shut := range map[protocol.CloseCode]func(p *peer){
			protocol.CloseBlocked:      func(*peer) { w.block("mallory", 0); w.unblock("mallory") },
			protocol.CloseUnauthorized: func(*peer) { _, _ = w.system.CloseTokens(w.Context(), revoked); synctest.Wait() },
			protocol.CloseTokenExpired: func(p *peer) {
				p.link.Admit(Admission{Until: time.Now(), Token: 7})
				time.Sleep(2 * protocol.PingInterval)
				synctest.Wait()
			},
		} {
			seed, v1 := w.connect("mallory"), w.v1("mallory", &protocol.Connect{Device: "phone"})
			for _, p := range []*peer{seed, v1} {
				p.link.Admit(Admission{Token: 7})
			}
			shut(seed)
			shut(v1)
			for _, p := range []*peer{seed, v1} {
				p.closedAs(code)
				for range 2 * protocol.MaxInFlight { // none of it waits
					p.sendID("bob", "in spite of it", code.String())
				}
				p.link.Ping(nil)
				p.link.Close(protocol.CloseNormal, "")
			}
			synctest.Wait()
			time.Sleep(time.Minute)
		}
		if kept := w.store.contents("bob"); len(kept) > 0 {
			t.Errorf("bob has %d messages", len(kept))
		}
	})
}
