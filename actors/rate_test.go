package actors

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"callboard/protocol"
)

// drawRate is any Rate that bounds something.
func drawRate(rt *rapid.T, name string) Rate {
	return Rate{time.Duration(rapid.IntRange(1, 2_000_000_000).Draw(rt, name+" every")), rapid.IntRange(1, 300).Draw(rt, name+" burst")}
}

// A bucket of one number is held to one that counts its tokens.
func TestBucketGivesTheBurstAndThenTheRate(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := drawRate(rt, "rate")
		var b Bucket
		now := time.Duration(rapid.Int64Range(0, 1<<40).Draw(rt, "start"))
		stock, refilled := r.Burst, now // tokens, and up to when the next one has been filled
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			now += time.Duration(rapid.Int64Range(0, int64(r.Every)*3).Draw(rt, "pass"))
			for stock < r.Burst && refilled+r.Every <= now {
				stock, refilled = stock+1, refilled+r.Every
			}
			if stock == r.Burst {
				refilled = now
			}
			if got := b.Tokens(r, now); got != stock {
				rt.Fatalf("%d tokens, want %d", got, stock)
			}
			n := rapid.IntRange(1, r.Burst).Draw(rt, "want")
			wait := b.Delay(r, now, n)
			if (wait == 0) != (stock >= n) {
				rt.Fatalf("waits %v for %d of %d", wait, n, stock)
			}
			if wait > 0 && (b.Tokens(r, now+wait) < n || b.Tokens(r, now+wait-1) >= n) {
				rt.Fatalf("after %v there are %d, want just %d", wait, b.Tokens(r, now+wait), n)
			}
			if take := rapid.IntRange(0, stock).Draw(rt, "take"); take > 0 {
				b, stock = b.Take(r, now, take), stock-take
			}
		}
	})
}

// Who has used up a rate that has become faster meanwhile waits as long as the new one says: a session, its user, and both together.
func TestFasterRateForgivesTheDebtOfTheSlowerOne(t *testing.T) {
	slow, fast := Rate{time.Hour, 100}, Rate{time.Second, 3}
	for _, before := range []Rates{{Session: slow}, {User: slow}, {Session: slow, User: slow}} {
		p, m, now := &pacer{rates: before}, &meter{}, time.Duration(1000)
		p.rates.MaxRefusals = 1000
		for what := pass; what == pass; {
			if p.lease > 0 {
				p.lease--
			} else {
				what, _ = p.ask(m, now, true)
			}
		}
		if before.Session.Every > 0 {
			p.rates.Session = fast
		}
		if before.User.Every > 0 {
			p.rates.User = fast
		}
		if what, wait := p.ask(m, now, true); what != refuse || wait > 3*time.Second {
			t.Errorf("%+v: %v, for %v", before, what, wait)
		}
		passed := 0
		for end := now + time.Minute; now < end; now += time.Second {
			if p.lease > 0 {
				p.lease--
				passed++
			} else if what, _ := p.ask(m, now, true); what == pass {
				passed++
			}
		}
		if passed < 57 || passed > 60 {
			t.Errorf("%+v: %d pass in a minute at one each second", before, passed)
		}
	}
}

func TestRateOfZeroBoundsNothing(t *testing.T) {
	r, b := PerSecond(0, 7), Bucket(0)
	if r != (Rate{}) || b.Tokens(r, 0) != MaxBurst || b.Take(r, 5, 100) != b || b.Delay(r, 0, 100) != 0 {
		t.Errorf("%+v bounds something", r)
	}
	if r := PerSecond(50, 0); r != (Rate{20 * time.Millisecond, 50}) {
		t.Errorf("50 a second are %+v", r)
	}
}

// Whatever a client does and however its messages are leased: what passes in any time from the start is no more than the
// burst and the rate together, of the session and of the user; and a client that rests when it is told to is never expelled.
func TestPacerKeepsTheRates(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rates := Rates{Session: drawRate(rt, "session"), User: drawRate(rt, "user"), MaxRefusals: rapid.IntRange(1, 20).Draw(rt, "refusals")}
		rates.SlowFor = time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(rt, "slow"))
		heeds := rapid.Bool().Draw(rt, "heeds")
		p, m := &pacer{rates: rates}, &meter{}
		start := time.Duration(1000)
		now, passed := start, 0
		for range rapid.IntRange(1, 400).Draw(rt, "messages") {
			now += time.Duration(rapid.Int64Range(0, int64(rates.Session.Every)*2).Draw(rt, "pass") * rapid.Int64Range(0, 1).Draw(rt, "pauses"))
			what, wait := pass, time.Duration(0)
			if p.lease > 0 {
				p.lease--
			} else {
				for first := true; ; first = false {
					if what, wait = p.ask(m, now, first); what != slow {
						break
					}
					now += wait
				}
			}
			switch what {
			case pass:
				passed++
			case refuse:
				if !p.pressing || now-p.since < rates.SlowFor {
					rt.Fatalf("refused after %v, before it was slowed down for %v", now-p.since, rates.SlowFor)
				}
				if heeds {
					now += wait
				}
			case expel:
				if heeds || p.refusals <= rates.MaxRefusals {
					rt.Fatalf("expelled after %d refusals", p.refusals)
				}
				return
			}
			for _, r := range []Rate{rates.Session, rates.User} {
				if most := r.Burst + int((now-start)/r.Every) + 1; passed+p.lease > most {
					rt.Fatalf("%d passed within %v of %+v", passed, now-start, r)
				}
			}
		}
	})
}

func TestMetersOfThoseWhoWentAreForgottenInTime(t *testing.T) {
	r, m := Rate{time.Second, 10}, &meters{}
	link := func() *Link { return &Link{user: "alice"} }
	first, second := link(), link()
	m.lend(first)
	m.lend(second)
	if first.meter.Load() != second.meter.Load() {
		t.Fatal("two sessions of a user have two meters")
	}
	if got := first.meter.Load().draw(r, 0, 15); got != 10 {
		t.Fatalf("%d were drawn", got)
	}
	m.back(first, 0)
	m.back(second, 0)
	m.sweep(9 * time.Second)
	again := link()
	m.lend(again)
	if again.meter.Load().draw(r, 0, 1) != 0 {
		t.Error("who comes back finds the meter as new")
	}
	m.back(again, 0)
	m.sweep(10 * time.Second)
	if len(m.of) != 0 || m.left != nil {
		t.Errorf("%d meters are kept, %d names", len(m.of), len(m.left))
	}
	idle := link()
	m.lend(idle)
	m.back(idle, 0)
	if len(m.of) != 0 {
		t.Error("a meter is kept that says nothing")
	}
	m.left = make([]protocol.UserID, maxLeft)
	full := link()
	m.lend(full)
	full.meter.Load().draw(r, 0, 1)
	m.back(full, 0)
	if len(m.of) != 0 || len(m.left) > maxLeft {
		t.Error("meters of those who went are not bounded")
	}
}
