package actors

import (
	"time"

	"callboard/protocol"
)

// How a Link's reader keeps to the Rates.

// paced is whether the next message may pass. It waits if the client is to be slowed down. While no Rate
// is set this costs a load.
func (l *Link) paced() (what paced, retry time.Duration) {
	if limits := l.system.limits.Load(); limits.Rates.on() {
		return l.pacedBy(limits)
	}
	return pass, 0
}

func (l *Link) pacedBy(limits *Limits) (what paced, retry time.Duration) {
	p := l.pacer
	switch {
	case p == nil:
		p = &pacer{of: limits, rates: limits.Rates}
		l.pacer = p
	case p.of != limits:
		p.of, p.rates, p.lease = limits, limits.Rates, 0
	}
	if p.lease > 0 {
		p.lease--
		return pass, 0
	}
	return l.pace(p)
}

// pace is paced for a message that needs a look at the clock.
func (l *Link) pace(p *pacer) (what paced, retry time.Duration) {
	var m *meter
	if p.rates.User.Every > 0 {
		if m = l.metered(); m == nil {
			return pass, 0 // the session has ended, and nothing passes
		}
	}
	for first := true; ; first = false {
		what, wait := p.ask(m, l.system.now(), first)
		if what != slow {
			return what, wait
		}
		l.system.counts.limits.add(LimitSlowed) // too often for an event
		if !l.rest(wait) {
			return refuse, wait
		}
		l.Heard() // it waits here, and not because the peer is silent
	}
}

// metered is the user's meter, which the gateway lends; nil if the session has ended.
func (l *Link) metered() *meter {
	if m := l.meter.Load(); m != nil {
		return m
	}
	wake := l.waker() // before the first look, or else the word could be missed
	l.system.root.Send(l.system.gateway, &lendMeter{l})
	for l.meter.Load() == nil && !l.ended.Load() {
		<-wake.word
	}
	return l.meter.Load()
}

// rest waits; false if the session is closing meanwhile, so that waiting makes no sense.
func (l *Link) rest(wait time.Duration) bool {
	until, wake := l.system.now()+wait, l.waker()
	timer := time.AfterFunc(wait, l.signal)
	defer timer.Stop()
	for l.system.now() < until && !l.leaving.Load() {
		<-wake.word
	}
	return !l.leaving.Load()
}

// leave says that the session is closing: its reader need not wait any more.
func (l *Link) leave() {
	l.leaving.Store(true)
	l.signal()
}

// overRate refuses a SEND, or ends the session. It returns false if that has ended.
func (l *Link) overRate(what paced, send *protocol.Send, retry time.Duration) bool {
	if what == expel {
		return l.expel(retry)
	}
	if l.leaving.Load() { // nobody would be told; it comes again with the next session
		return !l.ended.Load()
	}
	e := refusalOfRate(retry)
	e.Id = send.Id
	return l.refuse(e)
}

// expel closes the session, whose client does not heed what it is told. What it still sends is
// thrown away.
func (l *Link) expel(retry time.Duration) bool {
	l.expelled = true
	return l.post(&overRate{refusalOfRate(retry)})
}

func refusalOfRate(retry time.Duration) *protocol.Error {
	return &protocol.Error{Code: string(protocol.CodeRateLimited), Reason: "too many messages in too short a time; send nothing for as long as retry says", Retry: retryOf(retry)}
}

// retryOf is a time in the form that clients are told, in milliseconds and never too short.
func retryOf(d time.Duration) uint32 {
	return uint32(min((d+time.Millisecond-1)/time.Millisecond, 1<<32-1))
}

// expel is the session's end for what its reader says.
func (s *session) expel(msg *overRate) {
	s.hitLimit(protocol.CodeRateLimited, "the client goes on sending though it is refused")
	s.closeFor(msg.err, protocol.CloseRateLimited)
}

// closeFor closes the session and says before when it makes sense to come back, for which a close frame
// has no place.
func (s *session) closeFor(why *protocol.Error, code protocol.CloseCode) {
	if s.state < closing {
		s.wrote(s.conn.Write(why))
		s.close(Control{Code: code, Reason: why.Code})
	}
}
