package transport

import (
	"net/netip"
	"sync"
	"time"

	"callboard/actors"
)

// attempts is how often each address has asked for a connection lately. Any goroutine may use it.
type attempts struct {
	mu    sync.Mutex
	of    map[netip.Addr]asked // guarded by mu, as the rest
	sweep int                  // with so many addresses those are forgotten that have not asked lately
	next  time.Duration        // and not before this
}

// asked is what is known of an address.
type asked struct {
	connections actors.Bucket // that it was given
	refusals    actors.Bucket // that it was told of
}

func (a asked) full(now time.Duration) bool {
	return max(time.Duration(a.connections), time.Duration(a.refusals)) <= now
}

const (
	// maxAddresses is how many addresses are remembered, 40 bytes and more each. With one more some
	// other is forgotten, whichever.
	maxAddresses = 65_536

	// leastSweep is how many are not worth looking through.
	leastSweep = 1024

	// sweepEvery is the time between two looks through all: a flood from ever new addresses is not to
	// make each attempt one.
	sweepEvery = time.Second
)

func newAttempts() *attempts { return &attempts{of: make(map[netip.Addr]asked), sweep: leastSweep} }

// welcome is what becomes of an attempt.
type welcome uint8

const (
	letIn      welcome = iota
	turnedAway         // with an answer that says when to come back
	cut                // without a word: it has had as many answers as it could have had connections
)

// ask counts an attempt. If it is turned away, retry is for how long the next one would be.
func (a *attempts) ask(from netip.Addr, rate actors.Rate, now time.Duration) (how welcome, retry time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	who, known := a.of[from]
	who.connections, who.refusals = who.connections.Under(rate, now), who.refusals.Under(rate, now)
	switch {
	case who.connections.Tokens(rate, now) > 0:
		who.connections = who.connections.Take(rate, now, 1)
	case who.refusals.Tokens(rate, now) > 0:
		who.refusals = who.refusals.Take(rate, now, 1)
		how = turnedAway
	default:
		how = cut
	}
	if !known {
		a.makeRoom(now)
	}
	a.of[from] = who
	return how, who.connections.Delay(rate, now, 1)
}

// makeRoom forgets who has not asked lately, or else somebody: seldom enough to cost nothing for each attempt.
func (a *attempts) makeRoom(now time.Duration) {
	if len(a.of) >= a.sweep && now >= a.next {
		for from, who := range a.of {
			if who.full(now) {
				delete(a.of, from)
			}
		}
		a.sweep, a.next = max(leastSweep, min(2*len(a.of), maxAddresses)), now+sweepEvery
	}
	if len(a.of) < maxAddresses {
		return
	}
	for from := range a.of {
		delete(a.of, from)
		return
	}
}

// household is the address that attempts are counted for: of IPv6 its /64, which is what a
// subscriber has.
func household(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		network, _ := addr.Prefix(64) // which any has
		return network.Addr()
	}
	return addr
}
