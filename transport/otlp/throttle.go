package otlp

import (
	"hash/maphash"
	"math"
	"sync/atomic"
	"time"
)

const (
	// hopsOfMessage is how many hops a message has, about, on its way to one session.
	hopsOfMessage = 8

	// tickEvery is how often the throttle is adjusted.
	tickEvery = 100 * time.Millisecond

	all = math.MaxUint64
)

// throttle bounds how many hops are taken, whatever clients send: they cost time on the road of
// the messages. When there are too many it follows a smaller share of the traces, by a hash of
// the traceparent, so that nothing need be remembered and every place decides the same. The hash
// has a seed of its own, or a client could choose traces that are always followed.
type throttle struct {
	seed  maphash.Seed
	share atomic.Uint64 // a traceparent is followed whose hash is not above it
	asked atomic.Int64  // hops since the last tick
	room  atomic.Int64  // how many more are taken before the next
}

func newThrottle(rate int) *throttle {
	t := &throttle{seed: maphash.MakeSeed()}
	t.share.Store(all)
	t.room.Store(burst(rate))
	return t
}

// budget is how many hops a tick may have, and burst how many it has at most, until the share is
// adjusted.
func budget(rate int) float64 { return float64(rate) * hopsOfMessage * tickEvery.Seconds() }

func burst(rate int) int64 { return max(2*hopsOfMessage, int64(2*budget(rate))) }

// follows is whether the trace of a traceparent is in the share.
func (t *throttle) follows(traceparent string) bool {
	share := t.share.Load()
	return share == all || maphash.String(t.seed, traceparent) <= share
}

// take is whether there is room for a hop.
func (t *throttle) take() bool {
	t.asked.Add(1)
	return t.room.Add(-1) >= 0
}

// tick adjusts the share to what has come since the last tick. It goes down at once, and up by
// doubling.
func (t *throttle) tick(rate int) {
	asked := float64(t.asked.Swap(0))
	share := float64(t.share.Load())
	next := share * 2
	if asked > 0 {
		next = min(next, share*budget(rate)/asked)
	}
	if next >= all {
		t.share.Store(all)
	} else {
		t.share.Store(max(1, uint64(next)))
	}
	t.room.Store(burst(rate))
}
