package actors

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// A shard that panics over any phase of a change does not hold it up for ever.
func TestShardThatPanicsWhileUsersMoveTriesAgain(t *testing.T) {
	for name, is := range map[string]func(any) bool{
		"prepare": func(m any) bool { _, ok := m.(*prepare); return ok },
		"turn":    func(m any) bool { _, ok := m.(*turn); return ok },
		"settle":  func(m any) bool { _, ok := m.(*settle); return ok },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{Shards: 1, MaxInFlight: 8}, func(w *world) {
				bob := mover(1, 4)
				alice, peer := w.connect("alice"), w.connect(bob)
				var panics atomic.Int32 // of two shards at once, perhaps
				w.on(func(actor string, message any) {
					if strings.HasPrefix(actor, "shard/") && is(message) && panics.Add(1) <= 2 {
						panic("crash on purpose")
					}
				})
				w.begin(4)
				alice.send(bob, "1")
				time.Sleep(time.Second)
				w.settles(4)
				alice.send(bob, "2")
				synctest.Wait()
				if got := peer.conn.contents(); !slices.Equal(got, []string{"1", "2"}) {
					t.Errorf("%s got %q", bob, got)
				}
				if got := w.tree().Survived; got != 2 {
					t.Errorf("%d panics were noticed, want 2", got)
				}
			})
		})
	}
}

// The last shard may say that a user is absent when the new one has settled.
func TestMailWaitsForAnAnswerThatComesAfterTheChange(t *testing.T) {
	inBubble(t, Config{Shards: 1, MaxInFlight: 8}, func(w *world) {
		ghost := mover(1, 2)
		alice := w.connect("alice")
		turns := 0
		w.on(func(actor string, message any) {
			switch message.(type) {
			case *turned:
				if turns++; turns == 2 {
					alice.send(ghost, "1")
				}
			case *claim:
				time.Sleep(time.Second)
			}
		})
		w.begin(2)
		time.Sleep(2 * time.Second)
		w.settles(2)
		if got := w.store.contents(ghost); !slices.Equal(got, []string{"1"}) {
			t.Errorf("%s has %q", ghost, got)
		}
		if got := w.tree().Survived; got != 0 || alice.link.credits.Load() != 8 {
			t.Errorf("%d panics, alice has %d credits of 8", got, alice.link.credits.Load())
		}
	})
}

// Nobody waits for a shard that has ended.
func TestShardThatWasGivenUpRefusesWhatComesLate(t *testing.T) {
	inBubble(t, Config{Shards: 2}, func(w *world) {
		given := w.system.ring.Load().shards[1]
		w.scale(1)
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		if _, err := askShard[*shardLoad](ctx, w.system, given, &loadShard{}); err != errGivenUp { //nolint:errorlint // it is told as it is
			t.Errorf("answered %v", err)
		}
	})
}

// The limit follows in the shards that were there before too, up and down, and is the wider one on the way.
func TestLimitOfEachShardFollowsTheNumber(t *testing.T) {
	inBubble(t, Config{Shards: 4, MaxUsers: 64, PingInterval: time.Hour}, func(w *world) {
		alice := w.device("alice", "phone")
		fill := func(what string, want int) {
			t.Helper()
			for i := range 400 {
				alice.sendID(name(i), "hello", fmt.Sprint(what, i))
				if i%50 == 49 {
					synctest.Wait()
				}
			}
			synctest.Wait()
			for _, s := range w.tree().Shards {
				if s.Users < want || s.Users > want+1 { // alice is always let in
					t.Errorf("%s: shard %d has %d users, want %d", what, s.Number, s.Users, want)
				}
			}
			time.Sleep(time.Minute) // they leave
		}
		fill("four shards", 64/4+1)
		w.scale(8)
		fill("eight", 64/8+1)
		w.scale(2)
		fill("two", 64/2+1)
	})
}

// A user who fails over everything is parked also when nobody is connected and nothing is held.
func TestUserWithoutASessionWhoFailsAgainAndAgainIsParked(t *testing.T) {
	inBubble(t, Config{Shards: 1}, func(w *world) {
		w.on(func(name string, message any) {
			if _, ok := message.(*protocol.Send); ok && name == "bob" {
				panic("crash on purpose")
			}
		})
		send := func(n int) error {
			_, err := w.system.Send(w.Context(), &protocol.Send{Sender: "alice", Receiver: "bob", Content: fmt.Sprint(n)})
			synctest.Wait()
			return err
		}
		for n := range w.system.Intensity().Failures + 1 {
			if err := send(n); err == nil {
				t.Error("a message was kept that failed its user")
			}
		}
		if err := send(100); !isCode(err, ErrUnavailable) {
			t.Errorf("the next message is answered %v", err)
		}
		if got := w.userInfo("bob"); got.State != "parked" {
			t.Errorf("bob is %+v", got)
		}
		w.on(func(string, any) {})
		time.Sleep(time.Minute)
		if err := send(101); err != nil {
			t.Errorf("after the rest: %v", err)
		}
		time.Sleep(time.Minute)
		if got := w.users(); got != 0 {
			t.Errorf("%d users are left", got)
		}
	})
}

// A load for everybody is a load for all shards alike: none takes more than twice the mean.
func TestRandomLoadIsSpreadOverTheShards(t *testing.T) {
	inBubble(t, Config{Shards: 32, PingInterval: time.Hour}, func(w *world) {
		alice := w.device("alice", "phone")
		const messages = 6400
		for i := range messages {
			alice.sendID(fmt.Sprint(1_000_000_000_000+i*7919%2000), "hello", fmt.Sprint(i))
			if i%64 == 63 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		load, sum, most := w.loaded(0), uint64(0), uint64(0)
		for _, s := range load.Shards {
			sum, most = sum+s.Taken, max(most, s.Taken)
		}
		if len(load.Shards) != 32 || sum < messages || most > 2*sum/32 {
			t.Errorf("%d shards have taken %d messages, one of them %d", len(load.Shards), sum, most)
		}
	})
}

// A node that stops while a shard still owes a message does not wait for that: nobody is on the way.
func TestStopWaitsForNoShardThatSettles(t *testing.T) {
	onDisk(t, Config{Shards: 2}, func(w *world) {
		w.mail("bob", 5)
		bob := w.device("bob", "phone")
		w.on(func(actor string, message any) {
			if _, ok := message.(*settle); ok {
				panic("by order")
			}
		})
		w.begin(4)
		if got := w.system.Scaling().Phase; got != Settling {
			t.Fatalf("the change is %s", got)
		}
		bob.ack(4)
		began := time.Now()
		w.stop()
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("the stop took %v", took)
		}
		if got := w.store.cursor("bob", "phone"); got != 4 {
			t.Errorf("the cursor is %d, want 4", got)
		}
	})
}
