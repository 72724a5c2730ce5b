package actors

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// A full inbox that many want to write to is not read for each of them. What a device
// fetches is noticed at once, and what retention takes within lookEvery.
func TestFullInboxIsLookedAtSeldom(t *testing.T) {
	inBubble(t, Config{MaxInboxEntries: 4}, func(w *world) {
		phone := w.device("bob", "phone")
		w.mail("bob", 4)
		alice := w.v1("alice", &protocol.Connect{})
		sent := 0
		refused := func(n int) {
			t.Helper()
			before := len(alice.refused())
			for range n {
				sent++
				alice.sendID("bob", "one too many", fmt.Sprint("id ", sent))
			}
			synctest.Wait()
			if got := len(alice.refused()) - before; got != n {
				t.Fatalf("%d of %d were refused", got, n)
			}
		}
		taken := func(why string) {
			t.Helper()
			sent++
			id := fmt.Sprint("id ", sent)
			alice.sendID("bob", "there is room", id)
			synctest.Wait()
			if _, ok := alice.confirmed()[id]; !ok {
				t.Fatalf("it is not taken, though %s: %v", why, alice.refused()[id])
			}
		}
		reads, _ := w.store.calls()
		looks := func(most int, when string) {
			t.Helper()
			now, _ := w.store.calls()
			if n := now - reads; n > 2*most { // a look is two reads
				t.Errorf("%s the inbox was read %d times, want %d looks at most", when, n, most)
			}
			reads = now
		}

		refused(100)
		looks(1, "for 100 refusals in one moment")
		for range 10 {
			time.Sleep(lookEvery / 10)
			refused(10)
		}
		looks(1, "for 100 refusals within lookEvery")

		phone.ack(1)
		synctest.Wait()
		taken("the phone has fetched one")
		refused(1)

		w.store.trim("bob", 2)
		refused(1)
		time.Sleep(lookEvery)
		taken("retention took one")
	})
}
