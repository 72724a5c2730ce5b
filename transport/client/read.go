package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/gorilla/websocket"

	"callboard/protocol"
)

// read is the client's goroutine: it takes messages off the socket until that
// ends. Gorilla answers pings and the server's close frame on the way.
func (c *Client) read() {
	defer close(c.ended)
	for {
		m, err := c.next()
		if err != nil {
			c.why = err
			_ = c.ws.Close() // nothing can be read any more; why says what happened
			return
		}
		select {
		case c.messages <- m:
		case <-c.closing: // reads on for the server's close frame
		}
	}
}

// next reads one message. A frame that is none of the protocol's ends the
// connection: whatever speaks there, it is not Callboard.
func (c *Client) next() (protocol.Message, error) {
	kind, frame, err := c.ws.ReadMessage()
	if err != nil {
		return nil, ended(err)
	}
	if kind != websocket.TextMessage {
		return nil, c.fail(protocol.CloseUnsupportedData, errors.New("a binary frame"))
	}
	m, err := protocol.DecodeJSON(frame, nil)
	if err != nil {
		return nil, c.fail(protocol.ClosePolicyViolation, err)
	}
	switch m.(type) {
	case *protocol.Receive, *protocol.Error:
		return m, nil
	}
	return nil, c.fail(protocol.ClosePolicyViolation, errors.New("a "+m.Type().String()))
}

func (c *Client) fail(code protocol.CloseCode, fault error) error {
	goodbye := websocket.FormatCloseMessage(int(code), string(code.Word()))
	err := c.ws.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(protocol.CloseTimeout))
	return errors.Join(fmt.Errorf("the server sent what it should not: %w", fault), err)
}
