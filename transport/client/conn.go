package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"callboard/protocol"
)

// A Conn is one connection of one user, in any dialect: what it is told it writes,
// what comes it returns, and when it ends it has ended. It starts no goroutine, and
// at rest it holds no buffer but the small one that it reads into, so that a
// program can have very many. A [Client] is a Conn that comes back.
//
// Somebody has to be in Read: it also answers the server's pings.
type Conn struct {
	ws   *websocket.Conn // read by whoever holds reading, written by nobody
	nc   net.Conn        // ws's: written by whoever holds writing, closed by anyone
	hush *hush           // nc's, below TLS

	codec protocol.Codec
	kind  int // of the frames that carry messages

	reading turn  // one Read at a time
	why     error // why reading ended; reading guards it

	writing turn // one flush at a time

	mu      sync.Mutex // held for moments; it guards what follows
	out     *buffer    // frames that wait for a flush; nil: none
	closing bool       // Close was called: nobody reads messages any more
	said    bool       // a close frame is out or on its way: nothing may follow it
	ended   error      // why, for those who write
}

// maxFlush is how many bytes are written under one deadline, about: a network
// that takes that much in time is slow but alive.
const maxFlush = 64 << 10

// lastWords is how long is read on when writing has failed: the server may have
// said why it went.
const lastWords = time.Second

func newConn(ws *websocket.Conn, h *hush, codec protocol.Codec) *Conn {
	c := &Conn{ws: ws, nc: ws.NetConn(), hush: h, codec: codec, kind: websocket.TextMessage, reading: make(turn, 1), writing: make(turn, 1)}
	if codec == protocol.Proto {
		c.kind = websocket.BinaryMessage
	}
	ws.SetReadLimit(protocol.MaxReceiveBytes)
	ws.SetPingHandler(c.pong)
	ws.SetPongHandler(func(string) error { return nil })
	ws.SetCloseHandler(c.answer)
	return c
}

// Subprotocol is the dialect that was agreed on; empty for the seed's.
func (c *Conn) Subprotocol() string { return c.ws.Subprotocol() }

// SetSilence makes reading fail when nothing at all, no ping either, has come for
// that long; 0 waits for ever. It starts with 0.
func (c *Conn) SetSilence(limit time.Duration) { c.hush.set(limit) }

// Close says goodbye with a close code, and waits for the server's answer, until
// the context is done and for protocol.CloseTimeout at most. From then on Read
// returns ErrClosed; messages that come are thrown away. The connection is let go
// in any case: the error, nil if the server had closed already, only says that the
// server did not answer.
func (c *Conn) Close(ctx context.Context, code protocol.CloseCode) error {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()

	limit, cancel := context.WithTimeout(ctx, protocol.CloseTimeout)
	defer cancel()
	end, _ := limit.Deadline()
	c.hush.until(end)
	defer context.AfterFunc(limit, c.Abort)()
	c.sayGoodbye(code)

	c.reading.take()
	defer c.reading.give()
	for c.why == nil {
		_, _ = c.read() // until it ends, and why has the error
	}
	if closed, ok := errors.AsType[*ClosedError](c.why); ok && closed != nil {
		return nil
	}
	return fmt.Errorf("closing: %w", c.why)
}

// Abort lets the connection go at once, without a word. It ends Read, Write and
// Close.
func (c *Conn) Abort() { _ = c.nc.Close() } // nobody is left to hear of an error

// A turn is a lock that is held while waiting for the network. It is a channel, so
// that in a synctest bubble who waits for it counts as waiting.
type turn chan struct{}

func (t turn) take() { t <- struct{}{} }
func (t turn) give() { <-t }

func (t turn) tryTake() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

// isClosing reports whether Close was called.
func (c *Conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}
