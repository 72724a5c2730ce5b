package client

import (
	"context"
	"time"

	"callboard/protocol"
)

// Send sends a text to a user, and returns when the service has confirmed that the
// message is kept. While there is no connection, or no room in the outbox, it waits;
// if the connection is lost it is sent again under the same id, which the service
// keeps once. What one goroutine sends is kept in its order.
//
// The error is a *SendError. If the context ends first, it says whether the message
// may have been sent: one that has not been written yet is not sent at all, one that
// has may be kept or not.
func (c *Client) Send(ctx context.Context, receiver protocol.UserID, content string, options ...SendOption) (Receipt, error) {
	s, err := c.SendAsync(ctx, receiver, content, options...)
	if err != nil {
		return Receipt{}, err
	}
	select {
	case <-s.done:
		return s.receipt, s.err
	case <-ctx.Done():
		return c.abandon(s, ctx.Err())
	}
}

// SendAsync is Send without the waiting: it returns as soon as there is room in the
// outbox, for which the context bounds the wait. From then on the message is sent,
// in the order of the calls, until the service answers or the Client ends.
func (c *Client) SendAsync(ctx context.Context, receiver protocol.UserID, content string, options ...SendOption) (*Sending, error) {
	s, err := c.newSending(receiver, content, options)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, s.failure(err)
	}
	select {
	case c.room <- struct{}{}:
	case <-c.over:
		return nil, s.failure(c.err)
	case <-ctx.Done():
		return nil, s.failure(ctx.Err())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		<-c.room
		return nil, s.failure(c.err)
	}
	before := c.outbox.add(s)
	if before == nil {
		signal(c.wake)
		return s, nil
	}
	<-c.room
	if before.message.Receiver != s.message.Receiver || before.message.Content != s.message.Content {
		return nil, &SendError{ID: s.message.Id, Code: protocol.CodeConflict, Reason: "another message under this id is on its way"}
	}
	before.waiters++
	return before, nil
}

// abandon is the end of a Send whose context has ended.
func (c *Client) abandon(s *Sending, cause error) (Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-s.done: // just now
		return s.receipt, s.err
	default:
	}
	err := s.failure(cause)
	if c.outbox.abandon(s) {
		s.finish(Receipt{}, err)
	}
	return Receipt{}, err
}

// unfinished is what a Wait returns whose context has ended.
func (c *Client) unfinished(s *Sending, cause error) (Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-s.done: // just now
		return s.receipt, s.err
	default:
		return Receipt{}, s.failure(cause)
	}
}

// failure is the error for a message that is given up because of cause. Who calls it
// holds the Client's mu, if the message is in the outbox.
func (s *Sending) failure(cause error) *SendError {
	return &SendError{ID: s.message.Id, Unconfirmed: s.written, cause: cause}
}

// sent is the service's confirmation. Who calls it holds mu, as for refused.
func (c *Client) sent(m *protocol.Sent) {
	if s := c.outbox.answered(m.Id); s != nil {
		s.finish(Receipt{ID: m.Id, Seq: m.Seq, At: time.UnixMilli(m.At)}, nil)
		signal(c.wake) // there may be room on the wire
	}
}

// refused is the service's refusal of a message.
func (c *Client) refused(m *protocol.Error) {
	if s := c.outbox.answered(m.Id); s != nil {
		code, wait := protocol.ErrorCode(m.Code), retryOf(m)
		if code == protocol.CodeRateLimited {
			c.pause = time.Now().Add(min(wait, maxRetryAfter))
		}
		s.finish(Receipt{}, &SendError{ID: m.Id, Code: code, Reason: m.Reason, RetryAfter: wait, Unconfirmed: uncertain(code)})
		signal(c.wake)
	}
}
