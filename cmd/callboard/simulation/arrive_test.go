package simulation

import (
	"callboard/actors"
	"callboard/protocol"
)

// What reaches the peer, and what is checked of it on the spot. run.mu is held.

// arrives is called for each frame that the network has taken.
func (c *conn) arrives(frame any) {
	r := c.run
	switch m := frame.(type) {
	case *protocol.Receive:
		r.note("%s gets %d: %s", c.name, m.Seq, short(m.Content))
		c.receives(m)
	case *protocol.Connect:
		c.welcome(m)
	case *protocol.Sent:
		r.note("%s is told that %s is at %d", c.name, m.Id, m.Seq)
		r.ledger.confirmed(c.client.user, m.Id, m.Seq)
	case *protocol.Error:
		r.note("%s is told %s of %q", c.name, m.Code, m.Id)
		if m.Gap != nil {
			c.gap(m.Gap)
			return
		}
		c.refused[m.Id]++
	case actors.Control:
		c.control(m)
	}
}

func (c *conn) control(m actors.Control) {
	switch m.Op {
	case actors.OpPing:
		c.post(func(link *actors.Link) bool {
			link.Heard()
			return true
		})
	case actors.OpClose:
		c.run.note("%s is closed: %s", c.name, m.Code)
		c.farewell = m.Code
		if !c.rude {
			c.gone(m.Code)
		}
	}
}

// welcome is the answer to CONNECT: it says where delivery begins.
func (c *conn) welcome(m *protocol.Connect) {
	r := c.run
	cursor := m.GetCursor()
	r.note("%s is welcome: behind %d, the inbox ends at %d", c.name, cursor, m.Head)
	if c.welcomed {
		r.breaks("%s is welcomed twice", c.name)
	}
	c.welcomed = true
	c.passes()
	if b := r.ledger.box(c.client.user); m.Epoch == 0 || b.epoch != 0 && b.epoch != m.Epoch {
		r.breaks("%s is told of epoch %d, and was told of %d before", c.name, m.Epoch, b.epoch)
	} else if m.Head > 0 {
		b.epoch = m.Epoch
	}
	if m.Head < c.headThen || m.Head < cursor {
		r.breaks("%s is told that the inbox ends at %d, and %d was known to be in it, and it goes on behind %d", c.name, m.Head, c.headThen, cursor)
	}
	if asked := c.hello.Cursor; asked != nil && cursor != *asked && m.Gap == nil {
		r.breaks("%s asked for what is behind %d, and gets what is behind %d", c.name, *asked, cursor)
	}
	if m.Gap != nil {
		r.ledger.gap(c.client.user, m.Gap)
		if c.client.conn == c {
			c.client.received = max(c.client.received, m.Gap.Last)
		}
		r.covered[c.client.user] = max(r.covered[c.client.user], m.Gap.Last)
	}
	c.begins(cursor)
	c.read, c.acked = cursor, cursor
}

// passes checks that nobody is let in who was blocked when the connection began, and is still.
func (c *conn) passes() {
	if c.barrier.stands() && c.run.barriers[c.client.user] == c.barrier {
		c.run.breaks("%s is let in, and the user is blocked", c.name)
	}
}

// begins checks where delivery begins: nothing is left out, and what the service knew for
// sure is not sent again.
func (c *conn) begins(cursor uint64) {
	r := c.run
	c.start, c.taken = cursor, cursor
	had := r.covered[c.client.user]
	if c.client.named() {
		had = c.client.received
		if c.client.conn != c {
			return
		}
	} else if c.hello == nil || c.hello.Cursor == nil {
		for _, other := range r.conns {
			if other != c && other.alive() && !other.parting && other.client.user == c.client.user && other.client.seed && other.taken > 0 {
				had = min(had, other.taken)
			}
		}
	}
	if r.retention > 0 && c.sureThen == 0 {
		had = cursor // a device that is new to the service begins with what is left
		if c.client.conn == c {
			c.client.received = max(c.client.received, cursor)
		}
	}
	if cursor > had {
		r.breaks("%s begins behind %d, and has had everything up to %d alone", c.name, cursor, had)
	}
	if cursor < c.sureThen && (c.hello == nil || c.hello.Cursor == nil) {
		r.breaks("%s begins behind %d again, and the service knew that it had everything up to %d", c.name, cursor, c.sureThen)
	}
}

// receives checks a message: it is the next one, and it is what is there in the inbox.
func (c *conn) receives(m *protocol.Receive) {
	r := c.run
	user := c.client.user
	if c.client.seed && c.taken == 0 {
		c.begins(m.Seq - 1)
	}
	if m.Seq != c.taken+1 {
		r.breaks("%s gets %d after %d", c.name, m.Seq, c.taken)
	}
	c.taken = m.Seq
	r.ledger.saw(user, m)
	if c.client.seed {
		c.covers(m.Seq)
		return
	}
	c.unread = append(c.unread, m)
	if c.client.eager {
		c.readSome(len(c.unread))
	}
}

// covers notes what the nameless device of the user has had: in the seed's dialect what the
// network has taken, in V1 what the peer has read.
func (c *conn) covers(seq uint64) {
	if !c.client.named() {
		c.run.covered[c.client.user] = max(c.run.covered[c.client.user], seq)
	}
}

// gap is what retention took.
func (c *conn) gap(g *protocol.Gap) {
	r := c.run
	r.ledger.gap(c.client.user, g)
	if c.client.seed && c.taken == 0 {
		c.begins(g.First - 1)
	}
	if g.First != c.taken+1 {
		r.breaks("%s is told of a gap from %d on after %d", c.name, g.First, c.taken)
	}
	c.taken = g.Last
	c.covers(g.Last)
	if c.client.conn == c {
		c.readSome(len(c.unread))
		c.client.received = max(c.client.received, g.Last)
	}
}
