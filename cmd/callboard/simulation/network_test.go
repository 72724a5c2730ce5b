package simulation

import (
	"errors"
	"os"
)

// The network between the session and its peer.

// release ends a Flush that is under way, if there is one. Without an error the network
// has taken all of it.
func (c *conn) release(err error) {
	c.run.mu.Lock()
	link := c.flusher
	c.flusher = nil
	if link != nil {
		c.expiry.Stop()
		switch {
		case err == nil:
			c.take(len(c.leaving))
			c.bytes = 0
		case errors.Is(err, os.ErrDeadlineExceeded): // what is leaving stays first in the row
			c.stalled = c.rng.IntN(2) == 0
		default:
			c.leaving = nil
		}
	}
	c.run.mu.Unlock()
	if link != nil {
		link.Flushed(err)
	}
}

// take has the network take the first of what is leaving.
func (c *conn) take(n int) {
	for _, frame := range c.spoil(c.leaving[:n]) {
		if !c.node.dead {
			c.arrives(frame)
		}
	}
	c.leaving = c.leaving[n:]
}

// breakOff cuts the network. What the network had and the peer had not read is lost.
func (c *conn) breakOff() {
	c.run.mu.Lock()
	c.cut, c.unread, c.stalled = true, nil, false
	c.gone(0)
	c.run.mu.Unlock()
	c.release(errCut)
}

var errCut = errors.New("the connection was cut")
