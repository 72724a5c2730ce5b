package client

import (
	"context"
	"iter"
	"time"

	"callboard/protocol"
)

// A Phase is where a Client is between its first connection and its end.
type Phase int

// The phases. A Client goes from Connecting to Connected or Disconnected, from
// both of those back to Connecting, and from any of them to Closed, where it stays.
const (
	Connecting   Phase = iota // it is connecting
	Connected                 // messages go both ways
	Disconnected              // it waits until it may connect again
	Closed                    // it has ended, for good
)

// String is the phase in a word.
func (p Phase) String() string {
	return [...]string{"connecting", "connected", "disconnected", "closed"}[p]
}

// A State is what a Client says about itself.
type State struct {
	Phase Phase
	Since time.Time

	// Err is why, when Disconnected or Closed: a *ClosedError, a *RefusedError, an
	// error of the network; ErrClosed after Close.
	Err error

	// Retry is when the Client connects again, when Disconnected.
	Retry time.Time

	// Session is what the server granted, when Connected. It is not to be changed.
	Session *protocol.Connect
}

// maxStates is how many states are kept for those who watch.
const maxStates = 16

// A history is the latest states. The Client's mu guards it.
type history struct {
	count   uint64 // of all that ever were
	latest  [maxStates]State
	changed chan struct{} // closed and replaced with each
}

func (h *history) add(s State) {
	h.latest[h.count%maxStates] = s
	h.count++
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// after returns the oldest state behind the first n that is still there, and its
// number; or a channel that is closed when there is one.
func (h *history) after(n uint64) (s State, number uint64, changed <-chan struct{}) {
	if n >= h.count {
		if h.changed == nil {
			h.changed = make(chan struct{})
		}
		return State{}, n, h.changed
	}
	if h.count > maxStates {
		n = max(n, h.count-maxStates)
	}
	return h.latest[n%maxStates], n + 1, nil
}

// State is how things stand.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states.latest[(c.states.count-1)%maxStates]
}

// States is the present state and then every change, until the context is done or
// the Client has ended: Closed is the last. Any number of goroutines may watch, and
// the Client never waits for them: who is more than 15 states behind misses some.
func (c *Client) States(ctx context.Context) iter.Seq[State] {
	return func(yield func(State) bool) {
		c.mu.Lock()
		number := c.states.count - 1
		c.mu.Unlock()
		for {
			c.mu.Lock()
			s, next, changed := c.states.after(number)
			c.mu.Unlock()
			number = next
			if changed == nil {
				if !yield(s) || s.Phase == Closed {
					return
				}
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// become notes a new state.
func (c *Client) become(s State) {
	s.Since = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.states.count; n == 0 || s.Phase != Connecting || c.states.latest[(n-1)%maxStates].Phase != Connecting {
		c.states.add(s)
	}
}
