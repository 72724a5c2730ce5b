package simulation

import (
	"callboard/actors"
	"callboard/protocol"
)

// What happens to a client, or what it does, on its connection.

func (c *client) stall() {
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	if c.conn.alive() {
		c.run.note("the network of %s stalls", c.conn.name)
		c.conn.stalled = true
	}
}

func (c *client) release() {
	c.run.mu.Lock()
	n := c.conn
	if n == nil || !n.stalled || n.cut {
		c.run.mu.Unlock()
		return
	}
	c.run.note("the network of %s goes on", n.name)
	n.stalled = false
	c.run.mu.Unlock()
	n.release(nil)
}

func (c *client) cut() {
	c.run.mu.Lock()
	n := c.conn
	alive := n.alive()
	if alive {
		c.run.note("%s is cut off", n.name)
	}
	c.run.mu.Unlock()
	if alive {
		n.breakOff()
	}
}

// closeInOrder sends CLOSE, behind what the client has sent.
func (c *client) closeInOrder() {
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	if n := c.conn; n.alive() {
		c.run.note("%s sends CLOSE", n.name)
		n.post(func(link *actors.Link) bool {
			link.Close(protocol.CloseNormal, "")
			return true
		})
		n.closing = true
	}
}

// closeFrame has the peer close its side.
func (c *client) closeFrame() {
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	if n := c.conn; n.alive() {
		c.run.note("%s sends a close frame", n.name)
		n.gone(protocol.CloseNormal)
	}
}
