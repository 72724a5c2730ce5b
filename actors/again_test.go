package actors

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// failFirst has the actors of a level fail the first so many times that they come to a
// message of a type, and counts how often they have. Besides, users fail on what is fatal, and
// shards take their time for a turn, so that messages for users are there before they are.
func (w *world) failFirst(level string, kind reflect.Type, times int64) *atomic.Int64 {
	failed := new(atomic.Int64)
	w.on(func(actor string, message any) {
		switch msg := message.(type) {
		case *protocol.Send:
			if strings.HasPrefix(actor, "u") && strings.HasPrefix(msg.Content, "fatal") {
				panic("by order")
			}
		case *turn:
			time.Sleep(300 * time.Millisecond)
		case *rest:
			if actor == "stayer" {
				time.Sleep(time.Second) // a session comes meanwhile
			}
		}
		if name, _, _ := strings.Cut(actor, "/"); name == level && reflect.TypeOf(message) == kind && failed.Load() < times {
			failed.Add(1)
			panic("by order")
		}
	})
	return failed
}

// Whatever message an actor fails on that must go on: nobody becomes deaf, nothing is lost or
// out of order, changes of the number of shards end, and who has nothing to do leaves.
func TestPanicsOverWhatMustBeDoneLeaveNothingWaiting(t *testing.T) {
	for _, one := range []struct {
		level   string
		message any
	}{
		{"shard", &handover{}}, {"shard", &claim{}}, {"shard", &absent{}}, {"shard", &remember{}}, {"shard", &inherit{}},
		{"shard", &prepare{}}, {"shard", &turn{}}, {"shard", &settle{}},
		{"shard", &fenced{}}, {"shard", &unpark{}}, {"shard", &quiet{}}, {"shard", &leave{}}, {"shard", &stay{}}, {"shard", &sweep{}},
		{"shard", &attach{}}, {"shard", &detach{}}, {"shard", &ack{}}, {"shard", &sessionClosed{}},
		{"shard", &actor.Terminated{}}, {"registry", &actor.Terminated{}}, {"gateway", &actor.Terminated{}},
		{"registry", &prepared{}}, {"registry", &turned{}}, {"registry", &shardSettled{}},
		{"gateway", &open{}}, {"gateway", &beat{}}, {"gateway", &sessionEnded{}},
	} {
		for _, times := range []int64{1, triesOnTheSpot + 1, 3*triesOnTheSpot + 5} {
			t.Run(fmt.Sprintf("%s %T %d", one.level, one.message, times), func(t *testing.T) {
				onDisk(t, Config{Shards: 3, IdleAfter: time.Second, MaxInFlight: 64}, func(w *world) {
					failed := w.failFirst(one.level, reflect.TypeOf(one.message), times)
					w.goesOn()
					if n := failed.Load(); n == 0 {
						t.Fatalf("nobody came to a %T", one.message)
					}
				})
			})
		}
	}
}

// What is put off follows its user to another shard: an ACK counts, nobody keeps a session that has
// ended, and how it has ended is remembered.
func TestWhatIsPutOffFollowsItsUserToAnotherShard(t *testing.T) {
	for _, message := range []any{&detach{}, &ack{}, &sessionClosed{}} {
		t.Run(fmt.Sprintf("%T", message), func(t *testing.T) {
			inBubble(t, Config{Shards: 1, PingInterval: time.Hour}, func(w *world) {
				bob := mover(1, 3)
				w.mail(bob, 1)
				stays, p := w.device(bob, "stays"), w.device(bob, "phone")
				failed := w.failFirst("shard", reflect.TypeOf(message), triesOnTheSpot+1)
				_, acks := message.(*ack)
				if acks {
					p.ack(1)
				}
				p.hangUp()
				synctest.Wait()
				if n := failed.Load(); n != triesOnTheSpot+1 {
					t.Fatalf("the shard has failed %d times", n)
				}
				w.on(func(string, any) {})
				w.begin(3) // and all move before it comes again
				time.Sleep(time.Second)
				w.settles(3)
				look := w.look(protocol.UserID(bob))
				if len(look.Sessions) != 1 || len(look.Closes) != 1 {
					t.Errorf("%s has the sessions %+v, and of those that ended %+v; want one of each", bob, look.Sessions, look.Closes)
				}
				stays.hangUp()
				time.Sleep(time.Minute)
				if n, users := w.store.cursor(bob, "phone"), w.users(); acks && n != 1 || users != 0 {
					t.Errorf("the cursor is %d, and %d users have not left", n, users)
				}
			})
		})
	}
}

// What comes for a user whose handover is put off waits for the user: nobody else takes it.
func TestMailWaitsForAUserWhoseHandoverIsPutOff(t *testing.T) {
	inBubble(t, Config{Shards: 1, MaxInFlight: 8, PingInterval: time.Hour}, func(w *world) {
		bob := mover(1, 2)
		alice, phone := w.device("alice", "phone"), w.device(bob, "phone")
		settled()
		var failed atomic.Int32
		w.on(func(_ string, message any) {
			if msg, ok := message.(*handover); ok && string(msg.entry.id) == bob && failed.Add(1) <= triesOnTheSpot+1 {
				panic("by order")
			}
		})
		w.begin(2)
		alice.sendID(bob, "1", "1")
		synctest.Wait()
		if got := w.store.contents(bob); len(got) != 0 || failed.Load() != triesOnTheSpot+1 {
			w.Fatalf("after %d failures, and before %s has come, the inbox has %q", failed.Load(), bob, got)
		}
		time.Sleep(time.Second)
		w.settles(2)
		if got := phone.conn.contents(); !slices.Equal(got, []string{"1"}) {
			w.Errorf("%s got %q", bob, got)
		}
	})
}

// A shard that fails on mail that has waited for a user on the way loses that mail alone: what
// is behind it is handled, whether the user comes or not, and the change ends.
func TestPanicOverMailThatWaitedLosesThatMailAlone(t *testing.T) {
	for _, comes := range []bool{true, false} {
		t.Run(fmt.Sprint(comes), func(t *testing.T) {
			inBubble(t, Config{Shards: 1, MaxInFlight: 8, PingInterval: time.Hour}, func(w *world) {
				bob, alice := mover(1, 4), w.device("alice", "phone")
				if comes {
					w.device(bob, "phone")
				}
				goOn := w.hold(w.system.registry, &scale{shards: 4})
				late := w.hold(w.system.ring.Load().shards[0].pid, &describeShard{})
				goOn()
				for _, id := range []string{"1", "2", "3"} {
					alice.sendID(bob, id, id)
				}
				tablet := w.tryV1(bob, &protocol.Connect{Device: "tablet"}) // all of it waits in the new shard
				var again atomic.Int32
				w.on(func(actor string, message any) {
					if !strings.HasPrefix(actor, "shard/") {
						return
					}
					switch msg := message.(type) {
					case *protocol.Send:
						if msg.Content == "2" {
							panic("by order")
						}
					case *attach:
						if string(msg.user) == bob && again.Add(1) <= triesOnTheSpot+1 {
							panic("by order")
						}
					}
				})
				late()
				time.Sleep(time.Minute)
				w.settles(4)
				if got := w.store.contents(bob); !slices.Equal(got, []string{"1", "3"}) {
					t.Errorf("%s has %q", bob, got)
				}
				if got := alice.refused(); len(got) != 1 || got["2"] != protocol.CodeInternal {
					t.Errorf("alice was refused %v, want the second alone", got)
				}
				tablet.welcome()
				w.scale(1)
			})
		})
	}
}

// goesOn has users talk, fail, leave, come back and move, and checks that all is as if nothing
// had been.
func (w *world) goesOn() {
	w.Helper()
	const users = 12
	peers, acked, want := make([]*peer, users), make([]uint64, users), make([][]string, users)
	for i := range peers {
		peers[i] = w.tryV1(fmt.Sprint("u", i), &protocol.Connect{Device: "phone", Window: 1})
	}
	other := w.tryV1("other", &protocol.Connect{Device: "phone"})
	time.Sleep(2 * time.Second)
	for _, p := range slices.Concat(peers, []*peer{other}) {
		p.welcome()
	}
	sent := 0
	wait := func(d time.Duration) { // which acknowledges what comes
		for until := time.Now().Add(d); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
			for i, p := range peers {
				if seqs := p.seqs(); len(seqs) > 0 && seqs[len(seqs)-1] > acked[i] {
					acked[i] = seqs[len(seqs)-1]
					p.link.Ack(acked[i])
				}
			}
		}
	}
	chat := func() {
		for round := range 4 {
			sent++
			for i, p := range peers {
				to := (i + round + 1) % users
				content := fmt.Sprint(i, ".", sent)
				p.sendID(fmt.Sprint("u", to), content, content)
				want[to] = append(want[to], content)
			}
			wait(200 * time.Millisecond)
		}
	}
	fatal := func(user string, times int) {
		for range times {
			sent++
			other.sendID(user, fmt.Sprint("fatal ", sent), fmt.Sprint("fatal ", sent))
			wait(10 * time.Millisecond)
		}
	}
	chat()
	fatal("u1", 5) // is parked
	for i := 2; i < users; i++ {
		fatal(fmt.Sprint("u", i), 1)
	}
	w.connect("gone").hangUp()
	w.connect("stayer").hangUp()
	wait(2 * time.Second)
	w.connect("stayer").hangUp()
	wait(3 * time.Second)
	for _, n := range []int{5, 2, 3} {
		fatal("u3", 1)
		if _, err := w.system.Scale(w.Context(), n, "test"); err != nil {
			w.Fatal(err)
		}
		wait(100 * time.Millisecond)
		for i := range 20 { // the new shards know nothing of them yet
			other.sendID(fmt.Sprint("ghost", n, ".", i), "boo", fmt.Sprint("boo ", n, ".", i))
		}
		chat()
		wait(10 * time.Second)
		w.settles(n)
		chat()
	}
	wait(20 * time.Second)
	for i, p := range peers {
		if got := p.conn.contents(); !sameOrders(got, want[i]) {
			w.Errorf("u%d got %d of %d messages, or in another order", i, len(got), len(want[i]))
		}
		p.hangUp()
	}
	if n := len(other.confirmed()); n != 60 {
		w.Errorf("%d of 60 messages to those who are not connected were kept", n)
	}
	other.hangUp()
	time.Sleep(30 * time.Second)
	if n := w.users(); n != 0 {
		w.Errorf("%d users have not left", n)
	}
	if tree := w.tree(); tree.Gateway.Sessions != 0 || tree.Unhandled != 0 {
		w.Errorf("%d sessions are there, %d messages were not handled", tree.Gateway.Sessions, tree.Unhandled)
	}
	if page, _, err := w.system.ListSessions(w.Context(), 0, 10); err != nil || len(page) != 0 {
		w.Errorf("sessions that have ended are listed: %+v, %v", page, err)
	}
}

// sameOrders is whether both have the same, and what one sender has sent in the same order.
func sameOrders(got, want []string) bool {
	order := func(all []string) []string {
		sorted := slices.Clone(all)
		slices.SortStableFunc(sorted, func(a, b string) int {
			x, _, _ := strings.Cut(a, ".")
			y, _, _ := strings.Cut(b, ".")
			return strings.Compare(x, y)
		})
		return sorted
	}
	return slices.Equal(order(got), order(want))
}
