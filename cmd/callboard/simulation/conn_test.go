package simulation

import (
	"math/rand/v2"
	"net"
	"os"
	"time"

	"callboard/actors"
	"callboard/protocol"
)

// conn is a connection in memory: the socket that the session writes to, the network
// behind it, and the goroutine that reads for the session. run.mu guards its fields.
type conn struct {
	run    *run
	node   *node
	client *client
	name   string
	rng    *rand.Rand
	link   *actors.Link

	waiting []any // written and not flushed: a copy of a protocol.Message, or actors.Control
	bytes   int   // of waiting and leaving
	leaving []any // on its way out, and not taken by the network
	stalled bool  // the network takes nothing
	flusher *actors.Link
	expiry  *time.Timer // the network has taken nothing for the write timeout

	jobs     chan func(*actors.Link) (more bool) // what the peer has sent, in order
	last     bool                                // the last job is in jobs
	closing  bool                                // the peer has sent CLOSE
	closed   bool                                // by the session
	cut      bool                                // the network is gone
	farewell protocol.CloseCode                  // of the close frame that has arrived
	rude     bool                                // the peer does not answer a close frame
	ended    bool                                // the reader is done
	err      error                               // of Connect

	welcomed bool   // it is known where delivery began
	start    uint64 // where: the first RECEIVE is the next one
	taken    uint64 // newest RECEIVE that the network has taken
	wrote    uint64 // newest RECEIVE that was written
	unread   []*protocol.Receive
	read     uint64 // newest that the peer has read, in V1
	acked    uint64 // newest that the peer has acknowledged
	flying   []uint64
	window   int
	hello    *protocol.Connect
	headThen uint64   // of the user's inbox, as far as anybody was told, when it began
	sureThen uint64   // what the device had for sure then
	barrier  *barrier // that stood then

	sends   []*attempt // passed on by the reader
	owed    int        // of them without an answer, in V1
	refused map[string]int
	parting bool // a close frame was written: nothing is answered any more
}

var _ actors.Conn = (*conn)(nil)

// writeTimeout is transport's, about: a network that takes nothing for so long is given up.
// What ends in the same instant ends in no certain order, so the times of a run are odd.
const writeTimeout = protocol.WriteTimeout + 17*time.Millisecond

// Write implements actors.Conn.
func (c *conn) Write(m protocol.Message) int {
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	size := 64
	switch m := m.(type) {
	case *protocol.Receive:
		size += len(m.Content)
		c.waiting = append(c.waiting, copyOf(m)) // as a codec would: it may not change afterwards
		c.wroteReceive(m.Seq)
	case *protocol.Sent:
		for range c.answers() {
			c.answered()
			c.waiting = append(c.waiting, m)
		}
	case *protocol.Error:
		if m.Gap == nil {
			c.answered()
			c.told(m)
		}
		c.waiting = append(c.waiting, m)
	default:
		c.waiting = append(c.waiting, m)
	}
	c.bytes += size
	return c.bytes
}

// wroteReceive checks that no more is on its way than the window allows.
func (c *conn) wroteReceive(seq uint64) {
	if c.wrote != 0 && seq <= c.wrote {
		c.run.breaks("%s: message %d was written after %d", c.name, seq, c.wrote)
	}
	c.wrote = seq
	c.flying = append(c.flying, seq)
	c.landed()
	// What retention has taken does not fill the window of a session that attaches again.
	if len(c.flying) > c.window && c.run.retention == 0 {
		c.run.breaks("%s: %d messages are on their way, and the window is %d", c.name, len(c.flying), c.window)
	}
}

// landed takes out of flying what the server may know to have arrived.
func (c *conn) landed() {
	arrived := c.acked
	if c.client.seed {
		arrived = c.taken
	}
	for len(c.flying) > 0 && c.flying[0] <= arrived {
		c.flying = c.flying[1:]
	}
}

// answered counts an answer to a send. A session of the seed's dialect is told of
// refusals alone.
func (c *conn) answered() {
	if c.client.seed || c.node.dead {
		return
	}
	if c.owed--; c.owed < 0 {
		c.run.breaks("%s: more answers than sends", c.name)
	}
}

// Control implements actors.Conn.
func (c *conn) Control(control actors.Control) int {
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	if control.Drop {
		c.waiting, c.bytes = nil, 0
	}
	c.parting = c.parting || control.Op == actors.OpClose
	c.waiting = append(c.waiting, control)
	c.bytes += 2 + len(control.Payload)
	return c.bytes
}

// Flush implements actors.Conn.
func (c *conn) Flush(link *actors.Link) bool {
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	switch {
	case c.flusher != nil:
		c.run.breaks("%s: a Flush while a Flush was under way", c.name)
	case c.closed || c.cut:
		go link.Flushed(net.ErrClosed)
		return false
	}
	c.leaving, c.waiting = append(c.leaving, c.waiting...), nil
	if c.stalled {
		c.take(c.rng.IntN(len(c.leaving) + 1))
		c.flusher = link
		c.expiry = time.AfterFunc(writeTimeout, func() { c.release(os.ErrDeadlineExceeded) })
		return false
	}
	c.take(len(c.leaving))
	c.bytes = 0
	return true
}

// Close implements actors.Conn.
func (c *conn) Close() {
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	c.closed = true
	if c.expiry != nil {
		c.expiry.Stop()
	}
	c.gone(0)
}

// opening is whether it is not known yet what becomes of it.
func (c *conn) opening() bool {
	return c != nil && c.node == c.run.node && !c.node.dead && c.link == nil && c.err == nil
}

// alive is whether the session can be expected to work.
func (c *conn) alive() bool {
	return c != nil && !c.node.dead && c.node == c.run.node && c.link != nil && c.err == nil &&
		!c.closed && !c.cut && !c.closing && c.farewell == 0 && !c.last && c.welcomed
}

func copyOf(m *protocol.Receive) *protocol.Receive {
	return &protocol.Receive{Seq: m.Seq, Id: m.Id, Sender: m.Sender, Receiver: m.Receiver, Content: m.Content, At: m.At}
}
