package client

import (
	"context"
	"iter"
)

// Messages is what the user receives, each once and in the order of the inbox, over
// all connections. The loop waits for the next message until the context is done.
//
// A message is acknowledged when the loop asks for the one behind it: leave the loop
// in the middle of one, and the next loop, or the next program, begins with it. Call
// Message.Ack before leaving, if it is done with. With Config.ManualAck only
// Message.Ack acknowledges, and a loop that is left has had what it has had.
//
// An error stands in the place of a message. A *GapError says that messages are
// missing between the one before and the one behind, and the loop may go on. Any
// other is the last: the context's, ErrClosed after Close, or what ended the Client,
// a *ClosedError or a *RefusedError.
//
// One loop at a time: another one gets ErrReceiving.
func (c *Client) Messages(ctx context.Context) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		if !c.receiving.CompareAndSwap(false, true) {
			yield(nil, ErrReceiving)
			return
		}
		defer c.receiving.Store(false)
		for {
			it, err := c.next(ctx)
			switch {
			case err != nil:
				yield(nil, err)
				return
			case it.gap != nil:
				if !yield(nil, it.gap) {
					return
				}
			default:
				if !yield(it.message, nil) {
					return
				}
				if !c.config.ManualAck {
					c.acknowledge(it.last, it.age)
				}
			}
		}
	}
}

// Receive calls handle with each message, as Messages would yield it, and
// acknowledges it when handle has returned nil. An error of handle ends Receive,
// which returns it; the message is not acknowledged, and comes again with the next
// Receive. So do the errors of Messages end it: after a *GapError call Receive again.
func (c *Client) Receive(ctx context.Context, handle func(context.Context, *Message) error) error {
	for m, err := range c.Messages(ctx) {
		if err == nil {
			err = handle(ctx, m)
		}
		if err != nil {
			return err
		}
	}
	return nil // not reached: Messages ends with an error
}

// next waits for what the program gets next, and takes it off the queue, unless it
// is a message that is acknowledged later.
func (c *Client) next(ctx context.Context) (item, error) {
	for {
		if err := ctx.Err(); err != nil {
			return item{}, err
		}
		it, ok, err := c.take()
		if ok || err != nil {
			return it, err
		}
		select {
		case <-c.come:
		case <-c.over:
		case <-ctx.Done():
		}
	}
}

func (c *Client) take() (it item, ok bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return item{}, false, c.err
	}
	h := c.intake.head()
	if h == nil {
		return item{}, false, nil
	}
	it = *h
	switch {
	case it.gap != nil: // told is told
		c.intake.pop(it.last, it.age)
		if !c.config.ManualAck {
			c.intake.acknowledge(it.last, it.age)
			signal(c.wake) // rare, and not worth asking whether it is needed
		}
	case c.config.ManualAck:
		c.intake.pop(it.last, it.age)
		fallthrough
	default:
		it.message.client = c
	}
	return it, true, nil
}
