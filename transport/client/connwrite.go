package client

import (
	"fmt"
	"time"

	"github.com/gorilla/websocket"

	"callboard/protocol"
)

// Write hands messages to the network, as few system calls as they need. It may be
// called by many goroutines at once; the messages of one call stay together, and
// in their order.
//
// A *protocol.FrameError says that a message has a longer frame than the server
// would read: it was not written, nor were those behind it. After any other error
// the connection is of no use any more: a *ClosedError if the server has closed
// it, ErrClosed after Close. Each 64 KiB may take protocol.WriteTimeout.
func (c *Conn) Write(messages ...protocol.Message) error {
	c.writing.take()
	err := c.write(messages)
	c.writing.give()
	c.flushRest()
	return err
}

// write is Write for the one who holds writing.
func (c *Conn) write(messages []protocol.Message) error {
	for _, m := range messages {
		waiting, err := c.put(m)
		if err == nil && waiting >= maxFlush {
			err = c.flush()
		}
		if err != nil {
			_ = c.flush() // those before it; a broken connection shows itself again
			return err
		}
	}
	return c.flush()
}

// put adds the frame of a message to those that wait, and returns how many bytes
// they are.
func (c *Conn) put(m protocol.Message) (waiting int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.over(); err != nil {
		return 0, err
	}
	if c.out == nil {
		c.out = newBuffer()
	}
	b := beginFrame(c.out.b)
	start := len(b)
	b = c.codec.Append(b, m)
	if length := len(b) - start; length > protocol.MaxFrameBytes {
		return 0, tooLarge(m, length)
	}
	c.out.b = finishFrame(b, start, c.kind)
	return len(c.out.b), nil
}

// over is why nothing can be written any more, or nil. Who calls it holds mu.
func (c *Conn) over() error {
	switch {
	case c.closing:
		return ErrClosed
	case c.ended != nil:
		return c.ended
	case c.said:
		return ErrClosed // the other's goodbye was answered, and Read is about to say so
	}
	return nil
}

func tooLarge(m protocol.Message, size int) *protocol.FrameError {
	e := &protocol.FrameError{
		Code:   protocol.CodeTooLarge,
		Reason: fmt.Sprintf("frame: it would have %d bytes, the limit is %d", size, protocol.MaxFrameBytes),
	}
	if send, ok := m.(*protocol.Send); ok {
		e.ID, e.Field = send.Id, "content"
	}
	return e
}

// sayGoodbye sends a close frame, unless one is out already.
func (c *Conn) sayGoodbye(code protocol.CloseCode) {
	c.mu.Lock()
	first := !c.said
	c.said = true
	c.mu.Unlock()
	if first {
		c.control(websocket.CloseMessage, append([]byte{byte(code >> 8), byte(code)}, code.Word()...))
	}
}

// control sends a control frame. If somebody is writing just now the frame is left
// to them: the reader must not wait for a writer, who may wait for the server,
// which may wait for the reader.
func (c *Conn) control(opcode int, payload []byte) {
	c.mu.Lock()
	if c.out == nil {
		c.out = newBuffer()
	}
	if len(c.out.b) < 2*maxFlush { // a server that floods us with pings is owed nothing
		b := beginFrame(c.out.b)
		start := len(b)
		c.out.b = finishFrame(append(b, payload...), start, opcode)
	}
	c.mu.Unlock()
	c.flushRest()
}

// flushRest writes what waits, unless somebody is writing: they call it when they
// have done, so that nothing is left lying.
func (c *Conn) flushRest() {
	for {
		c.mu.Lock()
		empty := c.out == nil
		c.mu.Unlock()
		if empty || !c.writing.tryTake() {
			return
		}
		err := c.flush()
		c.writing.give()
		if err != nil {
			return // reading ends too, and says why
		}
	}
}

// flush writes what waits. Who calls it holds writing.
func (c *Conn) flush() error {
	for {
		c.mu.Lock()
		out := c.out
		c.out = nil
		c.mu.Unlock()
		if out == nil {
			return nil
		}
		if len(out.b) == 0 { // of a message that was refused
			out.free()
			continue
		}
		err := c.nc.SetWriteDeadline(time.Now().Add(protocol.WriteTimeout))
		if err == nil {
			_, err = c.nc.Write(out.b)
		}
		out.free()
		if err != nil {
			return c.broken(err)
		}
	}
}

// broken notes that writing has failed, perhaps in the middle of a frame. Reading
// goes on for a moment.
func (c *Conn) broken(err error) error {
	c.hush.until(time.Now().Add(lastWords))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = true
	if c.ended == nil {
		c.ended = fmt.Errorf("writing: %w", err)
	}
	return c.ended
}
