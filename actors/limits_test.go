package actors

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// limitsWith are those of a System, changed.
func (w *world) limitsWith(change func(*Limits)) Limits {
	l := *w.system.limits.Load()
	change(&l)
	return l
}

func TestReloadedLimitsHoldForWhatComes(t *testing.T) {
	inBubble(t, Config{MaxInboxEntries: 2}, func(w *world) {
		alice := w.v1("alice", &protocol.Connect{})
		send := func(id string) (taken bool) {
			t.Helper()
			alice.sendID("bob", "hello", id)
			synctest.Wait()
			_, taken = alice.confirmed()[id]
			return taken
		}
		if !send("a") || !send("b") || send("c") {
			t.Fatal("the first limit does not hold")
		}
		if err := w.system.Reload(w.limitsWith(func(l *Limits) { l.MaxInboxEntries = 3 })); err != nil {
			t.Fatal(err)
		}
		if !send("d") || send("e") {
			t.Error("the second limit does not hold")
		}
		for field, wrong := range map[string]func(*Limits){
			"MaxInboxEntries": func(l *Limits) { l.MaxInboxEntries = 0 }, "MaxInboxBytes": func(l *Limits) { l.MaxInboxBytes = protocol.MaxFrameBytes - 1 },
			"ForgetDevicesAfter": func(l *Limits) { l.ForgetDevicesAfter = 0 }, "StuckAfter": func(l *Limits) { l.StuckAfter = 0 },
			"MaxDeadletters": func(l *Limits) { l.MaxDeadletters = 0 }, "MaxDeadletterBytes": func(l *Limits) { l.MaxDeadletterBytes = 1 },
			"MaxSessionsPerUser": func(l *Limits) { l.MaxSessionsPerUser = 0 }, "MaxFrameBytes": func(l *Limits) { l.MaxFrameBytes = protocol.MaxFrameBytes + 1 },
			"MaxFrameBytes is 8191": func(l *Limits) { l.MaxFrameBytes = leastFrameBytes - 1 }, "Rates.MaxRefusals": func(l *Limits) { l.Rates.MaxRefusals = 0 },
			"Rates.SlowFor": func(l *Limits) { l.Rates.SlowFor = -1 }, "Rates.User": func(l *Limits) { l.Rates.User = Rate{time.Second, 0} },
			"Rates.Session is -1ns": func(l *Limits) { l.Rates.Session = Rate{-1, 1} }, "Rates.Session": func(l *Limits) { l.Rates.Session = Rate{1, MaxBurst + 1} },
		} {
			bad := w.limitsWith(wrong)
			bad.MaxInboxEntries = min(bad.MaxInboxEntries, 10)
			if err := w.system.Reload(bad); err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("%s: %v", field, err)
			}
		}
		if send("f") {
			t.Error("limits that were refused hold")
		}
	})
}

// Whoever reloads may do so while everything runs.
func TestReloadDisturbsNobody(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice := w.v1("alice", &protocol.Connect{})
		var reloads sync.WaitGroup
		reloads.Go(func() {
			for n := range 1000 {
				if err := w.system.Reload(w.limitsWith(func(l *Limits) { l.MaxInboxEntries = 1000 + n })); err != nil {
					t.Error(err)
				}
			}
		})
		for n := range 200 {
			alice.sendID("bob", "hello", fmt.Sprint(n))
			if n%20 == 0 {
				synctest.Wait()
			}
		}
		reloads.Wait()
		synctest.Wait()
		if n := len(alice.confirmed()); n != 200 {
			t.Errorf("%d messages were confirmed", n)
		}
	})
}

// Whoever changes how long an actor may be stuck does so while one is.
func TestReloadedStuckAfterHolds(t *testing.T) {
	watchdogWorld(t, func(w *world, log *logText) {
		alice := w.connect("alice")
		defer hang[*protocol.Send](w, "bob")()
		if err := w.system.Reload(w.limitsWith(func(l *Limits) { l.StuckAfter = time.Minute })); err != nil {
			t.Fatal(err)
		}
		alice.send("bob", "hello")
		time.Sleep(50 * time.Second)
		if tree := w.tree(); tree.Stuck != 0 || len(log.lines("actor stuck")) != 0 {
			t.Errorf("before a minute: %+v", tree.Longest)
		}
		time.Sleep(20 * time.Second)
		if tree := w.tree(); tree.Stuck != 1 || len(log.lines("actor stuck")) != 1 {
			t.Errorf("after a minute: %+v", tree.Longest)
		}
	})
}

// A lower limit takes away what is beyond it when the next message is set aside.
func TestReloadedLimitOfDeadlettersHolds(t *testing.T) {
	inBubble(t, Config{MaxDeadletters: 5}, func(w *world) {
		alice := w.device("alice", "phone")
		w.crashOn("bob", "fatal")
		for n := range 5 {
			alice.poisons("bob", "fatal", fmt.Sprint(n))
		}
		if got := w.letters(10); len(got) != 5 {
			t.Fatalf("set aside: %+v", got)
		}
		if err := w.system.Reload(w.limitsWith(func(l *Limits) { l.MaxDeadletters = 2 })); err != nil {
			t.Fatal(err)
		}
		alice.poisons("bob", "fatal", "last")
		if got := w.letters(10); len(got) != 2 || got[1].ID != "last" {
			t.Errorf("2 may be set aside, and there are %+v", got)
		}
	})
}
