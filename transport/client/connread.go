package client

import (
	"errors"
	"fmt"
	"os"

	"github.com/gorilla/websocket"

	"callboard/protocol"
)

// Read returns the next message; it waits for it until the connection ends. The
// error is a *ClosedError if the server closed the connection, and ErrClosed after
// Close; it stays the same from then on. Several goroutines may call Read, and get
// the messages between them.
//
// What the message holds was decoded and no more: whether it is one that this
// dialect has at this moment is the caller's to judge.
func (c *Conn) Read() (protocol.Message, error) {
	c.reading.take()
	defer c.reading.give()
	if c.isClosing() {
		return nil, ErrClosed
	}
	m, err := c.read()
	if err != nil && c.isClosing() {
		return nil, ErrClosed
	}
	return m, err
}

// read reads one message, or notes why there are no more. Who calls it holds
// reading.
func (c *Conn) read() (protocol.Message, error) {
	if c.why != nil {
		return nil, c.why
	}
	m, err := c.next()
	if err == nil {
		return m, nil
	}
	c.why = err
	c.mu.Lock()
	c.ended = err
	c.mu.Unlock()
	_ = c.nc.Close() // nothing can be read any more; why says what happened
	return nil, err
}

// next reads one message. A frame that is none of the protocol's ends the
// connection: whatever speaks there, it is not Callboard. Gorilla sees to
// fragments, pings and the server's close frame on the way.
func (c *Conn) next() (protocol.Message, error) {
	kind, r, err := c.ws.NextReader()
	if err != nil {
		return nil, c.ending(err)
	}
	b := newBuffer()
	defer b.free()
	if _, err := b.ReadFrom(r); err != nil {
		return nil, c.ending(err)
	}
	if kind != c.kind {
		return nil, c.fail(protocol.CloseUnsupportedData, errors.New("a frame of the wrong kind, text or binary"))
	}
	m, err := c.codec.Decode(b.b, nil)
	if err != nil {
		return nil, c.fail(protocol.ClosePolicyViolation, err)
	}
	return m, nil
}

// ending is why a connection ended on which reading failed with err.
func (c *Conn) ending(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the server has fallen silent: %w", err)
	}
	return ended(err)
}

// fail closes a connection on which the server broke the protocol.
func (c *Conn) fail(code protocol.CloseCode, fault error) error {
	c.sayGoodbye(code)
	return fmt.Errorf("the server sent what it should not: %w", fault)
}

// pong answers a ping.
func (c *Conn) pong(mark string) error {
	c.control(websocket.PongMessage, []byte(mark))
	return nil
}

// answer answers the server's close frame, if it is not the answer to ours.
func (c *Conn) answer(code int, _ string) error {
	if code == websocket.CloseNoStatusReceived {
		code = websocket.CloseNormalClosure
	}
	c.sayGoodbye(protocol.CloseCode(code))
	return nil
}
