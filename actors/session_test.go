package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

func TestSenderWithoutCreditsWaitsForAnswers(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 3}, func(w *world) {
		alice, bob := w.connect("alice"), w.connect("bob")
		open := gate[*protocol.Send](w, "bob")
		var passed atomic.Int32
		go func() {
			for i := range 10 {
				alice.send("bob", fmt.Sprint(i))
				passed.Add(1)
			}
		}()
		synctest.Wait()
		if got := passed.Load(); got != 3 {
			t.Errorf("with 3 credits %d sends were passed on", got)
		}

		open()
		synctest.Wait()

		if got := len(bob.conn.contents()); passed.Load() != 10 || got != 10 {
			t.Errorf("%d sends were passed on and %d arrived, want 10", passed.Load(), got)
		}
		if got := alice.link.credits.Load(); got != 3 {
			t.Errorf("alice has %d credits, want 3", got)
		}
		if got := w.system.Metrics().Limits[LimitInFlight]; got == 0 {
			t.Error("nobody is told that the limit acted")
		}
	})
}

// The end of Connect and the first credit share a channel: a word that was meant
// for the one must not pass for the other.
func TestSendsInFlightAreBoundedFromTheFirst(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 1}, func(w *world) {
		w.connect("bob")
		alice := w.connect("alice")
		alice.link.signal() // as settle does when Connect has already looked
		open := gate[*protocol.Send](w, "bob")
		var passed atomic.Int32
		go func() {
			for range 3 {
				alice.send("bob", "x")
				passed.Add(1)
			}
		}()
		synctest.Wait()
		if got := passed.Load(); got != 1 {
			t.Errorf("with 1 credit %d sends were passed on", got)
		}
		open()
		synctest.Wait()
		if got := passed.Load(); got != 3 {
			t.Errorf("%d sends were passed on, want 3", got)
		}
	})
}

// The seed's fault 5: a sender could hang for ever.
func TestSenderThatWaitsIsReleasedWhenItsSessionEnds(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 1}, func(w *world) {
		w.connect("bob")
		alice := w.connect("alice")
		open := gate[*protocol.Send](w, "bob")
		defer open()
		alice.send("bob", "1")
		released := make(chan bool, 1)
		go func() { released <- alice.send("bob", "2") }()
		synctest.Wait()

		n, err := w.system.CloseSession(w.Context(), "alice", alice.number(), protocol.CloseNormal, "")
		if !n || err != nil {
			t.Fatalf("close: %v, %v", n, err)
		}
		time.Sleep(protocol.CloseTimeout + time.Second)

		select {
		case ok := <-released:
			if ok {
				t.Error("a send of an ended session passes for sent")
			}
		default:
			t.Error("the sender waits still")
		}
	})
}

func TestRefusalsAndPongsTakeCredits(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 2}, func(w *world) {
		alice := w.connect("alice")
		for i := range 10 {
			alice.link.Ping([]byte{byte(i)})
			alice.link.Refuse(&protocol.Error{Code: string(protocol.CodeUnknownType)})
		}
		synctest.Wait()

		controls := of[Control](alice.conn)
		for i, pong := range controls {
			if pong.Op != OpPong || pong.Payload[0] != byte(i) {
				t.Errorf("control frame %d is %+v", i, pong)
			}
		}
		if len(controls) != 10 || len(alice.codes()) != 10 || alice.link.credits.Load() != 2 {
			t.Errorf("%d pongs, %d refusals, %d credits", len(controls), len(alice.codes()), alice.link.credits.Load())
		}
	})
}

// The seed's fault 4: a slow receiver blocked every sender.
func TestStalledSessionWaitsInTheInboxAndDelaysNobody(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, slow, fast, carol := w.connect("alice"), w.connect("bob"), w.connect("bob"), w.connect("carol")
		slow.conn.stall()
		content := strings.Repeat("x", 32<<10)
		n := 2 * protocol.MaxWaitingBytes / len(content)
		start := time.Now()
		for range n {
			alice.send("bob", content)
			alice.send("carol", "meanwhile")
		}
		synctest.Wait()

		if len(fast.conn.contents()) != n || len(carol.conn.contents()) != n || time.Since(start) != 0 {
			t.Errorf("bob's other session got %d, carol %d of %d after %v",
				len(fast.conn.contents()), len(carol.conn.contents()), n, time.Since(start))
		}
		if waiting := slow.conn.bytes; waiting > protocol.MaxWindowBytes+len(content) {
			t.Errorf("%d bytes wait for the stalled peer", waiting)
		}
		slow.conn.release(nil)
		synctest.Wait()
		if got := len(slow.conn.contents()); got != n {
			t.Errorf("after the stall the session got %d of %d", got, n)
		}
	})
}

func TestStallThatEndsInTimeLosesNothing(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, bob := w.connect("alice"), w.connect("bob")
		bob.conn.stall()
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprint(i))
			alice.send("bob", fmt.Sprint(i))
		}
		time.Sleep(5 * time.Second)
		bob.conn.release(nil)
		alice.send("bob", "last")
		synctest.Wait()
		if got := bob.conn.contents(); !slices.Equal(got, append(want, "last")) {
			t.Errorf("bob got %v", got)
		}
	})
}

func TestSessionWhoseWriteMissesItsDeadlineIsClosedAsSlow(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, bob := w.connect("alice"), w.connect("bob")
		bob.conn.stall()
		alice.send("bob", "1")
		synctest.Wait()

		bob.conn.release(errDeadline)
		synctest.Wait()

		if frame, _ := bob.conn.closeFrame(); frame.Code != protocol.CloseSlowConsumer {
			t.Errorf("close frame %+v", frame)
		}
		time.Sleep(protocol.CloseTimeout + time.Second)
		if !bob.conn.isClosed() {
			t.Error("the socket is open")
		}
	})
}

// A window bounds what comes for a peer, and nothing the answers to what it sends itself: what
// waits for one that does not read them is bounded too.
func TestSessionThatSendsAndDoesNotReadIsClosedAsSlow(t *testing.T) {
	inBubble(t, Config{MaxWaitingBytes: protocol.MaxFrameBytes}, func(w *world) {
		alice := w.device("alice", "phone")
		alice.conn.stall()
		most := 0
		for range 2 * protocol.MaxFrameBytes / 64 {
			alice.send("bob", "hello")
			synctest.Wait()
			most = max(most, alice.conn.bytes)
		}
		if most > protocol.MaxFrameBytes+64 || most < protocol.MaxFrameBytes/2 {
			t.Errorf("%d bytes waited for the peer, and %d may", most, protocol.MaxFrameBytes)
		}

		alice.conn.release(nil)
		synctest.Wait()

		if frame, _ := alice.conn.closeFrame(); frame.Code != protocol.CloseSlowConsumer {
			t.Errorf("close frame %+v", frame)
		}
	})
}

func TestSessionWhoseSocketBreaksEndsAtOnce(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, bob := w.connect("alice"), w.connect("bob")
		bob.conn.stall()
		alice.send("bob", "1")
		synctest.Wait()
		bob.conn.release(io.ErrClosedPipe)
		synctest.Wait()
		if !bob.conn.isClosed() || w.tree().Gateway.Sessions != 1 {
			t.Errorf("closed: %v, %d sessions", bob.conn.isClosed(), w.tree().Gateway.Sessions)
		}
	})
}

// The seed's fault 9: a dead peer stayed "connected" for ever.
func TestSilentPeerIsGivenUpAfterTwoMissedPongs(t *testing.T) {
	inBubble(t, Config{PingInterval: 25 * time.Second}, func(w *world) {
		alive, dead := w.connect("alice"), w.connect("bob")
		for range 200 {
			time.Sleep(time.Second)
			alive.link.Heard()
		}
		if frame, closed := alive.conn.closeFrame(); closed {
			t.Errorf("who was heard got %+v", frame)
		}
		if got := alive.conn.pings(); got != 8 {
			t.Errorf("who was heard got %d pings in 200 s, want 8", got)
		}
		frame, _ := dead.conn.closeFrame()
		if frame.Code != protocol.CloseHeartbeatTimeout || dead.conn.pings() != protocol.MissedPongs || !dead.conn.isClosed() {
			t.Errorf("who was silent got %d pings and %+v, closed: %v", dead.conn.pings(), frame, dead.conn.isClosed())
		}
		if info := w.userInfo("bob"); len(info.Sessions) != 0 {
			t.Errorf("bob is connected still: %+v", info)
		}
	})
}

func TestPeerThatMissesOnePongLives(t *testing.T) {
	inBubble(t, Config{PingInterval: 25 * time.Second}, func(w *world) {
		bob := w.connect("bob")
		for range 10 { // heard once in 45 s: never two pings in a row unanswered
			time.Sleep(45 * time.Second)
			bob.link.Heard()
		}
		if frame, closed := bob.conn.closeFrame(); closed {
			t.Errorf("bob got %+v", frame)
		}
	})
}

func TestCloseFromTheClientIsTheClosingHandshake(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, bob := w.connect("alice"), w.connect("bob")
		alice.send("bob", "before")
		alice.link.Close(protocol.CloseNormal, "")
		synctest.Wait()

		if frame, _ := alice.conn.closeFrame(); frame.Code != protocol.CloseNormal {
			t.Errorf("close frame %+v", frame)
		}
		if alice.conn.isClosed() {
			t.Error("the socket was closed before the peer's close frame")
		}
		alice.answerClose()
		synctest.Wait()
		if !alice.conn.isClosed() || w.tree().Gateway.Sessions != 1 {
			t.Error("the session is there still")
		}
		if got := bob.conn.contents(); !slices.Equal(got, []string{"before"}) {
			t.Errorf("bob got %v", got)
		}
		if alice.send("bob", "after") {
			t.Error("an ended session sends")
		}
	})
}

// What a client says of its end comes back to it, and is what the operator finds.
func TestCloseFromTheClientKeepsItsWords(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		closes, frames := w.v1("bob", &protocol.Connect{Device: "phone"}), w.v1("bob", &protocol.Connect{Device: "tablet"})
		closed := w.v1("bob", &protocol.Connect{Device: "watch"})
		closes.link.Close(4711, "the battery is low")
		synctest.Wait()
		if frame, _ := closes.conn.closeFrame(); frame.Code != 4711 || frame.Reason != "the battery is low" {
			t.Errorf("close frame %+v", frame)
		}
		closes.answerClose()
		synctest.Wait()
		frames.link.Gone(protocol.CloseSlowConsumer) // says the client
		synctest.Wait()
		if _, err := w.system.CloseUser(w.Context(), "bob", protocol.CloseByOperator, "enough"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		closed.link.Close(3000, "too late")
		closed.answerClose()
		synctest.Wait()

		look, err := w.system.LookUser(w.Context(), "bob")
		if err != nil || len(look.Closes) != 3 {
			t.Fatalf("%+v, %v", look, err)
		}
		for i, want := range []Closing{
			{Device: "watch", Code: protocol.CloseByOperator, Reason: "enough"},
			{Device: "tablet", Code: protocol.CloseSlowConsumer, ByPeer: true},
			{Device: "phone", Code: 4711, Reason: "the battery is low", ByPeer: true},
		} {
			got := look.Closes[i]
			if got.Device != want.Device || got.Code != want.Code || got.Reason != want.Reason || got.ByPeer != want.ByPeer {
				t.Errorf("remembered is %+v, want %+v", got, want)
			}
		}
	})
}

func TestCloseFrameOfThePeerIsAnswered(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		bob := w.connect("bob")
		bob.link.Gone(protocol.CloseGoingAway)
		synctest.Wait()
		if frame, _ := bob.conn.closeFrame(); frame.Code != protocol.CloseGoingAway || !bob.conn.isClosed() {
			t.Errorf("close frame %+v, closed %v", frame, bob.conn.isClosed())
		}
	})
}

func TestBreachOfTheProtocolIsToldByTheCloseFrame(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		bob := w.connect("bob")
		bob.link.Fail(protocol.CloseTooBig, "too_large")
		bob.link.Fail(protocol.CloseProtocolError, "the first one counts")
		synctest.Wait()
		if frame, _ := bob.conn.closeFrame(); frame.Code != protocol.CloseTooBig || frame.Reason != "too_large" {
			t.Errorf("close frame %+v", frame)
		}
	})
}

func TestPeerThatDoesNotAnswerTheCloseFrameIsCut(t *testing.T) {
	inBubble(t, Config{CloseTimeout: 3 * time.Second}, func(w *world) {
		bob := w.connect("bob")
		bob.link.Close(protocol.CloseNormal, "")
		time.Sleep(2 * time.Second)
		if bob.conn.isClosed() {
			t.Error("cut before its time")
		}
		time.Sleep(2 * time.Second)
		if !bob.conn.isClosed() {
			t.Error("not cut")
		}
	})
}

func TestCloseUserClosesAllAndCloseSessionOne(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		bobs := []*peer{w.connect("bob"), w.connect("bob"), w.connect("bob")}
		carol := w.connect("carol")

		found, err := w.system.CloseSession(w.Context(), "bob", bobs[1].number(), protocol.CloseNormal, "one")
		synctest.Wait()
		if frame, _ := bobs[1].conn.closeFrame(); !found || err != nil || frame.Reason != "one" {
			t.Errorf("found %v, %v, frame %+v", found, err, frame)
		}
		if _, closed := bobs[0].conn.closeFrame(); closed {
			t.Error("another session was closed too")
		}
		bobs[1].answerClose()
		synctest.Wait()

		n, err := w.system.CloseUser(w.Context(), "bob", protocol.CloseGoingAway, "all")
		synctest.Wait()
		for _, bob := range []*peer{bobs[0], bobs[2]} {
			if frame, _ := bob.conn.closeFrame(); frame.Code != protocol.CloseGoingAway || frame.Reason != "all" {
				t.Errorf("frame %+v", frame)
			}
			bob.answerClose()
		}
		synctest.Wait()
		if n != 2 || err != nil || len(w.userInfo("bob").Sessions) != 0 {
			t.Errorf("closed %d, %v; left %v", n, err, w.userInfo("bob").Sessions)
		}
		if _, closed := carol.conn.closeFrame(); closed {
			t.Error("carol was closed too")
		}
		if found, err := w.system.CloseSession(w.Context(), "bob", 99, protocol.CloseNormal, ""); found || err != nil {
			t.Errorf("a session that is not there: %v, %v", found, err)
		}
		if n, err := w.system.CloseUser(w.Context(), "nobody", protocol.CloseNormal, ""); n != 0 || err != nil {
			t.Errorf("a user who is not there: %v, %v", n, err)
		}
	})
}

// The seed's fault 11: at the end every socket was cut.
func TestDrainClosesEvenlyAndOpensNoMore(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		const over = 10 * time.Second
		var peers []*peer
		for i := range 200 {
			peers = append(peers, w.connect(fmt.Sprint(i)))
		}
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- w.system.Drain(w.Context(), over) }()

		told := func() (n int) {
			for _, p := range peers {
				if frame, ok := p.conn.closeFrame(); ok {
					if n++; frame.Code != protocol.CloseGoingAway {
						t.Errorf("close frame %+v", frame)
					}
				}
			}
			return n
		}
		synctest.Wait()
		if _, err := w.tryConnect("late"); !isCode(err, ErrDraining) {
			t.Errorf("who comes late gets %v", err)
		}
		for second := 1; second < 10; second++ {
			time.Sleep(time.Second)
			synctest.Wait()
			if got := told(); got < 20*second-10 || got > 20*second+10 {
				t.Errorf("after %d s %d are told, want about %d", second, got, 20*second)
			}
		}
		time.Sleep(time.Second)
		for _, p := range peers {
			if !p.conn.isClosed() {
				p.answerClose()
			}
		}
		if err := <-done; err != nil || time.Since(start) > over+time.Second {
			t.Errorf("drain: %v after %v", err, time.Since(start))
		}
		if tree := w.tree(); tree.Gateway.Sessions != 0 || !tree.Gateway.Draining || tree.Ended != 200 {
			t.Errorf("tree %+v", tree)
		}
	})
}

func TestDrainEndsWithItsContext(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		bob := w.connect("bob")
		bob.conn.stall()
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		if err := w.system.Drain(ctx, time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("drain: %v", err)
		}
	})
}

func TestStopEndsEveryActorAndReleasesEverySender(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 1}, func(w *world) { // that no actor is left the bubble's end checks
		var peers []*peer
		for i := range 20 {
			peers = append(peers, w.connect(fmt.Sprint(i%10)))
		}
		for _, p := range peers {
			go func() {
				for p.send("3", "x") {
					time.Sleep(time.Millisecond)
				}
			}()
		}
		time.Sleep(time.Second)
		w.stop()
		for _, p := range peers {
			if !p.conn.isClosed() {
				t.Error("a socket is open after the stop")
			}
		}
	})
}

func TestConnectThatIsGivenUpLeavesNothingBehind(t *testing.T) {
	inBubble(t, Config{MaxSessionsPerUser: 1000}, func(w *world) {
		for range 300 {
			ctx, cancel := context.WithCancel(w.Context())
			conn := &fakeConn{}
			go cancel()
			link, err := w.system.Connect(ctx, "bob", Seed, conn)
			switch {
			case err == nil:
				link.Gone(0)
			case link != nil:
				t.Error("a link comes with the context's error")
			default:
				conn.Close()
			}
		}
		synctest.Wait()
		if n := w.tree().Gateway.Sessions; n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		if got := w.userInfo("bob").Sessions; len(got) != 0 {
			t.Errorf("bob's sessions are %v", got)
		}
	})
}

func TestConnectToAUserWhoHangsCanBeGivenUp(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		open := gate[*attach](w, "bob")
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		conn := &fakeConn{}
		if _, err := w.system.Connect(ctx, "bob", Seed, conn); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("connect: %v", err)
		}
		open()
		synctest.Wait()
		if n := w.tree().Gateway.Sessions; n != 0 || !conn.isClosed() {
			t.Errorf("%d sessions are left, closed: %v", n, conn.isClosed())
		}
	})
}

func TestBurstCostsOneFlush(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, bob := w.connect("alice"), w.connect("bob")
		held := make(chan struct{})
		var once atomic.Bool
		w.on(func(actor string, message any) {
			if _, ok := message.(*protocol.Receive); ok && actor == "gateway/2" && once.CompareAndSwap(false, true) {
				<-held
			}
		})
		synctest.Wait()
		before := bob.conn.flushes
		for range 100 {
			alice.send("bob", "x")
		}
		synctest.Wait()
		close(held)
		synctest.Wait()
		if got := bob.conn.flushes - before; got != 1 || len(bob.conn.contents()) != 100 {
			t.Errorf("%d flushes for %d messages", got, len(bob.conn.contents()))
		}
	})
}

func TestDescribeIsTrue(t *testing.T) {
	inBubble(t, Config{Shards: 3}, func(w *world) {
		w.connect("alice")
		bob1, bob2 := w.connect("bob"), w.connect("bob")
		synctest.Wait() // the gateway counts a session after it is there
		tree := w.tree()
		if tree.Gateway.Sessions != 3 || tree.Gateway.Draining || len(tree.Shards) != 3 || tree.Opened != 3 || tree.Ended != 0 || w.users() != 2 {
			t.Errorf("tree %+v", tree)
		}
		info := w.userInfo("bob")
		if info.User != "bob" || info.State != "active" || !slices.Equal(info.Sessions, []uint64{bob1.number(), bob2.number()}) {
			t.Errorf("bob is %+v", info)
		}
		if info := w.userInfo("nobody"); info.State != "" || info.User != "nobody" || w.users() != 2 {
			t.Errorf("nobody is %+v; to ask made an actor: %v", info, w.users() != 2)
		}
	})
}

func TestConfigNamesTheFieldAndTheRemedy(t *testing.T) {
	_, err := New(Config{Shards: 5000, MaxInFlight: -1, IdleAfter: time.Microsecond})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"Shards is 5000: give 1 to 4096", "MaxInFlight is -1", "IdleAfter is 1µs: give at least 1ms"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}
