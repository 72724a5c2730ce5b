package actors

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A user who comes and goes stays for the whole idle time after the last time.
func TestIdleTimeCountsFromTheLastSession(t *testing.T) {
	inBubble(t, Config{IdleAfter: 8 * time.Second}, func(w *world) {
		for range 3 {
			w.connect("bob").hangUp()
			time.Sleep(5 * time.Second)
		}
		time.Sleep(2500 * time.Millisecond) // 7.5 s after the last one
		if info := w.userInfo("bob"); info.State != "active" {
			t.Errorf("within the idle time bob is %q", info.State)
		}
		time.Sleep(16 * time.Second)
		if info := w.userInfo("bob"); info.State != "" {
			t.Errorf("long after the idle time bob is %q", info.State)
		}
	})
}

func TestSessionThatMeetsAParkedUserIsRefusedAtOnce(t *testing.T) {
	inBubble(t, Config{Intensity: Intensity{Failures: 1}}, func(w *world) {
		w.on(func(actor string, message any) {
			if _, ok := message.(*attach); ok && actor == "bob" {
				panic("nobody attaches to this one")
			}
		})
		began := time.Now()
		if _, err := w.tryConnect("bob"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("connecting to a user who fails on it: %v, want %v", err, ErrUnavailable)
		}
		if waited := time.Since(began); waited > 0 {
			t.Errorf("the answer took %v, want none", waited)
		}
	})
}

func TestStoppedSystemAnswersInsteadOfHanging(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		for range 2 { // the second time changes nothing
			if err := w.system.Stop(context.Background()); err != nil {
				t.Errorf("Stop: %v", err)
			}
		}
		if _, err := w.system.Connect(context.Background(), "bob", Seed, &fakeConn{}); !errors.Is(err, ErrDraining) {
			t.Errorf("Connect: %v, want %v", err, ErrDraining)
		}
		if _, err := w.system.DescribeUser(context.Background(), "bob"); !errors.Is(err, ErrDraining) {
			t.Errorf("DescribeUser: %v, want %v", err, ErrDraining)
		}
		synctest.Wait()
	})
}
