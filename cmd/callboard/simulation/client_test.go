package simulation

import (
	"fmt"
	"math/rand/v2"

	"callboard/actors"
	"callboard/protocol"
)

// client is a program of a user: one device, with what it remembers from one connection to
// the next. run.mu guards its fields.
type client struct {
	run    *run
	user   string
	device string // V1; empty: it shares the nameless one
	seed   bool   // speaks the seed's dialect
	eager  bool   // reads and acknowledges at once
	own    bool   // keeps its own cursor, and says it in CONNECT
	window uint32
	rude   bool // does not answer a close frame

	conn      *conn // the newest; may have ended
	conns     int
	received  uint64 // has everything up to here; of a named device
	sure      uint64 // the service knows it, and nothing takes that back; of a named device
	ids       int
	forgotten int        // by the operator, so often
	history   []*attempt // with an id, to be sent again
}

func (c *client) String() string {
	switch {
	case c.seed:
		return c.user + "/seed" + c.device
	case c.device == "":
		return c.user + "/nameless"
	}
	return c.user + "/" + c.device
}

func (c *client) named() bool { return !c.seed && c.device != "" }

// connect opens a connection. If there is one already, its peer has gone without a word.
func (c *client) connect() {
	r := c.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.conn.opening() {
		return // a program opens one at a time
	}
	c.conns++
	n := &conn{
		run: r, node: r.node, client: c, name: fmt.Sprintf("%s#%d", c, c.conns),
		jobs: make(chan func(*actors.Link) bool, 4096), refused: map[string]int{},
		window: 256, rude: c.rude, headThen: r.ledger.box(c.user).head, sureThen: c.sure,
	}
	if b := r.barriers[c.user]; b.stands() {
		n.barrier = b
	}
	n.rng = rand.New(rand.NewPCG(r.seed, uint64(len(r.conns)+1)))
	if !c.seed {
		n.hello = &protocol.Connect{Device: c.device, Window: c.window}
		n.window = int(c.window)
		if c.own {
			cursor := c.received
			n.hello.Cursor, n.hello.Epoch = &cursor, r.ledger.box(c.user).epoch
			if !c.named() {
				r.sure[c.user] = min(r.sure[c.user], cursor)
			}
		}
	}
	if !c.named() {
		n.sureThen = r.sure[c.user]
	}
	r.note("%s connects%s", n.name, cursorText(n.hello))
	c.conn = n
	r.conns = append(r.conns, n)
	go n.live()
}

func cursorText(hello *protocol.Connect) string {
	if hello == nil || hello.Cursor == nil {
		return ""
	}
	return fmt.Sprint(" and has everything up to ", *hello.Cursor)
}

// attempt is one SEND on its way.
type attempt struct {
	sender, receiver, id, content string
}

// send sends a message through the client's connection.
func (c *client) send(a *attempt) {
	r := c.run
	r.mu.Lock()
	defer r.mu.Unlock()
	n := c.conn
	if n == nil || n.last {
		return
	}
	r.note("%s sends %s", n.name, a)
	if a.id != "" {
		c.history = append(c.history, a)
	}
	n.post(func(link *actors.Link) bool {
		r.mu.Lock()
		r.ledger.tried(a)
		if !n.node.dead {
			n.owed++
			n.sends = append(n.sends, a)
		}
		r.mu.Unlock()
		next := link.Next()
		next.Receiver, next.Content, next.Id = a.receiver, a.content, a.id
		passed := link.Send()
		r.mu.Lock()
		defer r.mu.Unlock()
		if passed && !c.seed && !n.parting && !n.node.dead && n.owed > r.config.MaxInFlight {
			r.breaks("%s: %d sends wait for their answer, and %d may", n.name, n.owed, r.config.MaxInFlight)
		}
		return true
	})
}

func (a *attempt) String() string {
	return fmt.Sprintf("%s to %s: %s", or(a.id, "(no id)"), a.receiver, short(a.content))
}

// readSome reads up to so many of the messages that have come, and acknowledges the last.
func (c *client) readSome(most int) {
	r := c.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := c.conn; n != nil && !c.seed && !n.cut {
		n.readSome(most)
	}
}

// readSome reads unless the program has opened another connection since.
func (c *conn) readSome(most int) {
	most = min(most, len(c.unread))
	if most == 0 || c.client.conn != c {
		return
	}
	for _, m := range c.unread[:most] {
		c.client.reads(c, m)
		c.read = m.Seq
		c.covers(m.Seq)
	}
	c.unread = c.unread[most:]
	seq := c.read
	c.post(func(link *actors.Link) bool {
		c.run.mu.Lock()
		c.acked = max(c.acked, seq)
		c.run.mu.Unlock()
		link.Ack(seq)
		return true
	})
}

// reads is where a device sees a message: once, in order, and without a gap, repeats
// left aside.
func (c *client) reads(n *conn, m *protocol.Receive) {
	switch {
	case m.Seq == c.received+1:
		c.received++
	case m.Seq <= c.received:
		c.run.note("%s has seen %d before", n.name, m.Seq)
	case c.named():
		c.run.breaks("%s reads %d, and has everything up to %d alone", n.name, m.Seq, c.received)
	default:
		c.received = m.Seq // others with no name have had what is between
	}
}

// forget has the client lose its memory: it wants everything again, from the beginning.
func (c *client) forget() {
	r := c.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.named() && !c.conn.opening() {
		r.note("%s forgets everything", c)
		c.received, c.sure, c.own, c.conn = 0, 0, true, nil
	}
}
