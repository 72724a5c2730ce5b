package actors

import "time"

// pacer keeps one session to the Rates, in its reader, which is the only one that uses it. There
// is none while no Rate is set.
//
// A client that sends faster than it may is slowed down: the reader waits, reads no more, and
// TCP holds the client back. One that has pressed on for Rates.SlowFor without a rest is refused
// what comes above the rate, at the reader's full speed, and told how long a rest would do. One that was refused
// Rates.MaxRefusals times and still has not rested is closed. A rest is that half of the burst, the session's and the
// user's, is there when it sends again.
type pacer struct {
	rates    Rates
	of       *Limits // where rates are from: another one is another set of rates
	lease    int     // messages that may pass without a look at the clock
	used     Bucket  // of Rates.Session
	since    time.Duration
	pressing bool // since since: no rest from then on
	refusals int
}

// paced is what becomes of a message.
type paced uint8

const (
	pass   paced = iota
	slow         // it waits, and is asked about again
	refuse       // it is above the rate
	expel        // the session is to end
)

// ask is what becomes of the next message; first says that it has not waited yet. If it is slow or refused,
// wait is for how long.
func (p *pacer) ask(m *meter, now time.Duration, first bool) (what paced, wait time.Duration) {
	r := &p.rates
	p.used = p.used.Under(r.Session, now)
	if first && p.pressing && p.used.Tokens(r.Session, now) >= r.Session.half() && (m == nil || m.bucket(r.User, now).Tokens(r.User, now) >= r.User.half()) {
		p.pressing, p.refusals = false, 0
	}
	got := min(r.lease(), p.used.Tokens(r.Session, now))
	if got > 0 && m != nil {
		got = m.draw(r.User, now, got)
	}
	if got > 0 {
		p.used = p.used.Take(r.Session, now, got)
		p.lease = got - 1
		return pass, 0
	}
	if !p.pressing {
		p.pressing, p.since = true, now
	}
	if left := r.SlowFor - (now - p.since); left > 0 {
		return slow, max(min(p.wait(m, now, 1, 1), left), 1)
	}
	if p.refusals++; p.refusals > r.MaxRefusals {
		return expel, max(p.wait(m, now, r.Session.Burst, r.User.Burst), time.Second)
	}
	return refuse, max(p.wait(m, now, r.Session.half(), r.User.half()), time.Millisecond)
}

// wait is how long it takes until so many messages may come, of the session and of the user.
func (p *pacer) wait(m *meter, now time.Duration, session, user int) time.Duration {
	wait := p.used.Delay(p.rates.Session, now, session)
	if m != nil {
		wait = max(wait, m.bucket(p.rates.User, now).Delay(p.rates.User, now, user))
	}
	return wait
}
