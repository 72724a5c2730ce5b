package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"callboard/protocol"
)

// A Client is one user on one device, for as long as the program wants: it connects,
// and connects again whenever the connection is lost, until Close, or until the
// service says that it should not come back. All methods may be called by many
// goroutines at once.
type Client struct {
	address string
	user    protocol.UserID
	config  Config // constant
	ids     *ids

	room chan struct{}      // a place in the outbox: filled by who sends, emptied by finish
	wake chan struct{}      // to run: there may be something to write
	come chan struct{}      // to Messages: there may be something in the queue
	stop context.CancelFunc // tells run to end

	receiving atomic.Bool // a Messages is running

	closing  sync.Once
	farewell context.Context // how long to take over saying goodbye; set before stop is called
	closeErr error           // what Close returns; run's until ended is closed
	ended    chan struct{}   // closed when run and all that it started have ended

	mu       sync.Mutex // held for moments, never while waiting; it guards what follows
	outbox   *outbox
	intake   *intake
	states   history
	renewing int           // tokens that were shown and that no CONNECT has answered
	pause    time.Time     // until when no message is written, because the service asked for it
	hint     time.Duration // what the service has said last of when to come back, on this connection
	late     bool          // run will come back for acknowledgements that wait, by itself
	over     chan struct{} // closed when err is set
	err      error         // why the Client is at an end; nil: it is not
}

// What a Client says when it is not the server that said something.
var (
	// ErrReceiving is for a second Messages or Receive at the same time.
	ErrReceiving = errors.New("another goroutine is receiving from this client already")

	errUnacknowledged = errors.New("the service has not heard of the last acknowledgements: those messages come again")
)

// Dial connects as a user. The address is the server's, ws://host:port or
// wss://host:port, with the path in front of /ws/ if a proxy adds one. The context
// bounds the first connection alone. Who dials closes.
//
// If the first connection fails there is no Client: the error is a *RefusedError if
// the server did not want to, a *ClosedError if it closed at once. A program that
// may be started before its server uses New.
func Dial(ctx context.Context, address string, user protocol.UserID, config Config) (*Client, error) {
	c, life, err := prepare(address, user, config)
	if err != nil {
		return nil, err
	}
	first, err := c.connect(ctx)
	if err != nil {
		c.stop()
		return nil, err
	}
	go c.run(life, first) // Close waits for its end
	return c, nil
}

// New is Dial for a program that does not need the connection at once: it is made in
// the background, and if it fails it is tried again. The error is one of the
// arguments.
func New(address string, user protocol.UserID, config Config) (*Client, error) {
	c, life, err := prepare(address, user, config)
	if err != nil {
		return nil, err
	}
	go c.run(life, nil) // Close waits for its end
	return c, nil
}

func prepare(address string, user protocol.UserID, config Config) (*Client, context.Context, error) {
	if _, err := endpoint(address, user); err != nil {
		return nil, nil, err
	}
	config, err := config.withDefaults()
	if err != nil {
		return nil, nil, fmt.Errorf("configuration of the client: %w", err)
	}
	life, stop := context.WithCancel(context.Background())
	c := &Client{
		address: address, user: user, config: config, ids: newIDs(),
		room: make(chan struct{}, config.Outbox), wake: make(chan struct{}, 1), come: make(chan struct{}, 1),
		stop: stop, ended: make(chan struct{}), over: make(chan struct{}),
		outbox: newOutbox(), intake: newIntake(config.Cursor),
	}
	c.become(State{Phase: Connecting})
	return c, life, nil
}

// Cursor is the place of the last message that the program has acknowledged; the zero
// Cursor if nothing is known of it. Given as Config.Cursor to another Client it goes on
// there.
func (c *Client) Cursor() Cursor {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.intake.cursor()
}

// Close ends the Client: it writes the acknowledgements that are due, says goodbye
// and waits for the server's answer, until the context is done and for
// protocol.CloseTimeout at most. When it returns, every goroutine of the Client has
// ended, and so has every other call, most with ErrClosed.
//
// What Send has not confirmed by then stays unconfirmed: wait for it before. The
// error says that the service may not have heard of the last acknowledgements.
func (c *Client) Close(ctx context.Context) error {
	c.closing.Do(func() {
		c.farewell = ctx
		c.stop()
	})
	<-c.ended
	return c.closeErr
}

// acknowledge notes what the program has done with.
func (c *Client) acknowledge(last, age uint64) {
	c.mu.Lock()
	c.intake.acknowledge(last, age)
	some, now := c.intake.owes()
	hurry := now || some && !c.late
	c.mu.Unlock()
	if hurry {
		signal(c.wake)
	}
}

// end makes the Client say why from now on.
func (c *Client) end(err error) {
	c.mu.Lock()
	c.err = err
	close(c.over)
	for _, s := range c.outbox.drain() {
		s.finish(Receipt{}, s.failure(err))
	}
	c.mu.Unlock()
	c.become(State{Phase: Closed, Err: err})
}

// signal wakes who waits on a channel with room for one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // woken already
	}
}
