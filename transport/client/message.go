package client

import (
	"fmt"
	"time"

	"callboard/protocol"
)

// A Message is one that somebody sent to this user.
type Message struct {
	Seq      uint64          // Its place in this user's inbox.
	Epoch    uint32          // The numbering that Seq belongs to; see Cursor.
	ID       string          // The one that the sender gave it.
	Sender   protocol.UserID // The service vouches for it.
	Receiver protocol.UserID // This user.
	Content  string
	At       time.Time // When the service took it, to the millisecond.

	// Traceparent is the span that it was sent in (see WithTraceparent), or the first of a trace
	// that the service has begun with it; mostly empty.
	Traceparent string

	client *Client
	age    uint64
}

func newMessage(m *protocol.Receive, epoch uint32, age uint64) *Message {
	return &Message{
		Seq: m.Seq, Epoch: epoch, ID: m.Id, Sender: protocol.UserID(m.Sender), Receiver: protocol.UserID(m.Receiver),
		Content: m.Content, At: time.UnixMilli(m.At), Traceparent: m.Traceparent, age: age,
	}
}

// Ack says that the program has done with this message and with all before it:
// they do not come again, to this device. It does not wait; see Client about when
// the service hears of it. Any goroutine may call it, any number of times.
func (m *Message) Ack() { m.client.acknowledge(m.Seq, m.age) }

// A GapError says that messages are missing: the service removed them, because they
// were too old or too many, before this device had them. What follows is complete
// again.
type GapError struct {
	First, Last uint64 // The places in the inbox, both included.
}

// Error says how many are missing.
func (e *GapError) Error() string {
	return fmt.Sprintf("%d messages are missing, %d to %d: the service removed them before this device had them",
		e.Last-e.First+1, e.First, e.Last)
}
