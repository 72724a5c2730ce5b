package actors

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callboard/actors/inbox"
	"callboard/protocol"
)

func TestMetricsCountWhatHappens(t *testing.T) {
	onDisk(t, Config{PingInterval: time.Hour, MaxInboxEntries: 2, MaxSessionsPerUser: 1}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		for _, id := range []string{"1", "2"} {
			alice.sendID("bob", "hello", id)
		}
		synctest.Wait()
		alice.sendID("bob", "hello", "1") // again
		alice.sendID("bob", "other", "2") // another text
		for i := range 4 {
			alice.sendID("nobody", "full", fmt.Sprint("n", i))
		}
		alice.link.Refuse(&protocol.Error{Code: string(protocol.CodeInvalidMessage)})
		alice.link.Refuse(&protocol.Error{Code: "made up by a peer"})
		if second := w.tryV1("bob", &protocol.Connect{Device: "laptop"}); second != nil {
			synctest.Wait()
			second.answerClose()
		}
		bob.link.Gone(protocol.CloseCode(3999))
		synctest.Wait()
		time.Sleep(time.Second)

		m := w.system.Metrics()
		check := func(what string, got, want uint64) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %d, want %d", what, got, want)
			}
		}
		check("kept", m.Kept, 4)
		check("repeated", m.Repeated, 1)
		check("delivered", m.Delivered, 2)
		check("conflict", m.Refused[protocol.CodeConflict], 1)
		check("inbox_full", m.Refused[protocol.CodeInboxFull], 2)
		check("inbox_full, a limit", m.Limits[protocol.CodeInboxFull], 2)
		check("too_many_sessions", m.Limits[protocol.CodeTooManySessions], 1)
		check("invalid_message", m.Frames[protocol.CodeInvalidMessage], 1)
		check("other frames", m.Frames[wordOther], 1)
		check("other closes", m.Closes[wordOther], 1)
		check("too_many_sessions, a close", m.Closes[protocol.CodeTooManySessions], 1)
		check("opened", m.Opened, 3)
		check("ended", m.Ended, 2)
		check("bytes", m.KeptBytes, uint64(2*(len("hello")+len("alice")+1+32)+2*(len("full")+len("alice")+2+32)))
		check("messages of commits", uint64(m.Batches.Sum), 4)
		if m.Users < 2 || m.Parked != 0 || !m.Ready || m.Draining || m.Shards == 0 || m.Commits.Count == 0 {
			t.Errorf("%+v", m)
		}

		w.store.breaks(errDisk)
		alice.sendID("another", "lost", "3")
		synctest.Wait()
		m = w.system.Metrics()
		check("failed commits", m.FailedCommits, 1)
		check("unavailable", m.Refused[protocol.CodeUnavailable], 1)
		if m.Ready {
			t.Error("ready without a store")
		}
		w.store.breaks(nil)
		time.Sleep(time.Minute)
		w.store.breaks(inbox.ErrFull)
		for _, id := range []string{"4", "5"} {
			alice.sendID("another", "lost", id)
			synctest.Wait()
		}
		m = w.system.Metrics()
		check("storage_full", m.Refused[protocol.CodeStorageFull], 2)
		check("storage_full, a limit", m.Limits[protocol.CodeStorageFull], 2)
		w.store.breaks(nil)
		time.Sleep(10 * time.Minute)
		alice.link.Gone(0)
		time.Sleep(10 * time.Minute) // nobody has a reason to stay
		if m = w.system.Metrics(); m.Users != 0 {
			t.Errorf("%d users, and it is none", m.Users)
		}
		if m = w.system.Metrics(); m.Replaced == 0 || m.Failures != 0 {
			t.Errorf("%d replaced, %d failures", m.Replaced, m.Failures)
		}
	})
}

func TestMetricsCountFailuresAndTheParked(t *testing.T) {
	inBubble(t, Config{PingInterval: time.Hour, Intensity: Intensity{Failures: 1, Window: time.Minute, Park: time.Second, MaxPark: time.Second}}, func(w *world) {
		alice := w.connect("alice")
		w.connect("bob")
		w.crashOn("bob", "poison")
		for i := range 2 {
			alice.send("bob", fmt.Sprint("poison ", i))
			synctest.Wait()
		}
		if m := w.system.Metrics(); m.Failures != 2 || m.Parkings != 1 || m.Parked != 1 || m.Refused[protocol.CodeInternal] != 2 {
			t.Errorf("%+v", m)
		}
		time.Sleep(2 * time.Second)
		if m := w.system.Metrics(); m.Parked != 0 || m.Users != 2 {
			t.Errorf("%d parked, %d users", m.Parked, m.Users)
		}
	})
}

// A slow peer and one that says nothing are counted by the limit that ended them.
func TestMetricsNameTheLimitThatActed(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.connect("silent")
		shy, err := w.system.Connect(w.Context(), "shy", V1, &fakeConn{})
		if err != nil {
			t.Fatal(err)
		}
		defer shy.Gone(0)
		time.Sleep(5 * protocol.PingInterval)
		synctest.Wait()
		m := w.system.Metrics()
		if m.Limits[protocol.CodeHeartbeatTimeout] != 1 || m.Closes[protocol.CodeHeartbeatTimeout] != 1 || m.Limits[LimitHandshake] != 1 {
			t.Errorf("%v, %v", m.Limits, m.Closes)
		}
	})
}

// Every message is under way for three seconds, so every sample is three seconds.
func TestTimeOfASendIsThatOfItsAnswer(t *testing.T) {
	onDisk(t, Config{PingInterval: time.Hour}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		const messages = 40 * sampleEvery
		for i := range messages {
			if i%50 == 0 {
				w.store.pause(3 * time.Second)
			}
			alice.sendID("bob", "hello", fmt.Sprint(i))
			if i%50 == 49 {
				time.Sleep(4 * time.Second)
				synctest.Wait()
				bob.ack(uint64(i + 1))
			}
		}
		time.Sleep(10 * time.Second)
		m := w.system.Metrics()
		if n := m.Confirms.Count; n < 20 || n > 80 {
			t.Errorf("%d samples of %d messages", n, messages)
		}
		if mean := m.Confirms.Sum / float64(m.Confirms.Count); mean < 3 || mean > 6.1 {
			t.Errorf("%.1f s on average", mean)
		}
		if m.Confirms.AtMost(1) != 0 || m.Confirms.AtMost(3) != m.Confirms.Count {
			t.Errorf("%v", m.Confirms.Counts)
		}
		if n := m.Acks.Count; n < 20 || n > 80 {
			t.Errorf("%d samples of acknowledgements", n)
		}
		if mean := m.Acks.Sum / float64(m.Acks.Count); mean < 0.9 || mean > 1.1 {
			t.Errorf("%.3f s until a message is acknowledged", mean)
		}
		c := m.Commits
		if slow := c.Count - c.AtMost(1); slow < 40 || math.Abs(c.Sum-3*float64(slow)) > 0.1 {
			t.Errorf("%d commits of %.1f s, %d of them slow", c.Count, c.Sum, slow)
		}
		if got := len(alice.confirmed()); got != messages {
			t.Errorf("%d messages were confirmed", got)
		}
		for i := range w.system.stopwatches {
			if w.system.stopwatches[i].busy.Load() {
				t.Errorf("stopwatch %d runs though nothing is under way", i)
			}
		}
	})
}

func TestStopwatchesAreBounded(t *testing.T) {
	onDisk(t, Config{PingInterval: time.Hour}, func(w *world) {
		alice := w.device("alice", "phone")
		for i := range w.system.stopwatches {
			w.system.stopwatches[i].busy.Store(true)
		}
		for i := range 4 * sampleEvery {
			alice.sendID("bob", "hello", fmt.Sprint(i))
			synctest.Wait()
		}
		if got := len(alice.confirmed()); got != 4*sampleEvery || w.system.Metrics().Confirms.Count != 0 {
			t.Errorf("%d were confirmed", got)
		}
	})
}

func TestEveryValueIsInItsBucket(t *testing.T) {
	for value := uint64(1); value < 1<<41; value += value/3 + 1 {
		h := newTimes()
		h.add(value, 2)
		seconds := float64(value) * 1e-9
		r := h.read()
		if len(r.Counts) != 1 || r.Count != 2 || math.Abs(r.Sum-2*seconds) > 1e-9 {
			t.Fatalf("%d: %+v", value, r)
		}
		index := slices.Collect(maps.Keys(r.Counts))[0]
		below, above := math.Exp2(float64(index-1)/perOctave), math.Exp2(float64(index)/perOctave)
		if seconds > 1e-6 && seconds < 4000 && (seconds <= below*(1-1e-12) || seconds > above*(1+1e-12)) {
			t.Errorf("%g s are between %g and %g", seconds, below, above)
		}
	}
	h := newSizes()
	for _, value := range []uint64{0, 1, 2, 3, 4, 1 << 40} {
		h.add(value, 1)
	}
	r := h.read()
	for exponent, want := range map[int]uint64{-1: 0, 0: 2, 1: 3, 2: 5, 31: 5, 32: 6} {
		if got := r.AtMost(exponent); got != want {
			t.Errorf("%d are at most 2^%d, want %d", got, exponent, want)
		}
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	c := newCounts()
	if n := testing.AllocsPerRun(1000, func() {
		c.stripe(7).keep(3, 400)
		c.stripe(8).delivered.Add(1)
		c.refused.add(protocol.CodeInboxFull)
		c.frames.add("made up")
		c.limits.add(LimitInFlight)
		c.confirms.add(1234567, 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The limits, the codes and the labels are the same words.
func TestLabelsAreWords(t *testing.T) {
	c := newCounts()
	for _, list := range []words{c.refused, c.frames, c.closes, c.limits} {
		for word := range list {
			if word == "" || strings.Trim(string(word), "abcdefghijklmnopqrstuvwxyz_0123456789") != "" {
				t.Errorf("%q is no word", word)
			}
		}
	}
	for _, row := range protocol.Codes() {
		if row.Close != 0 && c.closes[row.Code] == nil {
			t.Errorf("closes with %s are not counted", row.Code)
		}
	}
}
