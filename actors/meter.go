package actors

import (
	"sync/atomic"
	"time"

	"callboard/protocol"
)

// meter is what all sessions of a user on this node have sent. The gateway makes one for a user
// who sends while there is a Rate for users, and keeps it until the user has no session and the meter
// says nothing any more: who comes back at once finds it as it was.
type meter struct {
	used  atomic.Int64 // a bucket; the readers of the user's sessions draw from it
	links int          // the gateway's: sessions that have it
}

// draw takes up to n messages and returns how many.
func (m *meter) draw(r Rate, now time.Duration, n int) int {
	for {
		used := m.used.Load()
		b := Bucket(used).Under(r, now)
		got := min(n, b.Tokens(r, now))
		if got > 0 {
			b = b.Take(r, now, got)
		}
		if int64(b) == used || m.used.CompareAndSwap(used, int64(b)) {
			return got
		}
	}
}

// bucket is what is used up, of a Rate that may be another than the one that was drawn by.
func (m *meter) bucket(r Rate, now time.Duration) Bucket {
	m.draw(r, now, 0)
	return Bucket(m.used.Load())
}

// meters are the gateway's.
type meters struct {
	of   map[protocol.UserID]*meter
	left []protocol.UserID // who have had no session; some have one again
}

// maxLeft is how many meters stay of users who have gone. Of one more nothing is remembered.
const maxLeft = 65_536

// lend gives a session's reader the meter of its user.
func (m *meters) lend(link *Link) {
	if m.of == nil {
		m.of = make(map[protocol.UserID]*meter)
	}
	of := m.of[link.user]
	if of == nil {
		of = &meter{}
		m.of[link.user] = of
	}
	of.links++
	link.meter.Store(of)
	link.signal()
}

// back takes the meter back from a session that has ended, if it had one.
func (m *meters) back(link *Link, now time.Duration) {
	of := link.meter.Load()
	if of == nil {
		return
	}
	if of.links--; of.links > 0 {
		return
	}
	if Bucket(of.used.Load()) <= Bucket(now) || len(m.left) >= maxLeft {
		delete(m.of, link.user)
		return
	}
	m.left = append(m.left, link.user)
}

// sweep forgets the meters that say nothing any more.
func (m *meters) sweep(now time.Duration) {
	stay := m.left[:0]
	for _, user := range m.left {
		switch of := m.of[user]; {
		case of == nil || of.links > 0: // it comes back to left with its last session
		case Bucket(of.used.Load()) <= Bucket(now):
			delete(m.of, user)
		default:
			stay = append(stay, user)
		}
	}
	clear(m.left[len(stay):])
	if m.left = stay; len(stay) == 0 {
		m.left = nil
	}
}
