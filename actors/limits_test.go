package actors

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

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
		if err := w.system.Reload(Limits{MaxInboxEntries: 3, MaxInboxBytes: protocol.MaxInboxBytes, ForgetDevicesAfter: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if !send("d") || send("e") {
			t.Error("the second limit does not hold")
		}
		for _, wrong := range []Limits{
			{0, protocol.MaxInboxBytes, time.Hour}, {10, protocol.MaxFrameBytes - 1, time.Hour}, {10, protocol.MaxInboxBytes, 0},
		} {
			if w.system.Reload(wrong) == nil {
				t.Errorf("%+v is taken", wrong)
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
				if err := w.system.Reload(Limits{1000 + n, protocol.MaxInboxBytes, time.Hour}); err != nil {
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
