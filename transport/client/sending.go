package client

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"callboard/protocol"
)

// A Receipt says that a message is kept: it is in the receiver's inbox, on disk,
// and stays there through a crash.
type Receipt struct {
	ID  string    // The message's own, given by the program or by the Client.
	Seq uint64    // Its place in the receiver's inbox.
	At  time.Time // When the service took it, to the millisecond.
}

// A Sending is a message on its way to being confirmed.
type Sending struct {
	message *protocol.Send
	client  *Client

	done    chan struct{} // closed when it is known what became of the message
	receipt Receipt       // constant from then on, as is err
	err     error

	// The outbox's; the Client's mu guards them.
	previous, following *Sending
	onWire              bool // written on the present connection
	written             bool // written on any
	waiters             int  // who still want it sent
}

// ID is the message's id.
func (s *Sending) ID() string { return s.message.Id }

// Done is closed when it is known what became of the message.
func (s *Sending) Done() <-chan struct{} { return s.done }

// Wait waits until it is known what became of the message, or until the context is
// done; that ends this call and nothing else. The errors are those of Client.Send.
func (s *Sending) Wait(ctx context.Context) (Receipt, error) {
	select {
	case <-s.done:
	case <-ctx.Done():
		return s.client.unfinished(s, ctx.Err())
	}
	return s.receipt, s.err
}

// A SendOption says something about one message.
type SendOption func(*protocol.Send)

// WithID gives a message an id of the program's own, of 1 to
// protocol.MaxMessageIDBytes bytes. Sent again to the same receiver under the same
// id it is not kept twice, however much later and by whichever process of the
// user: the first receipt comes back. Without it each message gets an id that no
// other Client gives.
func WithID(id string) SendOption { return func(m *protocol.Send) { m.Id = id } }

// WithTraceparent says in which span a message is sent, as W3C Trace Context writes it in the
// header of that name: the receiver's Message.Traceparent is the same, also if it comes much
// later. What is none is left out, as W3C has it, and the message is sent all the same.
func WithTraceparent(traceparent string) SendOption {
	return func(m *protocol.Send) {
		if protocol.IsTraceparent(traceparent) {
			m.Traceparent = traceparent
		}
	}
}

// A SendError says why there is no Receipt for a message.
type SendError struct {
	ID string // The message's.

	// Code is the service's word for the refusal, and this package's for what the
	// service would refuse: protocol.Codes explains it. It is empty if nobody
	// refused the message, and the cause is an error of another kind, which Unwrap
	// returns: the context's, ErrClosed, what ended the Client.
	Code   protocol.ErrorCode
	Reason string // In words, for people.

	// RetryAfter is how long the service would refuse the same again; 0 if it does not say. Until then
	// the Client sends nothing else either.
	RetryAfter time.Duration

	// Unconfirmed says that the message may be kept or not: it was written and no
	// answer came, or the service failed over it. To be certain send it again under
	// its ID.
	Unconfirmed bool

	cause error
}

// Error is the code or the cause, and what is known of the message.
func (e *SendError) Error() string {
	switch {
	case e.Code != "":
		return fmt.Sprintf("message refused: %s: %s", e.Code, e.Reason)
	case e.Unconfirmed:
		return fmt.Sprintf("message not confirmed: %v", e.cause)
	}
	return fmt.Sprintf("message not sent: %v", e.cause)
}

// Unwrap returns the cause, nil if there is a Code.
func (e *SendError) Unwrap() error { return e.cause }

// Temporary reports whether to send the message again, under its ID and after a
// pause, is safe and may help: the service could not keep it just then, nobody
// knows whether it did, or the receiver's inbox is full until the receiver comes,
// which may be long, or too much was sent in too short a time (after RetryAfter). The Client does not do so itself after a refusal, because
// the message would then come behind later ones.
func (e *SendError) Temporary() bool {
	return e.Unconfirmed || e.Code == protocol.CodeInboxFull || e.Code == protocol.CodeRateLimited
}

// uncertain is whether a refusal with the code leaves open what became of the message.
func uncertain(code protocol.ErrorCode) bool {
	switch code {
	case protocol.CodeUnavailable, protocol.CodeStorageFull, protocol.CodeInternal:
		return true
	}
	return false
}

// newSending makes a message that the server would take, or says why it would not.
func (c *Client) newSending(receiver protocol.UserID, content string, options []SendOption) (*Sending, error) {
	m := &protocol.Send{Receiver: string(receiver), Content: content}
	for _, option := range options {
		option(m)
	}
	if m.Id == "" {
		m.Id = c.ids.next()
	}
	if bad := check(m); bad != nil {
		return nil, &SendError{ID: m.Id, Code: bad.Code, Reason: bad.Reason}
	}
	return &Sending{message: m, client: c, done: make(chan struct{}), waiters: 1}, nil
}

// check refuses what the server would refuse, or would get in another form than
// the caller meant.
func check(m *protocol.Send) *protocol.FrameError {
	if _, err := protocol.ParseUserID(m.Receiver); err != nil {
		return &protocol.FrameError{Code: protocol.CodeInvalidUserID, Field: "receiver", Reason: "receiver: " + err.Error()}
	}
	if _, err := protocol.ParseMessageID(m.Id); err != nil {
		return &protocol.FrameError{Code: protocol.CodeInvalidMessage, Field: "id", Reason: err.Error()}
	}
	if !utf8.ValidString(m.Content) {
		return &protocol.FrameError{Code: protocol.CodeInvalidUTF8, Field: "content", Reason: "content: not valid UTF-8"}
	}
	// JSON makes a byte six at most, and what stands around the content is short.
	if len(m.Content) < protocol.MaxFrameBytes/6-512 {
		return nil
	}
	b := newBuffer()
	defer b.free()
	b.b = protocol.AppendJSON(b.b, m)
	if size := len(b.b); size > protocol.MaxFrameBytes {
		return tooLarge(m, size)
	}
	return nil
}

// finish tells those who wait for a message. Who calls it holds mu, and has taken
// the message out of the outbox.
func (s *Sending) finish(receipt Receipt, err error) {
	s.receipt, s.err = receipt, err
	close(s.done)
	<-s.client.room
}
