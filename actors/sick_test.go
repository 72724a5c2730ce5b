package actors

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// bang is what actors of these tests fail on.
type bang struct{}

// bangs has every actor but the journal fail on a bang.
func (w *world) bangs() {
	w.on(func(_ string, message any) {
		if _, ok := message.(*bang); ok {
			panic("by order")
		}
	})
}

func (w *world) level(name string) *Level {
	w.Helper()
	levels := w.tree().Levels
	i := slices.IndexFunc(levels, func(l Level) bool { return l.Name == name })
	return &levels[i]
}

// An actor that goes on is called sick when it fails more often than its level may, for longer
// each time, and until then it is not; the service is not ready while it is one that all users need.
func TestActorThatFailsTooOftenIsSickForAWhile(t *testing.T) {
	for _, one := range []struct {
		level  string
		pid    func(s *System) *actor.PID
		of     func(s *Supervision) *Intensity
		needed bool
	}{
		{"registry", func(s *System) *actor.PID { return s.registry }, func(s *Supervision) *Intensity { return &s.Registry }, true},
		{"shard", func(s *System) *actor.PID { return s.ring.Load().shards[1].pid }, func(s *Supervision) *Intensity { return &s.Shard }, false},
		{"gateway", func(s *System) *actor.PID { return s.gateway }, func(s *Supervision) *Intensity { return &s.Gateway }, true},
		{"doorkeeper", func(s *System) *actor.PID { return s.doorkeeper }, func(s *Supervision) *Intensity { return &s.Doorkeeper }, false},
		{"coroner", func(s *System) *actor.PID { return s.coroner }, func(s *Supervision) *Intensity { return &s.Coroner }, false},
	} {
		t.Run(one.level, func(t *testing.T) {
			var config Config
			*one.of(&config.Supervision) = Intensity{Failures: 2, Window: 10 * time.Second, Park: 4 * time.Second, MaxPark: 6 * time.Second}
			inBubble(t, config, func(w *world) {
				w.bangs()
				pid := one.pid(w.system)
				fail := func(sick bool) {
					t.Helper()
					w.system.root.Send(pid, &bang{})
					synctest.Wait()
					w.isSick(one.level, pid.GetId(), sick, one.needed)
				}
				fail(false)
				fail(false)
				fail(true)
				time.Sleep(4*time.Second - time.Millisecond)
				w.isSick(one.level, pid.GetId(), true, one.needed)
				time.Sleep(time.Millisecond)
				w.isSick(one.level, pid.GetId(), false, one.needed)

				time.Sleep(10 * time.Second) // the window counts from the end of the rest
				fail(true)
				time.Sleep(6*time.Second - time.Millisecond)
				w.isSick(one.level, pid.GetId(), true, one.needed)
				time.Sleep(10*time.Second + 2*time.Millisecond)
				fail(false)
			})
		})
	}
}

// isSick checks whether an actor of the level is sick, and what that means for the service.
func (w *world) isSick(level, name string, sick, needed bool) {
	w.Helper()
	l, ready := w.level(level), w.system.Ready()
	if (l.Sick != nil) != sick || sick && (l.Sick.Actor != name || l.Sick.Failures < 3) {
		w.Errorf("%s: sick %v, want %v", level, l.Sick, sick)
	}
	if (ready != nil) != (sick && needed) || ready != nil && !strings.Contains(ready.Error(), name) {
		w.Errorf("%s: sick %v, and Ready says %v", level, sick, ready)
	}
}

// The sickness of one shard is not taken for that of another.
func TestEachShardFailsForItself(t *testing.T) {
	config := Config{Shards: 3, Supervision: Supervision{Shard: Intensity{Failures: 1, Park: time.Minute}}}
	inBubble(t, config, func(w *world) {
		w.bangs()
		for _, road := range w.system.ring.Load().shards {
			w.system.root.Send(road.pid, &bang{})
		}
		synctest.Wait()
		if err := w.system.Ready(); err != nil || w.level("shard").Failures != 3 {
			t.Errorf("each has failed once: %v", err)
		}
	})
}

// commitsFail has the journal fail on what is sent with a text that begins so.
func (w *world) commitsFail(content string) {
	w.on(func(name string, message any) {
		if c, ok := message.(*commit); ok && name == "journal" && len(c.entries) > 0 && strings.HasPrefix(c.entries[0].message.Content, content) {
			panic("by order")
		}
	})
}

func TestJournalThatFailsTooOftenRests(t *testing.T) {
	config := Config{Supervision: Supervision{Journal: Intensity{Failures: 1, Window: 10 * time.Second, Park: 300 * time.Millisecond, MaxPark: time.Minute}}}
	onDisk(t, config, func(w *world) {
		watch := w.watch(EventFilter{})
		w.commitsFail("fatal")
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		sent := 0
		send := func(content string, taken bool) {
			t.Helper()
			sent++
			id := fmt.Sprint(sent)
			alice.sendID("bob", content, id)
			time.Sleep(time.Millisecond) // for the user's next actor
			if _, kept := alice.confirmed()[id]; kept != taken {
				t.Errorf("message %s, %s, is taken: %v; Ready says %v", id, content, kept, w.system.Ready())
			}
		}
		send("fatal", false)
		if err := w.system.Ready(); err != nil {
			t.Errorf("after one failure Ready says %v", err)
		}
		send("one", true)
		send("fatal", false)
		send("two", true) // a commit in between: it begins anew
		send("fatal", false)
		send("fatal", false)
		if err := w.system.Ready(); err == nil || !strings.Contains(err.Error(), "has failed 2 times in a row and rests") || w.level("journal").Sick == nil {
			t.Errorf("after two failures in a row Ready says %v", err)
		}
		send("refused", false)
		if code := alice.refused()[fmt.Sprint(sent)]; code != protocol.CodeUnavailable {
			t.Errorf("refused with %s", code)
		}
		if e := w.one(watch, StoreFailed); !strings.Contains(e.Reason, "rests") {
			t.Errorf("%+v", e)
		}
		time.Sleep(350 * time.Millisecond)
		send("fatal", false) // twice as long
		time.Sleep(500 * time.Millisecond)
		send("refused", false)
		time.Sleep(150 * time.Millisecond)
		send("three", true)
		if err := w.system.Ready(); err != nil || w.level("journal").Failures != 5 {
			t.Errorf("Ready says %v, failures %d", err, w.level("journal").Failures)
		}
		if got := bob.conn.contents(); !slices.Equal(got, []string{"one", "two", "three"}) {
			t.Errorf("bob got %q", got)
		}
	})
}

// A disk that works again does not end a rest, and is left alone meanwhile.
func TestRestOfTheJournalIsNotCutShort(t *testing.T) {
	config := Config{Supervision: Supervision{Journal: Intensity{Failures: 1, Window: time.Minute, Park: 10 * time.Second, MaxPark: time.Minute}}}
	onDisk(t, config, func(w *world) {
		alice := w.device("alice", "phone")
		w.store.breaks(errDisk)
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		w.store.crashes(2) // the next two probes, after 1 s and 2 s
		time.Sleep(2500 * time.Millisecond)
		w.store.breaks(nil)
		before := w.store.tried()
		time.Sleep(9400 * time.Millisecond)
		if err := w.system.Ready(); err == nil || w.store.tried() != before {
			t.Errorf("during the rest Ready says %v, and there were %d commits", err, w.store.tried()-before)
		}
		time.Sleep(200 * time.Millisecond)
		if err := w.system.Ready(); err != nil {
			t.Errorf("after the rest: %v", err)
		}
	})
}

// However often the journal fails while the disk does, it looks after the disk once a second.
func TestBrokenDiskIsAskedOnceAtATime(t *testing.T) {
	config := Config{Supervision: Supervision{Journal: Intensity{Failures: 1000}}}
	onDisk(t, config, func(w *world) {
		alice := w.device("alice", "phone")
		w.store.breaks(errDisk)
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		w.on(func(name string, message any) {
			if _, ok := message.(*commit); ok && name == "journal" {
				panic("by order")
			}
		})
		for range 5 {
			w.system.root.Send(w.system.journal, &commit{user: "eve", by: actor.NewPID("nonhost", "nobody")})
		}
		synctest.Wait()
		before := w.store.tried()
		time.Sleep(10*time.Second + time.Millisecond)
		if n := w.store.tried() - before; n != 10 || w.level("journal").Failures < 5 {
			t.Errorf("in 10 s it was asked %d times, after %d failures", n, w.level("journal").Failures)
		}
	})
}

// What is put off comes again by the settings, which change while it runs.
func TestWhatIsPutOffIsTriedAgainByTheSetting(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		if err := w.system.Supervise(Supervision{RetryAfter: 2 * time.Second, MaxRetryAfter: 3 * time.Second}); err != nil {
			t.Fatal(err)
		}
		var tries []time.Duration
		began := time.Now()
		w.on(func(name string, message any) {
			if _, ok := message.(*sweepBlocks); ok && name == "doorkeeper" {
				tries = append(tries, time.Since(began))
				if len(tries) <= 9 {
					panic("by order")
				}
			}
		})
		w.system.root.Send(w.system.doorkeeper, msgSweepBlocks)
		time.Sleep(time.Minute)
		synctest.Wait()
		var want []time.Duration
		for _, seconds := range []int{0, 0, 0, 2, 2, 2, 5, 5, 5, 8} {
			want = append(want, time.Duration(seconds)*time.Second)
		}
		if !slices.Equal(tries, want) {
			t.Errorf("tried at %v, want %v", tries, want)
		}
	})
}

func TestSupervisionChangesWhileItRuns(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		before := w.tree().Levels
		for name, wrong := range map[string]Supervision{
			"journal":       {Journal: Intensity{Park: time.Second, MaxPark: time.Millisecond}},
			"coroner":       {Coroner: Intensity{Failures: -1}},
			"RetryAfter":    {RetryAfter: -1},
			"MaxRetryAfter": {RetryAfter: time.Minute},
		} {
			err := w.system.Supervise(wrong)
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
			wrong := Config{Store: w.store, Supervision: wrong}
			if _, err := New(wrong); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s, in a Config: %v", name, err)
			}
		}
		for i, l := range w.tree().Levels {
			if (l.Intensity == nil) != (l.Name == "session") || l.Rest == "" || (l.RetryAfter > 0) != (l.OnFailure == "resume") {
				t.Errorf("%+v", l)
			}
			if l.Intensity != nil && *l.Intensity != *before[i].Intensity {
				t.Errorf("a refused change has made it %+v, before %+v", *l.Intensity, *before[i].Intensity)
			}
		}
		w.bangs()
		w.system.root.Send(w.system.gateway, &bang{})
		if err := w.system.Supervise(Supervision{Gateway: Intensity{Failures: 1}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := w.system.Ready(); err != nil {
			t.Errorf("after one failure: %v", err)
		}
		w.system.root.Send(w.system.gateway, &bang{})
		synctest.Wait()
		if err := w.system.Ready(); err == nil {
			t.Error("one failure may be, and there were two")
		}
	})
}
