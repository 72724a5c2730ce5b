package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/mailbox"
	"callboard/protocol"
)

// mover is a user who belongs to another shard when the number changes.
func mover(from, to int) string {
	for i := 0; ; i++ {
		user := fmt.Sprint("m", i)
		if shardOf(protocol.UserID(user), from) != shardOf(protocol.UserID(user), to) {
			return user
		}
	}
}

// begin begins to change the number of shards, and lets happen what happens at once.
func (w *world) begin(shards int) Scaling {
	w.Helper()
	if _, err := w.system.Scale(w.Context(), shards, "test"); err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
	return w.system.Scaling()
}

// settles checks that the change ends.
func (w *world) settles(shards int) {
	w.Helper()
	synctest.Wait()
	if now := w.system.Scaling(); now.Phase != Settled || now.To != shards {
		w.Errorf("the change to %d shards is %+v", shards, now)
	}
}

// hold has an actor wait in its answer to a question, until it is let go.
func (w *world) hold(to *actor.PID, question any) (letGo func()) {
	held := make(holder)
	pid, _ := w.system.actors.ProcessRegistry.Add(held, w.system.actors.ProcessRegistry.NextId())
	w.system.root.Send(to, &actor.MessageEnvelope{Message: question, Sender: pid})
	synctest.Wait()
	return func() {
		close(held)
		w.system.actors.ProcessRegistry.Remove(pid)
		synctest.Wait()
	}
}

// holder is an address whose senders wait.
type holder chan struct{}

func (h holder) SendUserMessage(*actor.PID, any)   { <-h }
func (h holder) SendSystemMessage(*actor.PID, any) {}
func (h holder) Stop(*actor.PID)                   {}

// What an old ring says is not taken any more from the turn on, and the sender looks again.
func TestOldRingLeadsNobodyAstray(t *testing.T) {
	inBubble(t, Config{Shards: 2}, func(w *world) {
		for _, n := range []int{5, 1, 3} {
			old := w.system.ring.Load()
			user := mover(len(old.shards), n)
			bob := w.connect(user)
			w.scale(n)
			for _, u := range []string{user, "somebody"} {
				if old.post(protocol.UserID(u), &protocol.Send{Sender: "late", Receiver: u, Content: "lost"}) {
					t.Errorf("with %d shards a ring of %d was followed", n, len(old.shards))
				}
			}
			w.mail(user, 1)
			if got := bob.conn.contents(); len(got) == 0 || slices.Contains(got, "lost") {
				t.Errorf("%s got %q", user, got)
			}
			bob.hangUp()
		}
	})
}

// Who is refused by the old ring looks for the next one at once, and has to find it.
func TestRingIsThereBeforeTheTurn(t *testing.T) {
	inBubble(t, Config{Shards: 128, hooks: hooks{maxAway: 1}}, func(w *world) {
		var turns atomic.Int32
		w.on(func(name string, message any) {
			if msg, ok := message.(*turn); ok {
				turns.Add(1)
				if got := w.system.ring.Load(); got != msg.ring {
					t.Errorf("%s turns to ring %d while that of all is %d", name, msg.ring.version, got.version)
				}
			}
		})
		for i := range 8 {
			w.mail(name(i), 1)
		}
		w.scale(64) // the first of so many turns is handled while the last is not posted yet
		if turns.Load() < 128 {
			t.Errorf("%d turns", turns.Load())
		}
	})
}

// asker is the mailbox of an actor that passes on what comes there.
func (w *world) asker() (box *mailbox.Gated, asked chan *absent, stop func()) {
	asked, box = make(chan *absent, 1), &mailbox.Gated{}
	pid := w.system.root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		if absent, ok := ctx.Message().(*absent); ok {
			asked <- absent
		}
	}, actor.WithMailbox(func() actor.Mailbox { return box })))
	return box, asked, func() { w.system.root.Stop(pid) }
}

// A shard says that it has nothing of a user only when nothing for the user can come any
// more: what it was sent before the turn may be the first that it hears of the user.
func TestShardSaysThatAUserIsAbsentOnlyAfterItsTurn(t *testing.T) {
	inBubble(t, Config{Shards: 1}, func(w *world) {
		bob := protocol.UserID(mover(1, 2))
		goOn := w.hold(w.system.registry, &scale{shards: 2}) // the shards have prepared themselves
		last := w.system.ring.Load().shards[0].pid
		by, asked, stop := w.asker()
		defer stop()
		w.system.root.Send(last, &claim{user: bob, by: by})
		synctest.Wait()
		if len(asked) != 0 {
			t.Fatalf("before the turn the shard answers %T", <-asked)
		}
		goOn()
		if len(asked) != 1 {
			t.Fatal("after the turn the shard does not answer")
		}
		if got := <-asked; got.user != bob {
			t.Errorf("%s is absent, want %s", got.user, bob)
		}
		w.settles(2)
	})
}

// What a sender had sent by the old ring goes before what it sends by the new one, though
// the old shard is late.
func TestMailOnTheOldRoadGoesBeforeMailOnTheNew(t *testing.T) {
	inBubble(t, Config{Shards: 1, MaxInFlight: 8}, func(w *world) {
		bob, ghost := mover(1, 4), mover(1, 4)+"-ghost"
		for shardOf(protocol.UserID(ghost), 4) == 0 {
			ghost += "-"
		}
		alice := w.connect("alice")
		peer := w.connect(bob)
		goOn := w.hold(w.system.registry, &scale{shards: 4})
		late := w.hold(w.system.ring.Load().shards[0].pid, &describeShard{})
		alice.send(bob, "1")
		alice.send(ghost, "1")
		goOn()
		alice.send(bob, "2")
		alice.send(ghost, "2")
		synctest.Wait()
		if got := w.system.Scaling(); got.Phase != Moving {
			t.Errorf("while the old shard is late the change is %+v", got)
		}
		late()
		alice.send(bob, "3")
		w.settles(4)
		if got := peer.conn.contents(); !slices.Equal(got, []string{"1", "2", "3"}) {
			t.Errorf("%s got %q", bob, got)
		}
		if got := w.store.contents(ghost); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("%s, whose first message was on the old road, has %q", ghost, got)
		}
		if got := alice.link.credits.Load(); got != 8 {
			t.Errorf("alice has %d credits of 8", got)
		}
	})
}

// A shard with a long queue holds nobody up who comes to it: the user and the user's sessions go before
// the mail of all others.
func TestWhoMovesWaitsForNobodysMail(t *testing.T) {
	inBubble(t, Config{Shards: 2}, func(w *world) {
		bob, eve := mover(2, 1), "eve"
		for shardOf(protocol.UserID(eve), 2) != 0 {
			eve += "-"
		}
		alice, peer := w.connect("alice"), w.connect(bob)
		turning, leaving, mailing := make(chan struct{}), make(chan struct{}), make(chan struct{})
		mail := 0
		var handled []string
		w.on(func(name string, message any) {
			switch message.(type) {
			case *turn:
				if name == "shard/0" {
					<-turning
				} else {
					<-leaving
				}
			case *protocol.Send:
				if name == "shard/0" {
					if mail++; mail == 1 {
						<-mailing
					}
					handled = append(handled, "mail")
				}
			case *handover, *attach:
				if name == "shard/0" {
					handled = append(handled, fmt.Sprintf("%T", message))
				}
			}
		})
		w.begin(1)
		for range 3 {
			alice.send(eve, "x")
		}
		close(leaving)
		synctest.Wait()
		close(turning)
		synctest.Wait()
		close(mailing)
		w.settles(1)
		if want := []string{"*actors.handover", "mail", "*actors.attach", "mail", "mail"}; !slices.Equal(handled, want) {
			t.Errorf("the shard handled %v, want %v", handled, want)
		}
		w.mail(bob, 1)
		if got := peer.conn.contents(); !slices.Equal(got, []string{"1"}) {
			t.Errorf("%s got %q", bob, got)
		}
	})
}

// A user who fails on the way moves all the same: what the failed actor had not come to
// goes before what has come to the new shard.
func TestUserWhoFailsOnTheWayArrivesWithAllMail(t *testing.T) {
	inBubble(t, Config{Shards: 1, MaxInFlight: 8}, func(w *world) {
		bob := mover(1, 2)
		alice, seed, phone := w.connect("alice"), w.connect(bob), w.device(bob, "phone")
		failing := make(chan struct{})
		w.on(func(name string, message any) {
			if send, ok := message.(*protocol.Send); ok && name == bob && send.Content == "fatal" {
				<-failing
				panic("crash on purpose")
			}
		})
		alice.send(bob, "1")
		synctest.Wait()
		for _, content := range []string{"fatal", "2", "3"} {
			alice.send(bob, content)
		}
		w.begin(2)
		alice.send(bob, "4")
		alice.send(bob, "5")
		synctest.Wait()
		if got := w.system.Scaling(); got.Phase != Moving {
			t.Errorf("the change is %+v", got)
		}

		close(failing)
		w.settles(2)
		alice.send(bob, "6")
		synctest.Wait()

		want := []string{"1", "2", "3", "4", "5", "6"}
		if got := seed.conn.contents(); !slices.Equal(got, want) {
			t.Errorf("the seed's session got %q", got)
		}
		if got := phone.conn.contents(); !slices.Equal(got, want) {
			t.Errorf("the phone got %q", got)
		}
		if got := alice.codes(); !slices.Equal(got, []protocol.ErrorCode{protocol.CodeInternal}) {
			t.Errorf("alice was told %v", got)
		}
		if tree := w.tree(); tree.Failures != 1 || tree.Shards[0].Failures+tree.Shards[1].Failures != 1 {
			t.Errorf("the tree is %+v", tree)
		}
	})
}

func TestUserWhoIsLeavingMovesWithTheMailThatIsHeld(t *testing.T) {
	for _, gated := range []string{"goes", "stays"} {
		t.Run(gated, func(t *testing.T) {
			inBubble(t, Config{Shards: 1, MaxInFlight: 8}, func(w *world) {
				bob := mover(1, 2)
				alice := w.connect("alice")
				w.connect(bob).hangUp()
				var stayed *peer
				resting, leaving := make(chan struct{}), make(chan struct{})
				w.on(func(name string, message any) {
					switch message.(type) {
					case *rest:
						if gated == "stays" && name == bob {
							<-resting
						}
					case *mayLeave:
						if name == bob {
							<-leaving
						}
					}
				})
				time.Sleep(12 * time.Second)
				if gated == "stays" {
					alice.send(bob, "1") // behind rest, so that bob has something to do
					connecting := make(chan *peer, 1)
					go func() { connecting <- w.connect(bob) }()
					synctest.Wait()
					close(resting)
					synctest.Wait()
					stayed = <-connecting
				} else {
					alice.send(bob, "1")
				}
				alice.send(bob, "2")
				synctest.Wait()
				if got := w.begin(2); got.Phase != Moving {
					t.Errorf("the change is %+v", got)
				}
				alice.send(bob, "3")
				synctest.Wait()
				close(leaving)
				w.settles(2)
				if got := w.store.contents(bob); !slices.Equal(got, []string{"1", "2", "3"}) {
					t.Errorf("%s has %q, alice was told %v", bob, got, alice.codes())
				}
				if stayed != nil {
					if got := stayed.conn.contents(); !slices.Equal(got, []string{"1", "2", "3"}) || stayed.conn.isClosed() {
						t.Errorf("%s, who has stayed and moved, got %q, closed: %v", bob, got, stayed.conn.isClosed())
					}
					for _, s := range w.tree().Shards {
						if want := 1; s.Number == shardOf(protocol.UserID(bob), 2) && s.Users < want {
							t.Errorf("%s is not in the new shard: %+v", bob, s)
						}
					}
				}
				peer := w.connect(bob)
				synctest.Wait()
				if got := peer.conn.contents(); gated == "goes" && !slices.Equal(got, []string{"1", "2", "3"}) {
					t.Errorf("%s got %q", bob, got)
				}
				if got := alice.link.credits.Load(); got != 8 {
					t.Errorf("alice has %d credits of 8", got)
				}
			})
		})
	}
}

// A user who has nothing left to do is forgotten instead of moved, also if there is mail
// in the new shard already.
func TestUserWithNothingToMoveIsForgotten(t *testing.T) {
	inBubble(t, Config{Shards: 1}, func(w *world) {
		bob := mover(1, 2)
		alice, peer := w.connect("alice"), w.connect(bob)
		peer.hangUp()
		synctest.Wait()
		open := gate[*depart](w, bob)
		w.begin(2)
		alice.send(bob, "1") // and waits in the new shard
		synctest.Wait()
		open()
		w.settles(2)
		if got := w.store.contents(bob); !slices.Equal(got, []string{"1"}) {
			t.Errorf("%s has %q", bob, got)
		}
		time.Sleep(time.Minute)
		if got := w.users(); got != 1 {
			t.Errorf("%d users have an actor, want alice alone", got)
		}
	})
}

// Nobody is pardoned by a move: who is parked stays parked as long as the rest was to be,
// and the failures count on.
func TestParkedUserMovesAndStaysParked(t *testing.T) {
	intensity := Intensity{Failures: 1, Window: time.Hour, Park: 40 * time.Second, MaxPark: time.Hour}
	for _, when := range []string{"before", "on the way"} {
		t.Run(when, func(t *testing.T) {
			inBubble(t, Config{Shards: 1, PingInterval: time.Hour, Intensity: intensity}, func(w *world) {
				bob := mover(1, 2)
				alice, peer := w.connect("alice"), w.connect(bob)
				w.crashOn(bob, "fatal")
				alice.send(bob, "fatal")
				if when == "before" {
					alice.send(bob, "fatal again")
					synctest.Wait()
					if got := w.userInfo(bob); got.State != "parked" {
						t.Fatalf("%s is %+v", bob, got)
					}
					time.Sleep(10 * time.Second)
					w.scale(2)
				} else {
					synctest.Wait()
					failing := make(chan struct{})
					w.on(func(name string, message any) {
						if _, ok := message.(*depart); ok && name == bob {
							<-failing
							panic("crash on purpose")
						}
					})
					w.begin(2)
					close(failing)
					w.settles(2)
				}
				w.on(func(string, any) {})
				if got := w.userInfo(bob); got.State != "parked" || got.Failures != 2 || w.tree().Shards[1].Parked != 1 || w.tree().Shards[0].Parked != 0 {
					t.Errorf("after the move %s is %+v in %+v", bob, got, w.tree().Shards)
				}
				if m := w.system.Metrics(); m.Parked != 1 || m.Users != 2 {
					t.Errorf("counted are %d parked of %d users", m.Parked, m.Users)
				}
				alice.send(bob, "too soon")
				time.Sleep(19 * time.Second)
				if got := w.userInfo(bob); got.State != "parked" {
					t.Errorf("before the rest is over %s is %+v", bob, got)
				}
				time.Sleep(40 * time.Second)
				alice.send(bob, "in time")
				synctest.Wait()
				if got := peer.conn.contents(); !slices.Equal(got, []string{"in time"}) {
					t.Errorf("%s got %q", bob, got)
				}
				if got := alice.codes(); got[len(got)-1] != protocol.CodeUnavailable {
					t.Errorf("alice was told %v", got)
				}
			})
		})
	}
}

// The disk fails with messages under way, and the number of shards changes: what is
// confirmed is there, what is refused is not, and nobody is deaf.
func TestUsersMoveWhileTheDiskFails(t *testing.T) {
	onDisk(t, Config{Shards: 1, PingInterval: time.Hour, MaxInFlight: 8}, func(w *world) {
		bob := mover(1, 2)
		alice, phone := w.device("alice", "home"), w.device(bob, "phone")
		alice.sendID(bob, "kept", "1")
		synctest.Wait()
		w.store.breaks(errDisk)
		alice.sendID(bob, "refused", "2")
		synctest.Wait()
		w.begin(2)
		alice.sendID(bob, "refused too", "3")
		w.settles(2)
		w.store.breaks(nil)
		time.Sleep(5 * time.Second)
		alice.sendID(bob, "kept again", "4")
		synctest.Wait()
		if got := phone.conn.contents(); !slices.Equal(got, []string{"kept", "kept again"}) {
			t.Errorf("%s got %q", bob, got)
		}
		if got, told := alice.confirmed(), alice.refused(); len(got) != 2 || got["1"] != 1 || got["4"] != 2 || len(told) != 2 {
			t.Errorf("alice was confirmed %v and refused %v", got, told)
		}
	})
}

// A user whose commits are under way moves when they are answered, and no sooner: the
// next actor has to know where the inbox ends.
func TestUserMovesBehindItsCommits(t *testing.T) {
	onDisk(t, Config{Shards: 1, PingInterval: time.Hour, MaxInFlight: 8}, func(w *world) {
		bob := mover(1, 2)
		alice, phone := w.device("alice", "home"), w.device(bob, "phone")
		alice.sendID(bob, "0", "0")
		tablet := w.device(bob, "tablet")
		w.store.pause(time.Second)
		alice.sendID(bob, "1", "1")
		synctest.Wait()
		alice.sendID(bob, "2", "2") // numbered while the first is with the disk
		alice.sendID(bob, "1", "1") // again, and answered when that is kept
		tablet.link.Ack(1)
		tablet.hangUp()
		if got := w.begin(2); got.Phase != Moving {
			t.Errorf("with a commit under way the change is %+v", got)
		}
		alice.sendID(bob, "1", "1") // again: it has its place
		alice.sendID(bob, "3", "3")
		time.Sleep(5 * time.Second)
		w.store.pause(0)
		w.settles(2)
		if got := phone.conn.contents(); !slices.Equal(got, []string{"0", "1", "2", "3"}) {
			t.Errorf("%s got %q", bob, got)
		}
		if got := alice.confirmed(); !maps.Equal(got, map[string]uint64{"0": 1, "1": 2, "2": 3, "3": 4}) || len(alice.refused()) != 0 {
			t.Errorf("alice was confirmed %v and refused %v", got, alice.refused())
		}
		if got := len(of[*protocol.Sent](alice.conn)); got != 6 || alice.link.credits.Load() != 8 {
			t.Errorf("of 6 messages, with two repetitions, %d were answered; alice has %d credits of 8", got, alice.link.credits.Load())
		}
		if got := w.store.cursor(bob, "tablet"); got != 1 {
			t.Errorf("the cursor of the device that has gone is %d, want 1", got)
		}
	})
}

// The cursor of a device that has gone moves too, before the user does.
func TestCursorsAreKeptBeforeAMove(t *testing.T) {
	inBubble(t, Config{Shards: 1, PingInterval: time.Hour}, func(w *world) {
		bob := mover(1, 2)
		phone := w.device(bob, "phone")
		w.mail(bob, 3)
		phone.link.Ack(2)
		phone.hangUp()
		w.scale(2)
		if got := w.device(bob, "phone").seqs(); !slices.Equal(got, []uint64{3}) {
			t.Errorf("the phone got %v, want 3 alone", got)
		}
	})
}

// An ACK may come to the user's new actor before the session does, which could make
// nothing of it: the session says it again.
func TestAcksThatOvertakeTheirSessionCount(t *testing.T) {
	inBubble(t, Config{Shards: 1, PingInterval: time.Hour}, func(w *world) {
		bob := mover(1, 2)
		phone := w.v1(bob, &protocol.Connect{Window: 2})
		w.mail(bob, 4)
		phone.link.acked.Store(2) // as Ack does, and the message was for the last actor
		w.system.root.Send(phone.link.pid, &attached{})
		synctest.Wait()
		if got := phone.seqs(); !slices.Equal(got, upTo(1, 4)) {
			t.Errorf("%s got %v, want 1 to 4", bob, got)
		}
	})
}

func TestWhatShardsRememberMoves(t *testing.T) {
	inBubble(t, Config{Shards: 8, PingInterval: time.Hour}, func(w *world) {
		bob := mover(8, 1)
		alice := w.connect("alice")
		w.crashOn(bob, "fatal")
		for i := range maxClosings + 2 {
			if i == maxClosings-2 {
				w.scale(1)
			}
			p := w.device(bob, fmt.Sprint("d", i))
			if i == 0 {
				alice.send(bob, "fatal")
				synctest.Wait()
			}
			p.hangUp()
			time.Sleep(time.Second)
		}
		look, err := w.system.LookUser(w.Context(), protocol.UserID(bob))
		if err != nil || len(look.Closes) != maxClosings {
			t.Fatalf("the look at %s is %+v, %v", bob, look, err)
		}
		for i, end := range look.Closes {
			if want := fmt.Sprint("d", maxClosings+1-i); end.Device != want {
				t.Errorf("close %d was of %s, want %s", i, end.Device, want)
			}
		}
		if tree := w.tree(); len(tree.Shards) != 1 || tree.Shards[0].Failures != 1 {
			t.Errorf("the tree is %+v", tree)
		}
	})
}

func TestOneChangeOfTheNumberAtATime(t *testing.T) {
	inBubble(t, Config{Shards: 1}, func(w *world) {
		bob := mover(1, 4)
		w.connect(bob)
		open := gate[*depart](w, bob)
		if state := w.begin(4); state.Phase != Moving || state.From != 1 || state.To != 4 || state.ToMove != 1 || state.Moved != 0 {
			t.Errorf("the change is %+v", state)
		}
		if state, err := w.system.Scale(w.Context(), 8, "other"); !errors.Is(err, ErrScaling) || state.To != 4 {
			t.Errorf("a second change is answered %+v, %v", state, err)
		}
		if state, err := w.system.Scale(w.Context(), 4, "again"); err != nil || state.To != 4 || state.Phase != Moving {
			t.Errorf("the same again is answered %+v, %v", state, err)
		}
		for _, n := range []int{0, -1, MaxShards + 1} {
			if _, err := w.system.Scale(w.Context(), n, "nonsense"); err == nil {
				t.Errorf("%d shards were accepted", n)
			}
		}
		if got := w.tree(); len(got.Shards) != 4 {
			t.Errorf("on the way the tree has %d shards", len(got.Shards))
		}
		users, _, _, err := w.system.ListUsers(w.Context(), "", UserPlace{}, 10)
		if err != nil || len(users) != 1 || users[0].State != "departing" {
			t.Errorf("on the way the users are %+v, %v", users, err)
		}
		open()
		w.settles(4)
		before := w.system.Scaling()
		if state, err := w.system.Scale(w.Context(), 4, "there already"); err != nil || state != before {
			t.Errorf("the number there is, is answered %+v, %v", state, err)
		}
	})
}

// The limit of those who are only written to follows the number of shards.
func TestShareOfUsersFollowsTheNumberOfShards(t *testing.T) {
	inBubble(t, Config{Shards: 1, MaxUsers: 8}, func(w *world) {
		alice := w.device("alice", "phone")
		w.scale(8)
		w.scale(1)
		for i := range 20 {
			alice.sendID(name(i), "hello", fmt.Sprint(i))
		}
		synctest.Wait()
		if got := len(alice.confirmed()); got != 8 { // alice and 8, as one shard has room for 8 + 1
			t.Errorf("%d users were let in", got)
		}
		time.Sleep(time.Minute)
		w.scale(8)
		for i := range 200 {
			alice.sendID(name(i), "hello", fmt.Sprint("again ", i))
			synctest.Wait()
		}
		for _, s := range w.tree().Shards {
			if s.Users > 2+1 { // 8/8 + 1, and alice, who is connected
				t.Errorf("shard %d has %d users", s.Number, s.Users)
			}
		}
	})
}

func TestNumberOfShardsIsKept(t *testing.T) {
	var kept []int
	config := Config{Shards: 2, KeepShards: func(n int) error { kept = append(kept, n); return nil }}
	inBubble(t, config, func(w *world) {
		kept = nil
		w.scale(4)
		w.scale(4)
		w.scale(1)
		if !slices.Equal(kept, []int{4, 1}) {
			t.Errorf("kept %v", kept)
		}
	})
}

// Stop waits for those who are on the way, has nobody else set out, and keeps what is
// to be kept.
func TestStopInTheMiddleOfAMove(t *testing.T) {
	inBubble(t, Config{Shards: 1, PingInterval: time.Hour, hooks: hooks{maxAway: 1}}, func(w *world) {
		var phones []*peer
		for i := range 8 {
			phones = append(phones, w.device(name(i), "phone"))
			w.mail(name(i), 2)
		}
		var slow atomic.Bool
		w.on(func(_ string, message any) {
			if _, ok := message.(*depart); ok && slow.CompareAndSwap(false, true) {
				time.Sleep(3 * time.Second)
			}
		})
		if state := w.begin(4); state.Phase != Moving {
			t.Fatalf("the change is %+v", state)
		}
		for _, p := range phones {
			p.link.Ack(1)
		}
		if _, err := w.system.StartDrain(w.Context(), time.Second); err != nil {
			t.Error(err)
		}
		for i, p := range phones {
			if _, err := w.system.Send(w.Context(), &protocol.Send{Sender: "late", Receiver: name(i), Content: "on the way"}); err != nil {
				t.Errorf("a message for %s: %v", name(i), err)
			}
			p.hangUp()
		}
		w.on(func(string, any) {})
		w.restart()
		if got := w.system.Scaling(); got.Phase != Settled || got.To != 1 {
			t.Errorf("after the restart the number is %+v", got)
		}
		for i := range phones {
			if got := w.device(name(i), "phone").seqs(); !slices.Equal(got, []uint64{2, 3}) {
				t.Errorf("%s got %v, want 2 and 3", name(i), got)
			}
		}
	})
}

// Stop does not wait for those who have not set out yet.
func TestStopHasNobodyElseSetOut(t *testing.T) {
	inBubble(t, Config{Shards: 1, PingInterval: time.Hour, hooks: hooks{maxAway: 1}}, func(w *world) {
		for i := range 32 {
			w.connect(name(i))
		}
		w.on(func(_ string, message any) {
			if _, ok := message.(*depart); ok {
				time.Sleep(time.Second)
			}
		})
		if state := w.begin(4); state.Phase != Moving || state.ToMove < 16 {
			w.Fatalf("the change is %+v", state)
		}
		time.Sleep(1500 * time.Millisecond)
		w.stop()
		if state := w.system.Scaling(); state.Phase != Moving || state.Moved > 8 {
			t.Errorf("after the stop the change is %+v", state)
		}
	})
}

func TestScaleOfAServiceThatStopsIsRefused(t *testing.T) {
	inBubble(t, Config{Shards: 1}, func(w *world) {
		if _, err := ask[*halted](w.Context(), w.system, w.system.registry, &halt{}); err != nil {
			t.Error(err)
		}
		if _, err := w.system.Scale(w.Context(), 2, "late"); !isCode(err, ErrDraining) {
			t.Errorf("answered %v", err)
		}
		w.stop()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := w.system.Scale(ctx, 2, "too late"); !isCode(err, ErrDraining) {
			t.Errorf("answered %v", err)
		}
		time.Sleep(10 * time.Second) // see stop
	})
}

func TestTuneHoldsFromTheNextFailureOn(t *testing.T) {
	inBubble(t, Config{Shards: 1, PingInterval: time.Hour}, func(w *world) {
		w.connect("bob")
		if err := w.system.Tune(Intensity{Failures: 1, Park: time.Second, MaxPark: time.Millisecond}); err == nil {
			t.Error("a longest rest that is shorter than the first was accepted")
		}
		if err := w.system.Tune(Intensity{Failures: 1}); err != nil {
			t.Error(err)
		}
		w.crash("bob")
		if got := w.userInfo("bob"); got.State != "active" {
			t.Errorf("after one failure bob is %+v", got)
		}
		w.crash("bob")
		if got := w.userInfo("bob"); got.State != "parked" {
			t.Errorf("after two failures bob is %+v", got)
		}
		if got := w.tree().Intensity; got.Failures != 1 || got.Window != 10*time.Second {
			t.Errorf("the tree says %+v", got)
		}
	})
}
