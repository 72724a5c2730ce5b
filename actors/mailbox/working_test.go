package mailbox_test

import (
	"testing"
	"testing/synctest"
	"time"

	"callboard/actors/mailbox"
)

func TestWorkingHasWhoeverHasSomethingToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		workers := &mailbox.Workers{}
		defer workers.Close()
		workers.Watch(10*time.Second, func(mailbox.Found) {})
		const many = 1000 // more than are looked at under one lock
		held := make(block)
		boxes := make(map[mailbox.Owner]bool)
		for i := range many {
			w := newWorker(workers)
			w.handle = func(message any) {
				if message, ok := message.(block); ok {
					<-message
				}
			}
			boxes[w] = i%2 == 0
			if i%2 == 0 {
				w.box.PostUserMessage(held)
				w.box.PostUserMessage("behind")
				w.box.PostUserMessage("behind")
			}
		}
		synctest.Wait()
		look := func() (n int, since time.Time) {
			workers.Working(func(one mailbox.Working) {
				if !boxes[one.Owner] || one.Queued != 2 || one.Actor != "unknown" {
					t.Fatalf("%+v", one)
				}
				n, since = n+1, one.Since
			})
			return n, since
		}
		if n, since := look(); n != many/2 || !since.IsZero() {
			t.Errorf("%d, since %v", n, since)
		}
		time.Sleep(30 * time.Millisecond) // far less than a tick of a second
		if n, since := look(); n != many/2 || !since.IsZero() {
			t.Errorf("the clock has not moved: %d, since %v", n, since)
		}
		time.Sleep(30 * time.Millisecond)
		if n, since := look(); n != many/2 || time.Since(since) != 60*time.Millisecond {
			t.Errorf("the last look has moved the clock: %d, since %v", n, since)
		}
		time.Sleep(time.Minute)
		if _, since := look(); time.Since(since) != time.Minute+60*time.Millisecond {
			t.Errorf("for %v", time.Since(since))
		}
		close(held)
		synctest.Wait()
		if n, _ := look(); n != 0 {
			t.Errorf("%d work, and there is nothing to do", n)
		}
	})
}
