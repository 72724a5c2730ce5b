package actors

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

func TestIdleUserLeavesAndComesBackOnTheNextMessage(t *testing.T) {
	inBubble(t, Config{IdleAfter: 8 * time.Second}, func(w *world) {
		alice, bob := w.connect("alice"), w.connect("bob")
		bob.hangUp()
		synctest.Wait()

		time.Sleep(7 * time.Second)
		if info := w.userInfo("bob"); info.State != "active" {
			t.Errorf("before the idle time bob is %q", info.State)
		}
		time.Sleep(3 * time.Second)
		if info := w.userInfo("bob"); info.State != "" {
			t.Errorf("after the idle time bob is %q", info.State)
		}
		if got := w.users(); got != 1 {
			t.Errorf("%d users have an actor, want alice alone", got)
		}

		bob = w.connect("bob")
		alice.send("bob", "welcome back")
		synctest.Wait()
		if got := bob.conn.contents(); !slices.Equal(got, []string{"welcome back"}) {
			t.Errorf("bob got %v", got)
		}
		time.Sleep(time.Minute) // with a session nobody leaves
		if info := w.userInfo("bob"); info.State != "active" {
			t.Errorf("with a session bob is %q", info.State)
		}
		alice.link.Heard()
	})
}

func TestUserWhoIsOnlyWrittenToLeavesToo(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice := w.connect("alice")
		alice.send("ghost", "boo")
		w.bobHasLeft()
	})
}

// gate holds one actor up at the first message of type M, until it is opened.
func gate[M any](w *world, user string) (open func()) {
	held := make(chan struct{})
	var once atomic.Bool
	w.on(func(actor string, message any) {
		if _, ok := message.(M); ok && actor == user && once.CompareAndSwap(false, true) {
			<-held
		}
	})
	return func() { close(held) }
}

// leaveBob has bob's actor at the instant before it handles M on its way out.
func leaveBob[M any](w *world) (open func()) {
	bob := w.connect("bob")
	open = gate[M](w, "bob")
	bob.hangUp()
	time.Sleep(12 * time.Second)
	return open
}

func TestMailThatArrivesWhileAUserLeavesIsNotLost(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 4}, func(w *world) {
		alice := w.connect("alice")
		open := leaveBob[*mayLeave](w)
		connecting := make(chan *peer, 1)
		go func() { connecting <- w.connect("bob") }()
		synctest.Wait()
		for _, content := range []string{"1", "2", "3"} {
			alice.send("bob", content)
		}
		synctest.Wait()

		open()
		synctest.Wait()

		if got := (<-connecting).conn.contents(); !slices.Equal(got, []string{"1", "2", "3"}) {
			t.Errorf("bob got %v", got)
		}
		if got := alice.link.credits.Load(); got != 4 {
			t.Errorf("alice has %d credits, want 4", got)
		}
	})
}

// bobHasLeft checks that, with time for it, nobody but alice has an actor.
func (w *world) bobHasLeft() {
	w.Helper()
	time.Sleep(15 * time.Second)
	if got := w.users(); got != 1 {
		w.Errorf("%d users, want alice alone", got)
	}
}

func TestMailForALeavingUserWithoutSessionIsKept(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice := w.connect("alice")
		open := leaveBob[*mayLeave](w)
		alice.send("bob", "1")
		synctest.Wait()

		open()
		synctest.Wait()

		if got := w.store.contents("bob"); !slices.Equal(got, []string{"1"}) || len(alice.codes()) != 0 {
			t.Errorf("bob's inbox has %q, alice was told %v", got, alice.codes())
		}
		w.bobHasLeft()
	})
}

func TestUserWhoGotASessionWhileLeavingStays(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice := w.connect("alice")
		open := leaveBob[*rest](w)
		connecting := make(chan *peer, 1)
		go func() { connecting <- w.connect("bob") }()
		synctest.Wait()

		open()
		synctest.Wait()
		bob := <-connecting
		alice.send("bob", "stay")
		synctest.Wait()

		if got := bob.conn.contents(); !slices.Equal(got, []string{"stay"}) {
			t.Errorf("bob got %v", got)
		}
		if info := w.userInfo("bob"); info.State != "active" || len(info.Sessions) != 1 {
			t.Errorf("bob is %+v", info)
		}
	})
}

// The next actor would number what comes behind a commit that it cannot see.
func TestUserWhoIsWrittenToWhileLeavingStaysUntilThatIsKept(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		alice := w.device("alice", "phone")
		open := leaveBob[*rest](w)
		w.store.hold()
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		open() // bob asks to leave, and has a commit under way when the answer comes
		synctest.Wait()
		alice.sendID("bob", "two", "2")
		synctest.Wait()

		w.store.release()
		synctest.Wait()

		if got := alice.confirmed(); !maps.Equal(got, map[string]uint64{"1": 1, "2": 2}) || w.store.wasOfferedGaps() != 0 {
			t.Errorf("alice was confirmed %v and refused %v; %d numbers were given twice", got, alice.refused(), w.store.wasOfferedGaps())
		}
		w.bobHasLeft()
	})
}

// What an earlier actor of a user has said of leaving holds for that actor alone.
func TestWordOfAnEarlierActorChangesNothing(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice := w.connect("alice")
		w.connect("bob").hangUp()
		synctest.Wait()
		shard, earlier := w.system.ring.Load().road("bob").pid, w.system.actors.NewLocalPID(w.userInfo("bob").Actor)
		w.crash("bob")
		next := w.userInfo("bob").Actor

		w.system.root.Send(shard, &leave{"bob", earlier})
		synctest.Wait()
		if got := w.userInfo("bob"); next == earlier.Id || got.Actor != next || got.State != "active" {
			t.Errorf("the earlier actor wants to leave, and bob, who was %s, is %+v", next, got)
		}

		open := gate[*mayLeave](w, "bob")
		time.Sleep(12 * time.Second)
		w.system.root.Send(shard, &stay{"bob", earlier})
		alice.send("bob", "1")
		synctest.Wait()
		open()
		synctest.Wait()
		if got := w.store.contents("bob"); !slices.Equal(got, []string{"1"}) {
			t.Errorf("the earlier actor wants to stay, and of the mail for bob, who leaves, is kept %q", got)
		}
	})
}

func TestMailHeldForAUserWhoStaysFollows(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice := w.connect("alice")
		w.connect("bob").hangUp()
		resting, leaving := make(chan struct{}), make(chan struct{})
		w.on(func(actor string, message any) {
			switch message.(type) {
			case *rest:
				<-resting
			case *mayLeave:
				<-leaving
			}
		})
		time.Sleep(12 * time.Second)
		connecting := make(chan *peer, 1)
		go func() { connecting <- w.connect("bob") }()
		synctest.Wait()
		close(resting) // bob has asked to leave, and has got a session since
		synctest.Wait()
		alice.send("bob", "1")
		alice.send("bob", "2")
		synctest.Wait()

		close(leaving)
		synctest.Wait()

		bob := <-connecting
		alice.send("bob", "3")
		synctest.Wait()
		if got := bob.conn.contents(); !slices.Equal(got, []string{"1", "2", "3"}) {
			t.Errorf("bob got %v", got)
		}
	})
}

// What the failed actor had not come to goes before what came while it ended.
func TestMailThatArrivesDuringARecoveryKeepsItsOrder(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, bob := w.connect("alice"), w.connect("bob")
		failing, stopping := make(chan struct{}), make(chan struct{})
		w.on(func(name string, message any) {
			switch message := message.(type) {
			case *protocol.Send:
				if name == "bob" && message.Content == "fatal" { // the shard, too, comes by it
					<-failing
					panic("crash on purpose")
				}
			case *actor.Stopped: // it has no address any more
				if name == "bob" {
					<-stopping
				}
			}
		})
		for _, content := range []string{"fatal", "1", "2"} {
			alice.send("bob", content)
		}
		synctest.Wait()
		close(failing)
		synctest.Wait()
		alice.send("bob", "3")
		alice.send("bob", "4")
		late := make(chan *peer, 1)
		go func() { late <- w.connect("bob") }()
		synctest.Wait()

		close(stopping)
		synctest.Wait()

		want := []string{"1", "2", "3", "4"}
		if got := bob.conn.contents(); !slices.Equal(got, want) {
			t.Errorf("bob got %v, want %v", got, want)
		}
		if got := (<-late).conn.contents(); !slices.Equal(got, want) {
			t.Errorf("bob's session that came meanwhile got %v, want %v", got, want)
		}
	})
}

func TestCrashOfAUserKeepsSocketsAndTheMailBehindIt(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 40}, func(w *world) {
		alice, bob1, bob2 := w.connect("alice"), w.connect("bob"), w.connect("bob")
		held := make(chan struct{})
		w.on(func(actor string, message any) {
			if send, ok := message.(*protocol.Send); ok && actor == "bob" && send.Content == "fatal" {
				<-held
				panic("crash on purpose")
			}
		})
		var want []string
		for i := range 10 {
			want = append(want, fmt.Sprint(i))
			alice.send("bob", fmt.Sprint(i))
		}
		synctest.Wait()
		alice.sendID("bob", "fatal", "13")
		for i := range 10 {
			want = append(want, fmt.Sprint("behind ", i))
			alice.send("bob", fmt.Sprint("behind ", i))
		}
		synctest.Wait()

		close(held)
		synctest.Wait()

		for _, bob := range []*peer{bob1, bob2} {
			if got := bob.conn.contents(); !slices.Equal(got, want) {
				t.Errorf("bob got %v", got)
			}
			if bob.conn.isClosed() {
				t.Error("bob's socket is closed")
			}
		}
		got := of[*protocol.Error](alice.conn)
		if len(got) != 1 || got[0].Id != "13" || got[0].Code != string(protocol.CodeInternal) {
			t.Errorf("alice got %v", got)
		}
		if got := alice.link.credits.Load(); got != 40 {
			t.Errorf("alice has %d credits, want 40", got)
		}
		if tree := w.tree(); tree.Failures != 1 || tree.Gateway.Sessions != 3 {
			t.Errorf("tree %+v", tree)
		}
	})
}

// Whatever the message in hand was, the user goes on and nobody hangs.
func TestCrashOnAnyMessageLeavesTheUserReachable(t *testing.T) {
	for name, is := range map[string]func(any) bool{
		"Started":      func(m any) bool { _, ok := m.(*actor.Started); return ok },
		"attach":       func(m any) bool { _, ok := m.(*attach); return ok },
		"detach":       func(m any) bool { _, ok := m.(*detach); return ok },
		"ack":          func(m any) bool { _, ok := m.(*ack); return ok },
		"describeUser": func(m any) bool { _, ok := m.(*describeUser); return ok },
		"rest":         func(m any) bool { _, ok := m.(*rest); return ok },
		"mayLeave":     func(m any) bool { _, ok := m.(*mayLeave); return ok },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(w *world) {
				alice := w.connect("alice")
				var crashed atomic.Bool
				w.on(func(actor string, message any) {
					if actor == "bob" && is(message) && crashed.CompareAndSwap(false, true) {
						panic("crash on purpose")
					}
				})
				bob := w.connect("bob")
				alice.send("bob", "before")
				time.Sleep(time.Second)
				_, _ = w.system.DescribeUser(w.Context(), "bob")
				bob.hangUp()
				_, _ = w.system.CloseUser(w.Context(), "bob", protocol.CloseNormal, "")
				time.Sleep(15 * time.Second)
				if !crashed.Load() {
					t.Fatal("nothing crashed")
				}

				bob = w.connect("bob")
				alice.send("bob", "hello")
				synctest.Wait()
				if got := bob.conn.contents(); !slices.Contains(got, "hello") {
					t.Errorf("bob got %v", got)
				}
				bob.hangUp()
				time.Sleep(25 * time.Second)
				if got := w.users(); got != 1 {
					t.Errorf("%d users, want alice alone", got)
				}
			})
		})
	}
}

func TestRepeatedFailureParksAUserForAGrowingWhile(t *testing.T) {
	config := Config{Intensity: Intensity{Failures: 2, Window: time.Minute, Park: time.Second, MaxPark: 4 * time.Second}}
	inBubble(t, config, func(w *world) {
		alice, bob := w.connect("alice"), w.connect("bob")
		w.crashOn("bob", "fatal")
		alice.send("bob", "fatal 1")
		alice.send("bob", "fatal 2")
		synctest.Wait()
		if info := w.userInfo("bob"); info.State != "active" {
			t.Fatalf("after two failures bob is %q", info.State)
		}

		for i, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
			alice.send("bob", fmt.Sprint("fatal again ", i))
			synctest.Wait()
			parkedAt := time.Now()
			if info := w.userInfo("bob"); info.State != "parked" || len(info.Sessions) != 1 {
				t.Fatalf("bob is %+v", info)
			}
			before := len(alice.codes())
			alice.send("bob", "anybody?")
			synctest.Wait()
			if got := alice.codes()[before:]; !slices.Equal(got, []protocol.ErrorCode{protocol.CodeUnavailable}) {
				t.Errorf("while bob is parked alice got %v", got)
			}
			if late, err := w.tryConnect("bob"); !isCode(err, ErrUnavailable) {
				t.Errorf("while bob is parked a session got %v", err)
			} else {
				synctest.Wait()
				late.answerClose()
			}
			for w.userInfo("bob").State == "parked" {
				time.Sleep(10 * time.Millisecond)
			}
			if took := time.Since(parkedAt); took < want*3/4 || took > want*5/4+20*time.Millisecond {
				t.Errorf("bob was parked for %v, want %v give or take a quarter", took, want)
			}
			alice.send("bob", "hello")
			synctest.Wait()
			if got := bob.conn.contents(); len(got) == 0 || got[len(got)-1] != "hello" {
				t.Errorf("after the rest bob got %v", got)
			}
		}
		if bob.conn.isClosed() || len(bob.conn.contents()) != 4 {
			t.Errorf("bob's socket is closed: %v, got %v", bob.conn.isClosed(), bob.conn.contents())
		}
		if got := alice.link.credits.Load(); got != protocol.MaxInFlight {
			t.Errorf("alice has %d credits", got)
		}
	})
}

// Who fails again soon after a rest that was longer than the window has not been well in between.
func TestWindowBeginsWhenTheRestIsOver(t *testing.T) {
	config := Config{Intensity: Intensity{Failures: 1, Window: time.Second, Park: 8 * time.Second, MaxPark: time.Minute}}
	inBubble(t, config, func(w *world) {
		alice := w.connect("alice")
		w.connect("bob")
		w.crashOn("bob", "fatal")
		alice.send("bob", "fatal 1")
		alice.send("bob", "fatal 2")
		synctest.Wait()
		if info := w.userInfo("bob"); info.State != "parked" {
			t.Fatalf("after two failures bob is %q", info.State)
		}
		for w.userInfo("bob").State == "parked" {
			time.Sleep(10 * time.Millisecond)
		}
		alice.send("bob", "fatal 3")
		synctest.Wait()
		if info := w.userInfo("bob"); info.State != "parked" || info.Failures != 3 {
			t.Errorf("after a third failure, at once after the rest, bob is %q with %d failures", info.State, info.Failures)
		}
	})
}

func TestParkedUserCanBeClosed(t *testing.T) {
	config := Config{Intensity: Intensity{Failures: 1, Park: 10 * time.Second}}
	inBubble(t, config, func(w *world) {
		alice, bob := w.connect("alice"), w.connect("bob")
		w.crashOn("bob", "fatal")
		alice.send("bob", "fatal 1")
		alice.send("bob", "fatal 2")
		synctest.Wait()

		n, err := w.system.CloseUser(w.Context(), "bob", protocol.CloseNormal, "bye")
		synctest.Wait()

		if n != 1 || err != nil {
			t.Errorf("closed %d, %v", n, err)
		}
		if frame, _ := bob.conn.closeFrame(); frame.Reason != "bye" {
			t.Errorf("close frame %+v", frame)
		}
		bob.answerClose()
		time.Sleep(time.Minute)
		if got := w.users(); got != 1 {
			t.Errorf("%d users, want alice alone", got)
		}
	})
}

// What is held for an actor that failed may be all that its successor ever gets.
func TestSuccessorWithoutSessionLeaves(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.connect("bob").hangUp()
		held := make(chan struct{})
		w.on(func(actor string, message any) {
			if _, ok := message.(*protocol.Send); ok && actor == "bob" {
				<-held
				panic("crash on purpose")
			}
		})
		synctest.Wait()
		w.connect("alice").send("bob", "fatal")
		go func() { _, _ = w.system.CloseUser(w.Context(), "bob", protocol.CloseNormal, "") }()
		synctest.Wait()

		close(held)
		time.Sleep(15 * time.Second)

		if got := w.users(); got != 1 {
			t.Errorf("%d users, want alice alone", got)
		}
	})
}

func TestParkGrowsToItsBound(t *testing.T) {
	i := Intensity{Failures: 3, Park: 100 * time.Millisecond, MaxPark: 30 * time.Second}
	for failures, want := range map[int]time.Duration{
		1: 0, 3: 0, 4: 100 * time.Millisecond, 5: 200 * time.Millisecond, 6: 400 * time.Millisecond,
		20: 30 * time.Second, 34: 30 * time.Second, 35: 30 * time.Second, 1000: 30 * time.Second,
	} {
		for range 100 {
			if got := i.park(failures); got < want*3/4 || got > want*5/4 {
				t.Fatalf("after %d failures %v, want %v give or take a quarter", failures, got, want)
			}
		}
	}
}

func TestCrashOfASessionClosesItsSocketAlone(t *testing.T) {
	for _, where := range []string{"receive", "write", "started"} {
		t.Run(where, func(t *testing.T) {
			inBubble(t, Config{}, func(w *world) {
				alice, bob1 := w.connect("alice"), w.connect("bob")
				bob2 := &peer{w: w, conn: &fakeConn{}}
				switch where {
				case "write":
					bob2.conn.onWrite = func(protocol.Message) { panic("crash on purpose") }
				case "receive":
					w.on(func(actor string, message any) {
						if _, ok := message.(*protocol.Receive); ok && actor == "gateway/3" {
							panic("crash on purpose")
						}
					})
				case "started":
					w.on(func(name string, message any) {
						if _, ok := message.(*actor.Started); ok && name == "gateway/3" {
							panic("crash on purpose")
						}
					})
				}
				var err error
				bob2.link, err = w.system.Connect(w.Context(), "bob", Seed, bob2.conn)
				if (err != nil) != (where == "started") {
					t.Fatal(err)
				}

				alice.send("bob", "1")
				alice.send("bob", "2")
				synctest.Wait()

				if got := bob1.conn.contents(); !slices.Equal(got, []string{"1", "2"}) || bob1.conn.isClosed() {
					t.Errorf("the other session got %v, closed: %v", got, bob1.conn.isClosed())
				}
				if where != "started" && !bob2.conn.isClosed() {
					t.Error("the socket of the session that failed is open")
				}
				if info := w.userInfo("bob"); len(info.Sessions) != 1 {
					t.Errorf("bob's sessions are %v", info.Sessions)
				}
				if tree := w.tree(); tree.Failures != 0 || tree.Gateway.Sessions != 2 {
					t.Errorf("tree %+v", tree)
				}
			})
		})
	}
}

// A message that no case can take, a nil one, stands in for a fault in the code.
func TestShardAndGatewaySurviveAPanic(t *testing.T) {
	inBubble(t, Config{Shards: 1}, func(w *world) {
		alice, bob := w.connect("alice"), w.connect("bob")

		_, err := askUser[*UserInfo](w.Context(), w.system, "bob", (*describeUser)(nil))
		if !isCode(err, ErrInternal) {
			t.Errorf("who asked was answered %v", err)
		}
		if _, err := ask[*sessionPage](w.Context(), w.system, w.system.gateway, (*listSessions)(nil)); !isCode(err, ErrInternal) {
			t.Errorf("who asked was answered %v", err)
		}

		alice.send("bob", "hello")
		synctest.Wait()
		if got := bob.conn.contents(); !slices.Equal(got, []string{"hello"}) {
			t.Errorf("bob got %v", got)
		}
		w.connect("carol")
		if got := w.tree().Survived; got != 2 {
			t.Errorf("%d panics survived, want 2", got)
		}
	})
}

func TestAskGivesUpWithItsContext(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.connect("bob")
		open := gate[*protocol.Send](w, "bob")
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		if _, err := w.system.Send(ctx, &protocol.Send{Sender: "op", Receiver: "bob"}); err == nil || ctx.Err() == nil {
			t.Errorf("err %v", err)
		}
		open()
		synctest.Wait()
		for _, name := range w.actors() {
			if name[0] == '$' {
				t.Errorf("the question %s is left", name)
			}
		}
	})
}
