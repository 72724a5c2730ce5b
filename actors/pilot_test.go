package actors

import (
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// see has the pilot look n times at the same, ten seconds apart, and returns the number of
// shards there is then and what was said for the last change.
func (p *pilot) see(n int, clock *time.Duration, s sight) (shards int, why string) {
	shards = s.shards
	for range n {
		*clock += weighEvery
		s.now, s.shards = *clock, shards
		if to, reason := p.decide(s); to != 0 {
			shards, why = to, reason
		}
	}
	return shards, why
}

func TestPilotFollowsProcessorsUsersAndQueues(t *testing.T) {
	for _, test := range []struct {
		name   string
		sight  sight
		looks  int
		shards int
		why    string
	}{
		{"all is well", sight{shards: 16, cores: 8}, 1000, 16, ""},
		{"more processors", sight{shards: 4, cores: 8}, growAfter, 16, "8 processors"},
		{"a look too few", sight{shards: 4, cores: 8}, growAfter - 1, 4, ""},
		{"not much more", sight{shards: 12, cores: 8}, 1000, 12, ""},
		{"never fewer than a few", sight{shards: 4, cores: 1}, 1000, 4, ""},
		{"far too many", sight{shards: 64, cores: 8}, shrinkAfter, 16, "8 processors"},
		{"far too many, for a while", sight{shards: 64, cores: 8}, shrinkAfter - 1, 64, ""},
		{"a few too many", sight{shards: 17, cores: 8}, 1000, 17, ""},
		{"many users", sight{shards: 16, cores: 8, users: 3_000_000}, growAfter, 64, "3000000 users"},
		{"long queues", sight{shards: 16, cores: 8, waiting: 16*crowded + 1}, growAfter, 32, "messages wait in 16 shards"},
		{"queues that are not long", sight{shards: 16, cores: 8, waiting: 16 * crowded}, 1000, 16, ""},
		{"long queues do not help for ever", sight{shards: 16, cores: 8, waiting: 1 << 30}, 1000, 64, "messages wait"},
		{"the most there can be", sight{shards: 4096, cores: 8192, users: 1 << 40}, 1000, 4096, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var clock time.Duration
			shards, why := (&pilot{}).see(test.looks, &clock, test.sight)
			if shards != test.shards || !strings.Contains(why, test.why) || (test.why == "") != (why == "") {
				t.Errorf("%d shards, %q; want %d, %q", shards, why, test.shards, test.why)
			}
		})
	}
}

// A load that comes and goes does not have the users move to and fro.
func TestPilotIsCalm(t *testing.T) {
	var clock time.Duration
	p, changes, shards := &pilot{}, 0, 16
	for range 24 { // hours, each with a busy minute
		for _, s := range []sight{{cores: 8, waiting: 1 << 20}, {cores: 8}} {
			looks := 6
			if s.waiting == 0 {
				looks = 354
			}
			for range looks {
				s.shards = shards
				to, _ := p.see(1, &clock, s)
				if to != shards {
					shards = to
					changes++
				}
			}
		}
	}
	if changes > 2*24 || shards != 16 {
		t.Errorf("%d changes in a day, and %d shards in the end", changes, shards)
	}
	p, changes = &pilot{}, 0
	for i := range 10_000 { // a load that is there at every other look
		s := sight{shards: 16, cores: 8, waiting: i % 2 << 20}
		if to, _ := p.see(1, &clock, s); to != 16 {
			changes++
		}
	}
	if changes > 0 {
		t.Errorf("%d changes for a load that never lasts", changes)
	}
}

func TestNumberOfShardsFollowsTheProcessors(t *testing.T) {
	var cores atomic.Int32
	cores.Store(2)
	config := Config{Shards: 4, AutoScale: true, PingInterval: time.Hour, hooks: hooks{cores: func() int { return int(cores.Load()) }}}
	inBubble(t, config, func(w *world) {
		cores.Store(2)
		bob := w.connect("bob")
		time.Sleep(time.Hour)
		if got := w.system.Scaling(); got.To != 4 {
			t.Errorf("two processors have %+v", got)
		}
		cores.Store(16)
		time.Sleep(2 * time.Minute)
		if got := w.system.Scaling(); got.To != 32 || got.Phase != Settled || got.Why != "auto: 16 processors" {
			t.Errorf("16 processors have %+v", got)
		}
		w.mail("bob", 1)
		if got := bob.conn.contents(); len(got) != 1 {
			t.Errorf("bob got %q", got)
		}
		cores.Store(2)
		time.Sleep(time.Hour)
		if got := w.system.Scaling(); got.To != 4 {
			t.Errorf("two processors have %+v in the end", got)
		}
	})
}

// A shard that fails over the question leaves that look aside, and no other.
func TestPilotLooksAgainWhenAShardCouldNotAnswer(t *testing.T) {
	var cores atomic.Int32
	cores.Store(2)
	config := Config{Shards: 4, AutoScale: true, PingInterval: time.Hour, hooks: hooks{cores: func() int { return int(cores.Load()) }}}
	inBubble(t, config, func(w *world) {
		var failed atomic.Bool
		w.on(func(actor string, message any) {
			if _, ok := message.(*describeShard); ok && actor == "shard/2" && failed.CompareAndSwap(false, true) {
				panic("crash on purpose")
			}
		})
		time.Sleep(2 * weighEvery)
		if !failed.Load() {
			t.Fatal("no shard was asked")
		}
		cores.Store(16)
		time.Sleep(10 * time.Minute)
		if got := w.system.Scaling(); got.To != 32 || got.Phase != Settled {
			t.Errorf("16 processors have %+v", got)
		}
	})
}

// The registry may fail over an answer, of either kind, and goes on looking.
func TestPilotGoesOnThoughTheRegistryFailsOverAnAnswer(t *testing.T) {
	for _, answer := range []any{&ShardInfo{}, &Error{}} {
		for _, times := range []int64{1, triesOnTheSpot + 1, 3*triesOnTheSpot + 5} {
			t.Run(fmt.Sprintf("%T %d", answer, times), func(t *testing.T) {
				var cores atomic.Int32
				cores.Store(2)
				config := Config{Shards: 4, AutoScale: true, PingInterval: time.Hour, hooks: hooks{cores: func() int { return int(cores.Load()) }}}
				onDisk(t, config, func(w *world) {
					var asked, failed atomic.Int64
					w.on(func(actor string, message any) {
						if _, ok := message.(*describeShard); ok && actor == "shard/2" && asked.Add(1) == 1 {
							panic("by order")
						}
						if actor == "registry" && reflect.TypeOf(message) == reflect.TypeOf(answer) && failed.Add(1) <= times {
							panic("by order")
						}
					})
					time.Sleep(time.Minute)
					if failed.Load() <= times {
						t.Fatalf("the registry came to a %T %d times", answer, failed.Load())
					}
					cores.Store(16)
					time.Sleep(10 * time.Minute)
					if got := w.system.Scaling(); got.To != 32 || got.Phase != Settled {
						t.Errorf("16 processors have %+v", got)
					}
					if n := w.tree().Survived; n != uint64(times)+1 {
						t.Errorf("%d panics survived, want %d", n, times+1)
					}
				})
			})
		}
	}
}

// An answer that comes once more, because the registry failed after it had counted it, harms nobody.
func TestAnswerThatComesAfterTheLookIsLeftAside(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		w.system.root.Send(w.system.registry, &ShardInfo{})
		w.system.root.Send(w.system.registry, &Error{})
		synctest.Wait()
		if n := w.tree().Survived; n != 0 {
			t.Errorf("the registry failed %d times", n)
		}
	})
}
