package actors

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// level is a level of the tree.
func (t *Tree) level(name string) Level {
	for _, l := range t.Levels {
		if l.Name == name {
			return l
		}
	}
	return Level{}
}

func TestTreeNamesWhoHasTheLongestQueueAndWhoIsTheLongestInAMessage(t *testing.T) {
	watchdogWorld(t, func(w *world, _ *logText) {
		alice, bob := w.connect("alice"), w.connect("bob")
		w.connect("eve")
		freeBob := hang[*protocol.Send](w, "bob")
		for n := range 20 {
			alice.send("bob", fmt.Sprint(n))
		}
		synctest.Wait()
		if tree := w.tree(); len(tree.Deepest) == 0 || tree.Deepest[0].User != "bob" || tree.Deepest[0].Queued != 19 {
			t.Errorf("bob has 19 messages behind the one at hand: %+v", tree.Deepest)
		}
		time.Sleep(700 * time.Millisecond)

		tree := w.tree()
		if len(tree.Slowest) != 1 || len(tree.Deepest) != 1 {
			t.Fatalf("%+v, %+v", tree.Slowest, tree.Deepest)
		}
		for _, n := range []Notable{tree.Slowest[0], tree.Deepest[0]} {
			if n.User != "bob" || n.Session != 0 || n.State != "active" || n.Shard != shardOf("bob", 4) || n.Sessions != 1 || n.Queued != 19 ||
				n.InMessage < 600*time.Millisecond || n.InMessage > 800*time.Millisecond {
				t.Errorf("%+v", n)
			}
		}
		if l := tree.level("user"); l.Actors != 3 || l.Queued != 19 || l.Longest != tree.Slowest[0].InMessage || l.Stuck != 0 {
			t.Errorf("%+v", l)
		}
		if l := tree.level("session"); l.Actors != 3 || l.Queued != 0 || l.Longest != 0 {
			t.Errorf("%+v", l)
		}
		if look := w.look("bob"); look.Queued != 19 || look.InMessage < 600*time.Millisecond || len(look.Sessions) != 1 {
			t.Errorf("the branch of bob: %+v", look)
		}
		time.Sleep(500 * time.Millisecond)
		if l := w.tree().level("user"); l.Stuck != 1 {
			t.Errorf("after a second one is stuck: %+v", l)
		}
		freeBob()
		synctest.Wait()
		if tree := w.tree(); len(tree.Slowest)+len(tree.Deepest) != 0 || tree.level("user").Queued != 0 {
			t.Errorf("freed: %+v, %+v", tree.Slowest, tree.Deepest)
		}

		defer hang[*protocol.Receive](w, fmt.Sprint("gateway/", bob.number()))()
		alice.send("bob", "one")
		alice.send("bob", "two")
		time.Sleep(300 * time.Millisecond)
		tree = w.tree()
		if len(tree.Slowest) != 1 || tree.Slowest[0].Session != bob.number() || tree.Slowest[0].User != "bob" || tree.Slowest[0].State != "active" ||
			tree.Deepest[0].Queued == 0 || tree.level("session").Queued != tree.Deepest[0].Queued {
			t.Errorf("a session that hangs: %+v, %+v", tree.Slowest, tree.Deepest)
		}
		if look := w.look("bob"); look.InMessage != 0 || look.Sessions[0].Queued == 0 || look.Sessions[0].InMessage < 200*time.Millisecond {
			t.Errorf("the branch of bob: %+v", look)
		}
	})
}

// look looks at a user with all the patience there is.
func (w *world) look(user protocol.UserID) *UserLook {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	look, err := w.system.LookUser(ctx, user)
	if err != nil {
		w.Fatal(err)
	}
	return look
}

func TestTreeNamesWhoFailsTheMost(t *testing.T) {
	inBubble(t, Config{Shards: 3, Intensity: Intensity{Failures: 100}}, func(w *world) {
		alice := w.device("alice", "phone")
		for n := range 30 {
			user := fmt.Sprint("user", n)
			w.device(user, "phone")
			w.crashOn(user, "fatal")
			for i := range n {
				alice.sendID(user, "fatal", fmt.Sprint(user, "-", i))
				synctest.Wait()
			}
		}
		check := func(when string) {
			t.Helper()
			tree := w.tree()
			if len(tree.Sickest) != maxNotable {
				t.Fatalf("%s: %d are named", when, len(tree.Sickest))
			}
			for i, n := range tree.Sickest {
				if want := 29 - i; n.Restarts != want || n.User != protocol.UserID(fmt.Sprint("user", want)) || n.State != "active" || n.Sessions != 1 {
					t.Errorf("%s: place %d: %+v", when, i, n)
				}
			}
			if l := tree.level("user"); l.Failures != 29*30/2 || l.Actors != 31 {
				t.Errorf("%s: %+v", when, l)
			}
		}
		check("at first")
		w.scale(8)
		check("after a move")
	})
}

// What is asked of an actor does not depend on how many users there are.
func TestTreeIsSeenThoughAllUsersHang(t *testing.T) {
	watchdogWorld(t, func(w *world, _ *logText) {
		alice := w.connect("alice")
		held := make(chan struct{})
		w.on(func(actor string, message any) {
			if _, ok := message.(*protocol.Send); ok && len(actor) == 5 && actor[:3] == "bob" {
				<-held
			}
		})
		for n := range 50 {
			alice.send(fmt.Sprintf("bob%02d", n), "hello")
		}
		time.Sleep(300 * time.Millisecond)
		tree := w.tree()
		if len(tree.Slowest) != maxNotable || tree.level("user").Longest < 200*time.Millisecond {
			t.Errorf("%d are named: %+v", len(tree.Slowest), tree.Slowest)
		}
		seen := make(map[protocol.UserID]bool)
		for _, n := range tree.Slowest {
			seen[n.User] = true
		}
		if len(seen) != maxNotable {
			t.Errorf("%+v", tree.Slowest)
		}
		close(held)
	})
}

func TestRankingKeepsThoseWithTheMost(t *testing.T) {
	r := newRankings().deepest
	for _, queued := range []int{3, 0, 9, 1, 12, 7, 9, 2, 15, 4, 8, 11, 5, 14, 6} {
		r.offer(&Notable{Queued: queued})
	}
	var got []int
	for _, n := range r.top {
		got = append(got, n.Queued)
	}
	if want := "[15 14 12 11 9 9 8 7 6 5]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
}
