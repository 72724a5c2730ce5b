package actors

import (
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// floods sends messages one behind the other until one cannot be sent, or enough have been.
func (p *peer) floods(to string, enough int) (stopped func()) {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := range enough {
			select {
			case <-over:
				return
			default:
			}
			if !p.sendID(to, "flood", fmt.Sprint(n)) {
				return
			}
		}
	}()
	return func() { close(over); <-done }
}

// hints are the ERRORs of a code, with the time that they name.
func (p *peer) hints(code protocol.ErrorCode) (found []*protocol.Error) {
	for _, e := range of[*protocol.Error](p.conn) {
		if e.Code == string(code) {
			found = append(found, e)
		}
	}
	return found
}

// The three steps, with their times: 10 messages at once, then 10 a second for 5 s, then refusals, then the end.
func TestWhoSendsTooMuchIsSlowedThenRefusedThenClosed(t *testing.T) {
	rates := Rates{Session: Rate{100 * time.Millisecond, 10}, SlowFor: 5 * time.Second, MaxRefusals: 300}
	inBubble(t, Config{Rates: rates}, func(w *world) {
		mallory, alice := w.v1("mallory", &protocol.Connect{}), w.v1("alice", &protocol.Connect{})
		bob := w.connect("bob")
		stop := mallory.floods("carol", 1000)
		synctest.Wait()
		if n := len(mallory.confirmed()); n != 10 {
			t.Fatalf("%d messages passed at once, want the burst", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(mallory.confirmed()); n != 30 || len(mallory.refused()) != 0 {
			t.Fatalf("%d messages passed in 2 s and %d were refused: it was not slowed down", n, len(mallory.refused()))
		}
		alice.sendID("bob", "others notice nothing", "1")
		synctest.Wait()
		if got := bob.conn.contents(); len(got) != 1 {
			t.Errorf("bob has %q", got)
		}
		if m := w.system.Metrics(); m.Limits[LimitSlowed] == 0 || m.Limits[protocol.CodeRateLimited] != 0 {
			t.Errorf("counted: %v", m.Limits)
		}
		if load := w.loaded(1); countOf(load.Limits, LimitSlowed) == 0 || len(load.Limits) != 1 || len(load.Refused) != 0 {
			t.Errorf("the load has the limits %v, and refused %v", load.Limits, load.Refused)
		}

		time.Sleep(3*time.Second - time.Millisecond)
		synctest.Wait()
		if n := len(mallory.refused()); n != 0 {
			t.Fatalf("%d were refused before the 5 s were over", n)
		}
		watch := w.watch(EventFilter{})
		time.Sleep(time.Millisecond)
		synctest.Wait()
		refused := mallory.hints(protocol.CodeRateLimited)
		if len(refused) != 301 {
			t.Fatalf("%d were refused, want 300 and the last word", len(refused))
		}
		if first, last := refused[0], refused[300]; first.Id == "" || first.Retry < 400 || first.Retry > 500 || last.Id != "" || last.Retry < 1000 {
			t.Errorf("the hints are %v and %v", first, last)
		}
		mallory.closedAs(protocol.CloseRateLimited)
		if m := w.system.Metrics(); m.Limits[protocol.CodeRateLimited] != 301 || m.Frames[protocol.CodeRateLimited] != 300 {
			t.Errorf("counted: %v, %v", m.Limits, m.Frames)
		}
		if told := w.eventsOf(watch, LimitHit); len(told) != 2 || told[0].Code != protocol.CodeRateLimited || told[0].User != "mallory" || told[1].Session != mallory.number() {
			t.Errorf("who watches is told %+v, want once for each step", told)
		}
		mallory.answerClose()
		stop()
		synctest.Wait()
		if m := w.system.Metrics(); m.Closes[protocol.CodeRateLimited] != 1 {
			t.Errorf("counted: %v", m.Closes)
		}
		alice.sendID("bob", "nor of the end", "2")
		synctest.Wait()
		if got := bob.conn.contents(); len(got) != 2 {
			t.Errorf("bob has %q", got)
		}
	})
}

func TestWhoHeedsTheHintIsNeverClosed(t *testing.T) {
	inBubble(t, Config{Rates: Rates{Session: Rate{time.Second, 10}, MaxRefusals: 3}}, func(w *world) {
		alice := w.v1("alice", &protocol.Connect{})
		id := 0
		for range 20 {
			for {
				alice.link.Heard() // it answers its pings
				id++
				alice.sendID("bob", "hello", fmt.Sprint(id))
				synctest.Wait()
				if refused := alice.hints(protocol.CodeRateLimited); len(refused) > 0 && refused[len(refused)-1].Id == fmt.Sprint(id) {
					time.Sleep(time.Duration(refused[len(refused)-1].Retry) * time.Millisecond)
					break
				}
			}
		}
		if _, closed := alice.conn.closeFrame(); closed || len(alice.refused()) != 20 {
			t.Errorf("closed %t, refused %d", closed, len(alice.refused()))
		}
	})
}

// The rate of a user is shared by all sessions, and outlives them.
func TestRateOfAUserHoldsForAllSessionsAndAfterThem(t *testing.T) {
	inBubble(t, Config{Rates: Rates{User: Rate{time.Second, 20}, MaxRefusals: 1000}}, func(w *world) {
		phone, desk, other := w.device("alice", "phone"), w.device("alice", "desk"), w.v1("olaf", &protocol.Connect{})
		for n := range 15 {
			phone.sendID("bob", "hello", fmt.Sprint("p", n))
			desk.sendID("bob", "hello", fmt.Sprint("d", n))
			other.sendID("bob", "hello", fmt.Sprint("o", n))
		}
		synctest.Wait()
		if n := len(phone.confirmed()) + len(desk.confirmed()); n != 20 {
			t.Errorf("%d messages of alice passed, want 20", n)
		}
		if n := len(other.confirmed()); n != 15 {
			t.Errorf("%d messages of another user passed, want all 15", n)
		}
		phone.hangUp()
		desk.hangUp()
		synctest.Wait()
		again := w.v1("alice", &protocol.Connect{})
		again.sendID("bob", "hello", "again")
		synctest.Wait()
		if len(again.confirmed()) != 0 {
			t.Error("who connects again has a new burst")
		}
		again.hangUp()
		time.Sleep(30 * time.Second)
		last := w.v1("alice", &protocol.Connect{})
		last.sendID("bob", "hello", "last")
		synctest.Wait()
		if len(last.confirmed()) != 1 {
			t.Error("nothing is forgiven")
		}
	})
}

func TestReloadedRatesHoldAtOnce(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice := w.v1("alice", &protocol.Connect{})
		taken := func(n int) int {
			before := len(alice.confirmed())
			for i := range n {
				alice.sendID("bob", "hello", fmt.Sprint(before, "-", i, "-", time.Now().UnixNano()))
				time.Sleep(time.Nanosecond)
			}
			synctest.Wait()
			return len(alice.confirmed()) - before
		}
		reload := func(r Rates) {
			if err := w.system.Reload(w.limitsWith(func(l *Limits) { l.Rates = r })); err != nil {
				t.Fatal(err)
			}
		}
		if n := taken(200); n != 200 {
			t.Fatalf("%d of 200 passed without a rate", n)
		}
		reload(Rates{Session: Rate{time.Hour, 7}, MaxRefusals: 1000})
		if n := taken(20); n != 7 {
			t.Errorf("%d passed, want 7", n)
		}
		reload(Rates{User: Rate{time.Hour, 5}, MaxRefusals: 1000})
		if n := taken(20); n != 5 {
			t.Errorf("%d passed, want 5", n)
		}
		reload(Rates{MaxRefusals: 1000})
		if n := taken(200); n != 200 {
			t.Errorf("%d of 200 passed when the rate was taken back", n)
		}
	})
}

// Pings and what is refused cost answers too.
func TestPingsAndFaultsCountForTheRate(t *testing.T) {
	for name, do := range map[string]func(*peer) bool{
		"ping":  func(p *peer) bool { return p.link.Ping([]byte("x")) },
		"fault": func(p *peer) bool { return p.link.Refuse(&protocol.Error{Code: string(protocol.CodeInvalidMessage)}) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{Rates: Rates{Session: Rate{time.Hour, 10}, SlowFor: time.Second, MaxRefusals: 20}}, func(w *world) {
				mallory := w.v1("mallory", &protocol.Connect{})
				began := time.Now()
				for range 31 {
					do(mallory)
				}
				synctest.Wait()
				if took := time.Since(began); took != time.Second {
					t.Errorf("it was slowed down for %v", took)
				}
				mallory.closedAs(protocol.CloseRateLimited)
			})
		})
	}
}

// A reader that waits is let go when its session ends, and a drain does not wait for it.
func TestSlowedReaderIsLetGoAtTheEnd(t *testing.T) {
	inBubble(t, Config{Rates: Rates{Session: Rate{time.Hour, 1}, SlowFor: time.Hour, MaxRefusals: 1000}}, func(w *world) {
		alice := w.v1("alice", &protocol.Connect{})
		stop := alice.floods("bob", 5)
		synctest.Wait()
		began := time.Now()
		if _, err := w.system.CloseUser(w.Context(), "alice", protocol.CloseByOperator, string(protocol.CodeClosedByOperator)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		stop()
		if took := time.Since(began); took != 0 {
			t.Errorf("the reader went on waiting for %v", took)
		}
		alice.closedAs(protocol.CloseByOperator)
		if n := len(alice.confirmed()); n != 1 {
			t.Errorf("%d were taken", n)
		}
	})
}

// A client that is slowed down for long is alive all the same.
func TestSlowedClientIsNotTakenForDead(t *testing.T) {
	inBubble(t, Config{Rates: Rates{Session: Rate{time.Second, 1}, SlowFor: time.Hour, MaxRefusals: 1000}}, func(w *world) {
		alice := w.v1("alice", &protocol.Connect{})
		stop := alice.floods("bob", 1000)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if _, closed := alice.conn.closeFrame(); closed || len(alice.confirmed()) != 301 {
			t.Errorf("closed %t, %d passed", closed, len(alice.confirmed()))
		}
		alice.hangUp()
		synctest.Wait()
		stop()
	})
}

func TestSessionTooManyIsToldWhenToComeBack(t *testing.T) {
	inBubble(t, Config{MaxSessionsPerUser: 1}, func(w *world) {
		w.v1("alice", &protocol.Connect{})
		second := w.tryV1("alice", &protocol.Connect{})
		synctest.Wait()
		if hints := second.hints(protocol.CodeTooManySessions); len(hints) != 1 || hints[0].Retry != 5000 {
			t.Errorf("told %v", hints)
		}
		if err := w.system.Reload(w.limitsWith(func(l *Limits) { l.MaxSessionsPerUser = 2 })); err != nil {
			t.Fatal(err)
		}
		third := w.v1("alice", &protocol.Connect{})
		if got := third.welcome().Limits.Sessions; got != 2 {
			t.Errorf("told that it may have %d sessions", got)
		}
	})
}

// The reader of a session waits for its meter, so the gateway must not lose the question.
func TestReaderIsLentItsMeterThoughTheGatewayFails(t *testing.T) {
	for _, times := range []int64{1, triesOnTheSpot + 1, 3*triesOnTheSpot + 5} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			inBubble(t, Config{Rates: Rates{User: Rate{time.Second, 2}, MaxRefusals: 1000}}, func(w *world) {
				alice := w.v1("alice", &protocol.Connect{})
				failed := w.failFirst("gateway", reflect.TypeFor[*lendMeter](), times)
				stop := alice.floods("bob", 3)
				time.Sleep(10 * time.Second)
				if n := len(alice.confirmed()); n != 2 || failed.Load() != times {
					t.Errorf("%d messages passed, want the burst of 2; the gateway failed %d times", n, failed.Load())
				}
				alice.hangUp()
				synctest.Wait()
				stop()
			})
		})
	}
}

// A question that is tried again when it has been answered borrows no meter twice: it would never be given back.
func TestMeterIsLentOnce(t *testing.T) {
	inBubble(t, Config{Rates: Rates{User: Rate{time.Second, 2}}}, func(w *world) {
		alice := w.v1("alice", &protocol.Connect{})
		alice.sendID("bob", "hello", "1")
		w.system.root.Send(w.system.gateway, &lendMeter{alice.link})
		synctest.Wait()
		if n := alice.link.meter.Load().links; n != 1 {
			t.Errorf("one session has the meter %d times", n)
		}
	})
}
