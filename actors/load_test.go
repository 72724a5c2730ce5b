package actors

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// loaded is what a look at the load says.
func (w *world) loaded(limit int) *Load {
	w.Helper()
	load, err := w.system.Load(w.Context(), limit)
	if err != nil {
		w.Fatal(err)
	}
	return load
}

func (l *Load) taken() (sum uint64) {
	for _, s := range l.Shards {
		sum += s.Taken
	}
	return sum + l.TakenBefore
}

// count is how often a word was counted.
func countOf(counts []CodeCount, word protocol.ErrorCode) uint64 {
	i := slices.IndexFunc(counts, func(c CodeCount) bool { return c.Code == word })
	if i < 0 {
		return 0
	}
	return counts[i].Count
}

func TestLoadCountsWhatPasses(t *testing.T) {
	inBubble(t, Config{PingInterval: time.Hour, MaxInboxEntries: 10}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		for i := range 7 {
			alice.sendID("bob", "hello", fmt.Sprint(i))
		}
		for i := range 12 { // two more than an inbox takes that nobody fetches from
			alice.sendID("ghost", "hello", fmt.Sprint(i))
		}
		synctest.Wait()
		load := w.loaded(10)
		if load.taken() != 19 || load.Kept != 17 || load.Delivered != 7 || load.Opened != 2 || load.Ended != 0 {
			t.Errorf("%d taken, %d kept, %d delivered, %d opened, %d ended", load.taken(), load.Kept, load.Delivered, load.Opened, load.Ended)
		}
		alice.sendID("bob", "hello", "one more")
		synctest.Wait()
		if again := w.loaded(10); again.Delivered != 8 || again.Kept != 18 {
			t.Errorf("%d delivered and %d kept, and one more than before was", again.Delivered, again.Kept)
		}
		if got := load.Refused; len(got) != 1 || got[0] != (CodeCount{protocol.CodeInboxFull, 2}) {
			t.Errorf("refused: %v", got)
		}
		w.system.HitLimit(LimitPending, "", "192.0.2.1:9", "")
		w.system.HitLimit("nobody knows it", "", "", "")
		want := []CodeCount{{protocol.CodeInboxFull, 2}, {LimitPending, 1}, {wordOther, 1}} // in the order of their list
		if got := w.loaded(10).Limits; !slices.Equal(got, want) {
			t.Errorf("limits: %v, want %v", got, want)
		}

		if _, err := w.system.Send(w.Context(), &protocol.Send{Sender: "system", Receiver: "ghost", Content: "x"}); err == nil {
			t.Error("it was taken")
		}
		if _, err := w.system.Send(w.Context(), &protocol.Send{Sender: "a/b", Receiver: "ghost"}); err == nil {
			t.Error("it was taken")
		}
		if _, err := w.system.CloseUser(w.Context(), "bob", protocol.CloseByOperator, "enough"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		bob.answerClose()
		alice.link.Gone(0)
		settled()
		load = w.loaded(10)
		if countOf(load.Refused, protocol.CodeInboxFull) != 3 || countOf(load.Refused, protocol.CodeInvalidUserID) != 1 {
			t.Errorf("refused: %v", load.Refused)
		}
		if load.Ended != 2 || countOf(load.Closed, protocol.CodeClosedByOperator) != 1 || countOf(load.Closed, wordAbnormal) != 1 {
			t.Errorf("%d ended: %v", load.Ended, load.Closed)
		}
	})
}

// What is counted only grows, or a rate would be below zero.
func TestLoadKeepsWhatShardsThatEndedHaveTaken(t *testing.T) {
	inBubble(t, Config{Shards: 4, PingInterval: time.Hour}, func(w *world) {
		alice := w.device("alice", "phone")
		for i := range 40 {
			alice.send(fmt.Sprint("u", i), "hello")
			synctest.Wait()
		}
		w.scale(1)
		settled()
		if load := w.loaded(1); len(load.Shards) != 1 || load.taken() != 40 {
			t.Errorf("%d shards, and %d messages were taken, want 40", len(load.Shards), load.taken())
		}
	})
}

func TestLoadNamesTheBusiestSinceTheLastLook(t *testing.T) {
	inBubble(t, Config{Shards: 3, PingInterval: time.Hour, MaxInFlight: 4}, func(w *world) {
		alice := w.device("alice", "phone")
		for i := range 60 {
			for range i {
				alice.send(fmt.Sprintf("u%02d", i), "hello")
				synctest.Wait()
			}
		}
		time.Sleep(2 * time.Second)

		first := w.loaded(5).Busiest

		for i, busy := range first {
			if want := protocol.UserID(fmt.Sprintf("u%02d", 59-i)); busy.User != want || busy.Messages != 59-i || busy.Over != 2*time.Second {
				t.Errorf("number %d is %+v, want %s", i, busy, want)
			}
		}
		if again := w.loaded(5).Busiest; !slices.Equal(first, again) {
			t.Errorf("who looks at once sees %v and not %v", again, first)
		}
		alice.send("u03", "hello")
		synctest.Wait()
		time.Sleep(time.Second)
		if now := w.loaded(5).Busiest; len(now) != 1 || now[0].User != "u03" || now[0].Messages != 1 || now[0].Over != time.Second {
			t.Errorf("the next round has %+v", now)
		}
		alice.send("u04", "hello")
		time.Sleep(time.Minute) // who was written to has left
		if now := w.loaded(5).Busiest; len(now) != 0 {
			t.Errorf("a quiet minute has %+v", now)
		}
	})
}

// Whatever comes in whatever order: nobody is left out who has an eighth more than the
// least of those who are named.
func TestBusiestLeavesNobodyOutWhoHasMuchMore(t *testing.T) {
	for seed := range 200 {
		random := rand.New(rand.NewPCG(uint64(seed), 0))
		var b busiest
		entries := make([]entry, 1+random.IntN(100))
		for i := range entries {
			entries[i].id = protocol.UserID(fmt.Sprint(i))
		}
		for range random.IntN(20_000) {
			b.count(&entries[min(random.IntN(len(entries)), random.IntN(len(entries)))])
		}
		named := map[protocol.UserID]int{}
		least := 1 << 30
		for _, u := range b.look(0, time.Second) {
			named[u.User] = u.Messages
			least = min(least, u.Messages)
		}
		if len(named) < maxBusy {
			least = 0
		}
		for i := range entries {
			e := &entries[i]
			if got, in := named[e.id]; in && got != int(e.taken) || !in && int(e.taken) > least+least/8 {
				t.Fatalf("seed %d: user %s has %d messages, is named with %d (%t), and the least named has %d", seed, e.id, e.taken, got, in, least)
			}
		}
	}
}

func TestStalledSessionsAreCounted(t *testing.T) {
	inBubble(t, Config{PingInterval: time.Hour}, func(w *world) {
		alice, bob, eve := w.device("alice", "phone"), w.device("bob", "phone"), w.device("eve", "phone")
		for _, p := range []*peer{bob, eve} {
			p.conn.stall()
			alice.send(string(p.link.User()), "hello")
		}
		synctest.Wait()
		if got := w.loaded(1).Stalled; got != 2 {
			t.Errorf("%d are stalled, and it is 2", got)
		}
		bob.conn.release(nil)
		eve.link.Gone(0)
		settled()
		if got := w.loaded(1).Stalled; got != 0 {
			t.Errorf("%d are stalled, and it is none", got)
		}
	})
}

func TestListSaysWhatEachSessionHasOutstanding(t *testing.T) {
	inBubble(t, Config{PingInterval: time.Hour}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		for range 5 {
			alice.send("bob", "hello")
		}
		synctest.Wait()
		bob.ack(3)
		synctest.Wait()
		for _, s := range w.sessionsListed(10) {
			if want := map[protocol.UserID]int{"bob": 2}[s.User]; s.Unacknowledged != want {
				t.Errorf("%s has %d outstanding, want %d", s.User, s.Unacknowledged, want)
			}
		}
	})
}

func BenchmarkBusiest(b *testing.B) {
	for _, users := range []int{1, 17, 100, 10_000} {
		b.Run(fmt.Sprintf("users=%d", users), func(b *testing.B) {
			var busy busiest
			entries := make([]entry, users)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				busy.count(&entries[i])
				if i++; i == users {
					i = 0
				}
			}
		})
	}
}
