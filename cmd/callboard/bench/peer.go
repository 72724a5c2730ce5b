package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"callboard/protocol"
	"callboard/transport/client"
)

// A peer is one user of a run: a connection, a goroutine that reads it and one that
// writes it. What the reader finds out the writer turns into frames, so that a burst
// that came in one read goes out in one write.
type peer struct {
	load  *load
	index int
	id    protocol.UserID
	conn  *client.Conn

	wake chan struct{} // to the writer: look again; holds one

	mu      sync.Mutex      // held for moments; it guards what follows
	credits int             // messages that may leave
	due     []time.Duration // when messages are due, with a rate
	seen    uint64          // the newest place of the inbox

	// The writer's.
	number uint64 // of the newest message
	acked  uint64
	sends  []*protocol.Send // used again
	batch  []protocol.Message
	text   []byte
}

// A peer acknowledges together with its next message, or when a part of its window is
// full, as the SDK does: the window is not what holds a run up.
const (
	ackEvery     = 64       // messages
	ackEveryByte = 64 << 10 // of content; protocol.MaxWindowBytes is four times that
)

// connect opens the connection, up to the server's CONNECT.
func (p *peer) connect(ctx context.Context, address string) error {
	subprotocol := p.load.config.Protocol.subprotocol()
	header, err := p.load.config.header(p.id)
	if err != nil {
		return err
	}
	conn, err := client.DialConn(ctx, address, p.id, client.ConnConfig{
		Subprotocol: subprotocol, Header: header, ReadBuffer: p.load.readBuffer(), NetDial: p.load.source.dialer(p.index), TLS: p.load.config.TLS,
	})
	if err != nil {
		return err
	}
	p.conn = conn
	if subprotocol == "" {
		return nil
	}
	defer context.AfterFunc(ctx, conn.Abort)()
	if err := conn.Write(&protocol.Connect{Device: "bench", Window: p.load.window()}); err != nil {
		return err
	}
	switch m, err := conn.Read(); m := m.(type) {
	case *protocol.Connect:
		return nil
	case *protocol.Error:
		return &client.RefusedError{Code: protocol.ErrorCode(m.Code), Reason: m.Reason}
	default:
		if err == nil {
			err = fmt.Errorf("the server answered CONNECT with a %s", m.Type())
		}
		return err
	}
}

// allow lets n more messages leave.
func (p *peer) allow(n int) {
	p.mu.Lock()
	p.credits += n
	p.mu.Unlock()
	p.look()
}

// owe says that a message is due. It returns false if too many are already.
func (p *peer) owe(due time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.due) >= maxDue {
		return false
	}
	p.due = append(p.due, due)
	p.look()
	return true
}

func (p *peer) look() {
	select {
	case p.wake <- struct{}{}:
	default: // it has been told already
	}
}

// write writes until the run ends or the connection does. The reader says why it did.
func (p *peer) write(stop <-chan struct{}) {
	for {
		if p.gather(); len(p.batch) > 0 {
			if p.conn.Write(p.batch...) != nil {
				return
			}
			continue
		}
		select {
		case <-p.wake:
		case <-stop:
			return
		}
	}
}

const (
	// maxBatch is how many messages go out in one write at most.
	maxBatch = 128

	// maxDue is how many messages of one user may be late.
	maxDue = 10_000
)

// gather collects what is to be written now.
func (p *peer) gather() {
	p.batch = p.batch[:0]
	p.mu.Lock()
	seen := p.seen
	n := min(p.credits, maxBatch)
	if p.load.config.Rate > 0 {
		n = min(n, len(p.due))
	}
	if p.load.over.Load() {
		n = 0
	}
	p.credits -= n
	now := p.load.now()
	for i := range n {
		due := now
		if p.load.config.Rate > 0 {
			due = p.due[i]
		}
		p.batch = append(p.batch, p.send(i, due))
	}
	if p.load.config.Rate > 0 {
		p.due = append(p.due[:0], p.due[n:]...)
	}
	p.load.sent.Add(uint64(n)) // under the lock: see halt
	p.mu.Unlock()
	if unacked := seen - p.acked; unacked > 0 && p.load.acknowledges() && (n > 0 || unacked >= p.load.ackEvery) {
		p.acked = seen
		p.batch = append(p.batch, &protocol.Ack{Seq: seen})
	}
}

// send makes the next message, in the i-th place of a batch. Its id repeats what the
// confirmation has to tell.
func (p *peer) send(i int, due time.Duration) *protocol.Send {
	if i == len(p.sends) {
		p.sends = append(p.sends, &protocol.Send{})
	}
	m := p.sends[i]
	p.number++
	s := stamp{run: p.load.run, sender: p.index, number: p.number, due: due}
	p.text = s.append(p.text[:0], p.load.config.Size)
	m.Content = string(p.text)
	m.Receiver = p.load.users[p.load.receiver(p.index, p.number)]
	p.text = strconv.AppendUint(p.text[:0], p.number, 10)
	p.text = strconv.AppendInt(append(p.text, '.'), int64(due), 10)
	m.Id = string(p.text)
	if !p.load.v1 {
		p.load.ledger.Confirm(p.index, p.number)
	}
	return m
}

// read takes in what comes until the connection ends.
func (p *peer) read() {
	for {
		m, err := p.conn.Read()
		if err != nil {
			if !errors.Is(err, client.ErrClosed) {
				p.load.lose(p, err)
			}
			return
		}
		switch m := m.(type) {
		case *protocol.Receive:
			p.receive(m)
		case *protocol.Sent:
			p.confirm(m)
		case *protocol.Error:
			p.refuse(m)
		}
	}
}

func (p *peer) receive(m *protocol.Receive) {
	l := p.load
	if m.Seq > 0 && l.v1 {
		p.mu.Lock()
		p.seen = max(p.seen, m.Seq)
		p.mu.Unlock()
		p.look()
	}
	s, ok := parseStamp(m.Content, l.run)
	if !ok || len(m.Content) != l.config.Size || s.sender >= len(l.peers) || l.users[s.sender] != m.Sender || l.receiver(s.sender, s.number) != p.index {
		l.ledger.Alter(p.index, m.Seq, "a content that was not sent to it")
		return
	}
	l.ledger.See(p.index, m.Seq, s.sender, s.number)
	l.received.Add(1)
	l.took(s.due, l.now())
	switch {
	case l.bounce():
		p.allow(1)
	case !l.v1 || l.config.Workload == Relay:
		l.peers[s.sender].allow(1)
	}
}

// confirm takes in a SENT.
func (p *peer) confirm(m *protocol.Sent) {
	l := p.load
	number, due, ok := parseID(m.Id)
	if !ok {
		l.ledger.Alter(p.index, m.Seq, "the confirmation of a message that it has not sent")
		return
	}
	l.confirmed.Add(1)
	l.ledger.Confirm(p.index, number)
	if l.measuring.Load() {
		l.toSent.Record(l.now() - due)
	}
	if l.config.Workload != Relay {
		p.allow(1)
	}
}

// refuse takes in an ERROR. The place of a refused message is free again.
func (p *peer) refuse(m *protocol.Error) {
	p.load.count(m.Code)
	if number, _, ok := parseID(m.Id); ok {
		p.load.refused.Add(1)
		p.load.ledger.Refuse(p.index, number)
		p.allow(1)
	}
}

// parseID reads what send wrote.
func parseID(id string) (number uint64, due time.Duration, ok bool) {
	first, second, ok := strings.Cut(id, ".")
	number, err := strconv.ParseUint(first, 10, 64)
	nanoseconds, err2 := strconv.ParseInt(second, 10, 64)
	return number, time.Duration(nanoseconds), ok && err == nil && err2 == nil && number > 0
}
