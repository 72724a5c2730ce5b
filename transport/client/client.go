package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"callboard/protocol"
)

// A Client is one connection of one user. Its methods may be called by many
// goroutines at once.
type Client struct {
	ws *websocket.Conn // read by read, written with writing held, control frames and the end by anyone

	writing sync.Mutex // one writer of messages at a time, as gorilla wants it
	frame   []byte     // what is being written; writing guards it

	pinging sync.Mutex // one Ping at a time
	pings   uint64     // how many there were; pinging guards it
	pongs   chan string

	messages chan protocol.Message // from read to Receive
	ended    chan struct{}         // closed by read at its end
	why      error                 // why read ended: its own until ended is closed, then constant

	closing  chan struct{} // closed by Close: nobody waits for messages any more
	close    sync.Once
	closeErr error // what Close returns; close guards it
}

func newClient(ws *websocket.Conn) *Client {
	c := &Client{
		ws:       ws,
		pongs:    make(chan string, 1),
		messages: make(chan protocol.Message),
		ended:    make(chan struct{}),
		closing:  make(chan struct{}),
	}
	ws.SetReadLimit(protocol.MaxReceiveBytes)
	ws.SetPongHandler(c.pong)
	go c.read() // Close waits for its end
	return c
}

// Send writes a message to receiver. With an id, of 1 to
// protocol.MaxMessageIDBytes, a refusal can be told from others; without one it is
// sent nameless. A nil error says that the message was handed to the network,
// and no more.
//
// A *protocol.FrameError says that the message is not one that the server would
// take, and was not sent. One write takes protocol.WriteTimeout at most; if it, or
// the context, ends in the middle of a frame, the connection is of no use any more.
func (c *Client) Send(ctx context.Context, receiver protocol.UserID, content, id string) error {
	if err := check(receiver, content, id); err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	c.frame = protocol.AppendJSON(c.frame[:0], &protocol.Send{Receiver: string(receiver), Content: content, Id: id})
	if len(c.frame) > protocol.MaxFrameBytes {
		size := len(c.frame)
		return &protocol.FrameError{
			Code: protocol.CodeTooLarge, ID: id, Field: "content",
			Reason: fmt.Sprintf("content: the frame would have %d bytes, the limit is %d", size, protocol.MaxFrameBytes),
		}
	}
	if err := c.ws.SetWriteDeadline(deadline(ctx, protocol.WriteTimeout)); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return c.wrote(ctx, c.ws.WriteMessage(websocket.TextMessage, c.frame))
}

// check refuses what the server would refuse, or would get in another form than
// the caller meant.
func check(receiver protocol.UserID, content, id string) error {
	if _, err := protocol.ParseUserID(string(receiver)); err != nil {
		return &protocol.FrameError{Code: protocol.CodeInvalidUserID, Field: "receiver", Reason: "receiver: " + err.Error()}
	}
	if id != "" {
		if _, err := protocol.ParseMessageID(id); err != nil {
			return &protocol.FrameError{Code: protocol.CodeInvalidMessage, Field: "id", Reason: err.Error()}
		}
	}
	if !utf8.ValidString(content) {
		return &protocol.FrameError{Code: protocol.CodeInvalidUTF8, ID: id, Field: "content", Reason: "content: not valid UTF-8"}
	}
	return nil
}

// wrote turns the outcome of a write into what the caller is told: if the
// connection has been closed, why.
func (c *Client) wrote(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, websocket.ErrCloseSent):
		return fmt.Errorf("sending: %w", err)
	}
	select {
	case <-c.ended:
		return c.end()
	case <-c.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Receive returns the next message, a *protocol.Receive or, as the answer to a
// Send that was refused, a *protocol.Error. It waits for one until the context is
// done; that ends this call and nothing else.
//
// The error is a *ClosedError if the server has closed the connection, and
// ErrClosed after Close.
func (c *Client) Receive(ctx context.Context) (protocol.Message, error) {
	select {
	case m := <-c.messages:
		return m, nil
	case <-c.ended:
		return nil, c.end()
	case <-c.closing:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Ping asks the server for a sign of life and waits for it: when it returns nil
// the server has read everything that was sent before. Somebody has to call
// Receive meanwhile, for the answer comes behind the messages.
func (c *Client) Ping(ctx context.Context) error {
	c.pinging.Lock()
	defer c.pinging.Unlock()
	c.pings++
	mark := strconv.FormatUint(c.pings, 10)
	err := c.ws.WriteControl(websocket.PingMessage, []byte(mark), deadline(ctx, protocol.WriteTimeout))
	if err := c.wrote(ctx, err); err != nil {
		return err
	}
	for {
		select {
		case answered := <-c.pongs:
			if answered == mark { // another is that of a Ping that gave up
				return nil
			}
		case <-c.ended:
			return c.end()
		case <-c.closing:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pong passes a pong on to Ping. If one is there already, it is of a Ping that
// gave up.
func (c *Client) pong(mark string) error {
	select {
	case <-c.pongs:
	default:
	}
	c.pongs <- mark // read is the only one who fills it
	return nil
}

// Close says goodbye and waits for the server's answer, until the context is done
// and for protocol.CloseTimeout at most. It ends every other call, throws away
// what was not received, and lets the connection go in any case: the error, nil if
// the server had closed already, only says that the server did not answer.
func (c *Client) Close(ctx context.Context) error {
	c.close.Do(func() {
		close(c.closing)
		ctx, cancel := context.WithTimeout(ctx, protocol.CloseTimeout)
		defer cancel()
		goodbye := websocket.FormatCloseMessage(int(protocol.CloseNormal), string(protocol.CodeNormal))
		err := c.ws.WriteControl(websocket.CloseMessage, goodbye, deadline(ctx, protocol.CloseTimeout))
		if err == nil || errors.Is(err, websocket.ErrCloseSent) {
			select {
			case <-c.ended:
			case <-ctx.Done():
			}
		}
		_ = c.ws.Close() // said what was to say; nobody is left to hear of an error
		<-c.ended
		if _, closed := errors.AsType[*ClosedError](c.why); !closed {
			c.closeErr = fmt.Errorf("closing: %w", c.why)
		}
	})
	return c.closeErr
}

// end is why the connection ended. It may be called when ended is closed.
func (c *Client) end() error {
	select {
	case <-c.closing:
		return ErrClosed
	default:
		return c.why
	}
}

// deadline is the earlier one of the context's and the one after limit.
func deadline(ctx context.Context, limit time.Duration) time.Time {
	at := time.Now().Add(limit)
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(at) {
		return earlier
	}
	return at
}
