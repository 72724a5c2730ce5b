package client

import (
	"net"
	"sync"
	"time"
)

// A hush is a net.Conn on which reading fails when the other side has been silent
// for too long. It counts bytes, not messages: a long frame that comes slowly is no
// silence.
type hush struct {
	net.Conn

	mu    sync.Mutex
	limit time.Duration // 0: silence may last for ever
	armed time.Time     // the deadline that is set
	end   time.Time     // of all reading; zero: none
}

// Read implements net.Conn.
func (h *hush) Read(b []byte) (int, error) {
	h.mu.Lock()
	if h.limit > 0 && h.end.IsZero() {
		// Moving the deadline costs more than looking at it: an eighth makes no difference.
		if next := time.Now().Add(h.limit); next.Sub(h.armed) > h.limit/8 {
			h.arm(next)
		}
	}
	h.mu.Unlock()
	return h.Conn.Read(b)
}

// set changes the limit, and starts it anew.
func (h *hush) set(limit time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.limit = limit
	switch {
	case !h.end.IsZero():
	case limit > 0:
		h.arm(time.Now().Add(limit))
	default:
		h.arm(time.Time{})
	}
}

// until ends all reading at a time, however much comes, unless it ends before.
func (h *hush) until(end time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.end.IsZero() || end.Before(h.end) {
		h.end = end
		h.arm(end)
	}
}

func (h *hush) arm(deadline time.Time) {
	h.armed = deadline
	_ = h.SetReadDeadline(deadline) // fails on a closed connection alone, where reading fails too
}
