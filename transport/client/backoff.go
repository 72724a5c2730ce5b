package client

import (
	"errors"
	"math/rand/v2"
	"time"

	"callboard/protocol"
)

// A backoff says how long to wait before the next attempt: a random time between
// nothing and a bound that doubles with each ("full jitter": Marc Brooker,
// Exponential Backoff And Jitter, AWS Architecture Blog, 2015). So the clients of a
// server that went do not come back all at once.
type backoff struct {
	least, most time.Duration
	attempts    int // since the last success
}

// maxRetryAfter bounds what a server may ask for.
const maxRetryAfter = 5 * time.Minute

// next is the time to wait after an attempt that failed with err.
func (b *backoff) next(err error) time.Duration {
	bound := b.most
	if shift := min(b.attempts, 32); b.least<<shift>>shift == b.least {
		bound = min(bound, b.least<<shift)
	}
	b.attempts++
	wait := rand.N(bound + 1)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		wait += min(max(refused.RetryAfter, 0), maxRetryAfter)
	}
	if closed, ok := errors.AsType[*ClosedError](err); ok {
		wait += min(closed.RetryAfter, maxRetryAfter)
	}
	return wait
}

// retryOf is for how long the service asks to be left alone.
func retryOf(m *protocol.Error) time.Duration { return time.Duration(m.Retry) * time.Millisecond }

// success makes the next wait short again.
func (b *backoff) success() { b.attempts = 0 }
