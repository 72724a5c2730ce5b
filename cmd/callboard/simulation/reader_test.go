package simulation

import (
	"context"

	"callboard/actors"
	"callboard/protocol"
)

// post puts a job behind what the peer has sent before.
func (c *conn) post(job func(*actors.Link) (more bool)) {
	if c.last {
		return
	}
	select {
	case c.jobs <- job:
	default:
		c.run.breaks("%s: the peer has sent more than the simulation has room for", c.name)
	}
}

// gone has the reader say that nothing more comes, as its last word.
func (c *conn) gone(code protocol.CloseCode) {
	c.post(func(link *actors.Link) bool {
		link.Gone(code)
		return false
	})
	c.last = true
}

// live is the reader: it opens the session and does what the peer wants.
func (c *conn) live() {
	dialect := actors.V1
	if c.client.seed {
		dialect = actors.Seed
	}
	ctx, cancel := context.WithTimeout(context.Background(), protocol.HandshakeTimeout)
	link, err := c.node.system.Connect(ctx, protocol.UserID(c.client.user), dialect, c)
	cancel()
	c.run.mu.Lock()
	c.link, c.err = link, err
	if err != nil {
		c.run.note("%s is not let in: %v", c.name, err)
	} else if c.client.seed {
		c.welcomed = true
		if !c.parting { // a drain may have closed it first
			c.passes()
		}
	}
	c.run.mu.Unlock()
	if link != nil {
		if c.hello != nil && err == nil {
			link.Connect(c.hello)
		}
		for job := range c.jobs {
			if !job(link) {
				break
			}
		}
	}
	c.run.mu.Lock()
	c.ended, c.last = true, true
	c.run.mu.Unlock()
}
