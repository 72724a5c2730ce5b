package actors

import (
	"time"

	"callboard/protocol"
)

// How a session of the seed's dialect, whose client acknowledges nothing, tells its
// user what has been delivered: what the network has taken.

const (
	// seedWindow is how many messages may be on their way to a session of the seed's
	// dialect, which are those that are not yet written.
	seedWindow = 256

	// reportAfter is after how many messages such a session tells its user what was
	// written: seldom enough to cost little, and often enough that a store in memory
	// can let them go while they are still in the processor's cache.
	reportAfter = 32

	// ackEvery is how long it puts that off while there are fewer. A kill -9 within
	// that time brings these messages again.
	ackEvery = 200 * time.Millisecond
)

// acknowledge tells the user what the network has taken, in the seed's dialect: at
// once if that is much or the session ends, and else within ackEvery.
func (s *session) acknowledge() {
	if s.link.dialect != Seed || s.last == s.reported {
		return
	}
	s.taken = s.last
	switch {
	case s.last-s.reported >= reportAfter, s.owed >= protocol.MaxWindowBytes/2, s.state == closing:
		s.report()
	case !s.ackTimer:
		s.ackTimer = true
		s.link.system.after(ackEvery, s.link.pid, msgAckDue)
	}
}

func (s *session) ackDue() {
	s.ackTimer = false
	if s.taken > s.reported {
		s.report()
	}
}

func (s *session) report() {
	s.reported, s.owed = s.taken, 0
	s.link.system.post(s.link.user, &ack{s.link.user, s.link.pid, "", s.taken})
}
