package actors

import "callboard/protocol"

// Conn is the socket of a session, as the session sees it. Package transport
// implements it.
//
// Only the session calls it, one call at a time, and no method waits for the
// network: what the network does not take at once, the Conn keeps and goes on
// writing by itself.
type Conn interface {
	// Write puts a message behind what already waits and returns the number of
	// bytes that wait now.
	Write(m protocol.Message) (waiting int)

	// Control puts a WebSocket control frame behind what already waits.
	Control(c Control) (waiting int)

	// Flush hands the network as much as it takes. It returns true when nothing
	// waits any more; otherwise the Conn goes on by itself and calls
	// [Link.Flushed] once, when all is written or has failed. Until that call
	// the session does not call Flush again.
	Flush(l *Link) bool

	// Close ends the connection without a further word. It may be called again.
	Close()
}

// Control is a WebSocket control frame that a session sends.
type Control struct {
	Op      ControlOp
	Payload []byte             // of a pong: what the ping carried, at most 125 bytes
	Code    protocol.CloseCode // of a close frame
	Reason  string             // of a close frame, at most protocol.MaxReasonBytes

	// Drop, of a close frame, throws away whatever waits and has not begun to
	// leave: the peer does not read it anyway.
	Drop bool
}

// ControlOp is the kind of a control frame, with the number that RFC 6455,
// section 5.2, gives it.
type ControlOp byte

// The control frames.
const (
	OpClose ControlOp = 8
	OpPing  ControlOp = 9
	OpPong  ControlOp = 10
)
