package actors

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// logText is what was logged, for tests that look at it.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// lines are those that have all the words.
func (l *logText) lines(words ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
next:
	for line := range strings.Lines(l.b.String()) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

// hang has the actor stay in messages of type M until it is freed.
func hang[M any](w *world, name string) (free func()) {
	held := make(chan struct{})
	w.on(func(actor string, message any) {
		if _, ok := message.(M); ok && actor == name {
			<-held
		}
	})
	return sync.OnceFunc(func() { w.on(func(string, any) {}); close(held) })
}

func watchdogWorld(t *testing.T, test func(w *world, log *logText)) {
	t.Helper()
	log := new(logText)
	config := Config{StuckAfter: time.Second, PingInterval: 24 * time.Hour, Shards: 4, Log: slog.New(slog.NewTextHandler(log, nil))}
	onDisk(t, config, func(w *world) { test(w, log) })
}

func TestActorThatIsStuckIsReportedOnceWithItsStack(t *testing.T) {
	watchdogWorld(t, func(w *world, log *logText) {
		watch := w.watch(EventFilter{})
		alice, eve := w.connect("alice"), w.connect("eve")
		free := hang[*protocol.Send](w, "bob")
		alice.send("bob", "hello")
		time.Sleep(900 * time.Millisecond)
		if got := log.lines("stuck"); len(got) != 0 || w.tree().Stuck != 0 {
			t.Errorf("before the limit: %q", got)
		}

		time.Sleep(5 * time.Second)

		lines := log.lines("level=ERROR", "actor stuck in one message", "/bob.")
		if len(lines) != 1 || !strings.Contains(lines[0], "actors.(*user).Receive") || !strings.Contains(lines[0], "watchdog_test.go") ||
			strings.Contains(lines[0], "(*shard)") {
			t.Errorf("reported: %q", lines)
		}
		tree := w.tree()
		if tree.Stuck != 1 || len(tree.Longest) != 1 || !strings.Contains(tree.Longest[0].Actor, "/bob.") || !strings.HasPrefix(tree.Longest[0].Doing, "actors.") {
			t.Errorf("the tree has %d %+v", tree.Stuck, tree.Longest)
		}
		if since := time.Since(tree.Longest[0].Since); since < 5800*time.Millisecond || since > 6100*time.Millisecond {
			t.Errorf("since %v, and it is 5.9 s", since)
		}
		if err := w.system.Ready(); err != nil {
			t.Errorf("a user holds nobody else up, and it is not ready: %v", err)
		}
		if e := w.one(watch, ActorStuck); e.User != "bob" {
			t.Errorf("%+v", e)
		}
		alice.send("eve", "are you there?")
		synctest.Wait()
		if got := eve.conn.contents(); len(got) != 1 {
			t.Errorf("eve got %q", got)
		}

		free()
		time.Sleep(time.Second)
		if tree := w.tree(); tree.Stuck != 0 || len(log.lines("actor got on", "/bob.")) != 1 {
			t.Errorf("freed, the tree has %+v", tree.Longest)
		}
		if e := w.one(watch, ActorGotOn); e.User != "bob" {
			t.Errorf("%+v", e)
		}
		free = hang[*protocol.Send](w, "bob")
		alice.send("bob", "again")
		time.Sleep(3 * time.Second)
		free()
		if got := log.lines("actor stuck in one message"); len(got) != 2 {
			t.Errorf("stuck twice, reported %d times", len(got))
		}
	})
}

func TestServiceIsNotReadyWhileAnActorIsStuckThatOthersNeed(t *testing.T) {
	shard := fmt.Sprint("shard/", shardOf("bob", 4))
	for name, stuck := range map[string]func(w *world) (free func()){
		"registry" + shard[len("shard"):]: func(w *world) func() { return hang[*protocol.Send](w, shard) },
		"journal":                         func(w *world) func() { return hang[*commit](w, "journal") },
		"gateway":                         func(w *world) func() { return hang[*open](w, "gateway") },
	} {
		t.Run(strings.ReplaceAll(name, "/", " "), func(t *testing.T) {
			watchdogWorld(t, func(w *world, _ *logText) {
				alice := w.connect("alice")
				free := stuck(w)
				alice.send("bob", "hello")
				connected := make(chan *peer, 1)
				go func() { connected <- w.connect("eve") }()
				time.Sleep(2 * time.Second)

				if err := w.system.Ready(); !isCode(err, ErrUnavailable) || !strings.Contains(err.Error(), "actor "+name+" ") {
					t.Errorf("stuck in the %s it is ready: %v", name, err)
				}
				if tree := w.tree(); tree.Stuck != 1 || tree.Longest[0].Actor != name { // it answers all the same
					t.Errorf("the tree has %+v", tree.Longest)
				}

				free()
				time.Sleep(time.Second)
				if err := w.system.Ready(); err != nil {
					t.Errorf("freed it is not ready: %v", err)
				}
				if got := w.store.contents("bob"); len(got) != 1 {
					t.Errorf("bob has %q", got)
				}
				<-connected
			})
		})
	}
}

func TestManyWhoAreStuckAreToldOfAFewAtATime(t *testing.T) {
	watchdogWorld(t, func(w *world, log *logText) {
		alice := w.connect("alice")
		held := make(chan struct{})
		w.on(func(actor string, message any) {
			if _, ok := message.(*protocol.Send); ok && strings.HasPrefix(actor, "user") {
				<-held
			}
		})
		for i := range 20 {
			alice.send(fmt.Sprint("user", i), "hello")
		}
		time.Sleep(1500 * time.Millisecond)
		if got, tree := log.lines("actor stuck"), w.tree(); len(got) != 8 || tree.Stuck != 20 || len(tree.Longest) != maxLongest {
			t.Errorf("%d are told of, and the tree has %d, %d by name", len(got), tree.Stuck, len(tree.Longest))
		}
		time.Sleep(5 * time.Second)
		if got := log.lines("actor stuck"); len(got) != 20 {
			t.Errorf("%d are told of in the end", len(got))
		}
		close(held)
		time.Sleep(time.Second)
		if got := log.lines("actor got on"); len(got) != 20 || w.tree().Stuck != 0 {
			t.Errorf("%d got on", len(got))
		}
	})
}

// An actor that has much to do is not stuck.
func TestBusyActorIsNotStuck(t *testing.T) {
	watchdogWorld(t, func(w *world, log *logText) {
		alice := w.connect("alice")
		w.on(func(actor string, message any) {
			if _, ok := message.(*protocol.Send); ok && actor == "bob" {
				time.Sleep(300 * time.Millisecond)
			}
		})
		for range 30 {
			alice.send("bob", "hello")
		}
		time.Sleep(8 * time.Second)
		if got := log.lines("stuck"); len(got) != 0 {
			t.Errorf("%q", got)
		}
		w.on(func(string, any) {})
	})
}

// The clock stands still when nobody works, and a later message is not taken for an old one.
func TestActorThatWasAtRestForLongIsNotStuck(t *testing.T) {
	watchdogWorld(t, func(w *world, log *logText) {
		alice := w.connect("alice")
		for range 5 {
			time.Sleep(time.Minute)
			free := hang[*protocol.Send](w, "bob")
			alice.send("bob", "hello")
			time.Sleep(500 * time.Millisecond)
			free()
		}
		if got := log.lines("stuck"); len(got) != 0 {
			t.Errorf("%q", got)
		}
	})
}

func TestUserOfAnActorsName(t *testing.T) {
	for name, want := range map[string]protocol.UserID{
		"registry/3/bob.1": "bob", "registry/3/b.o@b.zz": "b.o@b", "registry/3": "", "gateway/12": "", "journal": "", "registry": "",
	} {
		if got := userNamed(name); got != want {
			t.Errorf("%s is of %q, want %q", name, got, want)
		}
	}
}
