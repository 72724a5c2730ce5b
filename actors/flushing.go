package actors

import (
	"errors"
	"os"
	"runtime"
)

// How what a session has for its peer gets into the Conn and onto the network, which may take no more.

// flushEarly is how many bytes wait at most, in a mailbox that does not drain,
// before the network is offered them.
const flushEarly = 64 << 10

// wrote keeps the bound on what may wait: a peer that reads too slowly is closed
// rather than collected for. Only one that the network has stalled for is slow;
// one that nothing was offered to is not.
func (s *session) wrote(waiting int) {
	s.unflushed = true
	s.burst++
	switch {
	case s.stalled && waiting > s.link.system.config.MaxWaitingBytes:
		s.slow()
	case !s.stalled && waiting >= flushEarly:
		s.flush()
	}
}

// flushed goes on after the network had taken no more.
func (s *session) flushed(msg *flushed) {
	s.flows()
	switch {
	case msg.err == nil:
	case errors.Is(msg.err, os.ErrDeadlineExceeded) && s.state <= delivering:
		s.unflushed = true
		s.slow()
	default:
		s.end(closeAbnormal, "the connection broke")
	}
}

// Drained implements mailbox.Owner: all that was posted has been written into
// the Conn, so now is the time to let it go. A node that is busy enough for bursts
// lets the others on first: sessions then flush one behind the other, and the kernel
// wakes a peer that serves many of them once and not for each (callboard bench relay,
// window 16 and 64: 15 % and 12 % less of the processor for a message). What travels
// alone does not wait.
func (s *session) Drained() {
	s.countDelivered()
	if s.burst > 1 && !s.stalled {
		runtime.Gosched()
	}
	s.burst = 0
	if s.state == ended || !s.flush() {
		return
	}
	s.acknowledge()
	if s.state == closing && s.peerGone {
		s.end(s.code, s.reason)
	}
}

// flush returns true when nothing waits in the Conn.
func (s *session) flush() bool {
	if s.stalled {
		return false
	}
	if s.unflushed {
		s.unflushed = false
		if s.stalled = !s.conn.Flush(&s.link); s.stalled {
			s.link.system.counts.stalled.Add(1)
		}
	}
	return !s.stalled
}

// flows: the network takes more again, or nobody waits for it any longer.
func (s *session) flows() {
	if s.stalled {
		s.stalled = false
		s.link.system.counts.stalled.Add(-1)
	}
}
