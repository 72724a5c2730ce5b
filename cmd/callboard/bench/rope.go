package bench

import (
	"context"
	"net"
	"sync"
	"time"
)

// A rope is the network of one client: it can be cut, and it can stop moving for a
// while.
type rope struct {
	mu     sync.Mutex // held for moments
	ends   map[net.Conn]struct{}
	frozen time.Time // until when nothing arrives
	last   time.Time // when it was cut
}

func newRope() *rope { return &rope{ends: map[net.Conn]struct{}{}} }

// dial makes a connection, in the form of client.Config.NetDial.
func (r *rope) dial(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	e := &end{Conn: nc, rope: r, closed: make(chan struct{})}
	r.mu.Lock()
	r.ends[e] = struct{}{}
	r.mu.Unlock()
	return e, nil
}

// cut ends all connections without a word.
func (r *rope) cut() {
	r.mu.Lock()
	r.last = time.Now()
	ends := make([]net.Conn, 0, len(r.ends))
	for e := range r.ends {
		ends = append(ends, e)
	}
	r.mu.Unlock()
	for _, e := range ends {
		_ = e.Close() // the peer finds out
	}
}

// wholeSince is whether it has not been cut since then.
func (r *rope) wholeSince(t time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last.Before(t)
}

// freeze lets nothing arrive for a while.
func (r *rope) freeze(d time.Duration) {
	r.mu.Lock()
	r.frozen = time.Now().Add(d)
	r.mu.Unlock()
}

// An end is one connection of a rope.
type end struct {
	net.Conn
	rope   *rope
	once   sync.Once
	closed chan struct{}
}

// Read implements net.Conn.
func (e *end) Read(b []byte) (int, error) {
	n, err := e.Conn.Read(b)
	e.rope.mu.Lock()
	wait := time.Until(e.rope.frozen)
	e.rope.mu.Unlock()
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-e.closed:
		}
	}
	return n, err
}

// Close implements net.Conn.
func (e *end) Close() error {
	e.once.Do(func() { close(e.closed) })
	e.rope.mu.Lock()
	delete(e.rope.ends, e)
	e.rope.mu.Unlock()
	return e.Conn.Close()
}
