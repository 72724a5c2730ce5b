package actors

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Where a step takes as long as a message waits, the pace gets wide; where it takes as
// long as there are users in it, it stays narrow; in between, the work is at most half
// of a step.
func TestPaceFindsHowManyMayBeOnTheWay(t *testing.T) {
	const users = 7_500
	first := newPace(users, maxAway, false)
	for _, c := range []struct {
		name        string
		waits, work time.Duration // a step takes waits, and work for each slice
		least, most uint32        // kept in the end
	}{
		{"all wait", 500 * time.Millisecond, 0, first.most, first.most},
		{"nearly all wait", 500 * time.Millisecond, time.Millisecond, 4 * first.width, first.most},
		{"half and half", 40 * time.Millisecond, time.Millisecond, first.width, first.width},
		{"all work", 0, time.Millisecond, first.width, first.width},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := first
			wide := 0
			for range 100 {
				p.stepped(c.waits + time.Duration(p.width)*c.work)
				if p.width > p.most || p.width < first.width {
					t.Fatalf("a step is %d slices wide; %d to %d were allowed", p.width, first.width, p.most)
				}
				if p.width > p.kept {
					wide++
				}
			}
			if p.kept < c.least || p.kept > c.most {
				t.Errorf("%d slices at once in the end, want %d to %d", p.kept, c.least, c.most)
			}
			if wide > 10 {
				t.Errorf("%d of 100 steps were wider than had proved good", wide)
			}
		})
	}
}

func TestPaceIsBounded(t *testing.T) {
	for _, toMove := range []int{0, 1, 255, 256, 1_000, 7_500, 100_000, 1_000_000} {
		p := newPace(toMove, maxAway, false)
		for range 100 {
			p.stepped(time.Second)
		}
		if away := int(p.width) * toMove / ringSlices; away > maxWidening*maxAway || toMove > maxAway*fewestSteps && int(p.width)*fewestSteps > ringSlices {
			t.Errorf("%d of %d users are on the way at once", away, toMove)
		}
		exact := newPace(toMove, 2, true)
		first := exact.width
		for range 100 {
			exact.stepped(time.Second)
		}
		if exact.width != first {
			t.Errorf("of %d users %d slices are on the way, want %d", toMove, exact.width, first)
		}
	}
}

// A change of the number on a node whose queues are long takes few steps: its users wait for
// nothing but the queues. Where they need the processor, few are on the way at once.
func TestUsersMoveManyAtOnceWhereQueuesAreLong(t *testing.T) {
	const users = 2_500
	for _, c := range []struct {
		name        string
		waits       time.Duration // each user by itself
		works       time.Duration // one user after the other
		least, most int           // steps; 11 if all were alike
	}{
		{"queues", 300 * time.Millisecond, 0, 5, 6},
		{"work", 0, time.Millisecond, 8, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Config{Shards: 1, PingInterval: time.Hour}, func(w *world) {
				peers := make([]*peer, users)
				for i := range peers {
					peers[i] = w.connect(name(i))
				}
				var steps atomic.Int32
				processor := make(chan struct{}, 1)
				w.on(func(where string, message any) {
					switch message.(type) {
					case *turn:
						if where == "shard/0" {
							steps.Add(1)
						}
					case *depart:
						time.Sleep(c.waits)
						processor <- struct{}{}
						time.Sleep(c.works)
						<-processor
					}
				})
				if state := w.scale(64); state.Moved != state.ToMove || state.Moved < users*9/10 {
					t.Errorf("the change is %+v", state)
				}
				if got := int(steps.Load()); got < c.least || got > c.most {
					t.Errorf("%d steps, want %d to %d", got, c.least, c.most)
				}
				peers[0].send(name(1), "there")
				synctest.Wait()
				if got := peers[1].conn.contents(); !slices.Equal(got, []string{"there"}) {
					t.Errorf("afterwards %s got %q", name(1), got)
				}
			})
		})
	}
}
