package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"callboard/protocol"
	"callboard/transport/client"
)

// dialers is how many connections are made at once.
const dialers = 64

// A load is one run of a workload.
type load struct {
	config   Config
	v1       bool // the dialect confirms and acknowledges
	run      string
	began    time.Time
	source   *source
	peers    []*peer
	users    []string // ids, as messages have them
	ledger   *Ledger  // nil: nothing is checked
	random   uint64
	ackEvery uint64

	senders int          // of the workload stalling: the first so many users
	stalled *atomic.Bool // nobody acknowledges now; nil: never

	reading sync.WaitGroup
	writing sync.WaitGroup

	over      atomic.Bool // nothing is sent any more
	measuring atomic.Bool
	stages    atomic.Pointer[[]*stage] // of Scale, oldest first
	sent      atomic.Uint64
	confirmed atomic.Uint64
	refused   atomic.Uint64
	received  atomic.Uint64
	skipped   atomic.Uint64 // due, and too late to be sent
	lost      atomic.Int64  // connections
	toSent    Histogram
	toReceive Histogram

	mu     sync.Mutex // it guards what follows
	errors map[string]uint64
	first  error // why the first connection was lost
	fault  chan struct{}
}

// Run drives a workload against a running service, and says what it measured. The
// error says that there is no result, or that the connections were lost on the way:
// then there is one all the same.
func Run(ctx context.Context, config Config) (*Result, error) {
	if err := config.validate(); err != nil {
		return nil, &ConfigError{err}
	}
	l, err := openLoad(config)
	if err != nil {
		return nil, err
	}
	defer l.hangUp()
	result, err := l.measure(ctx)
	if err != nil {
		return nil, err
	}
	return result, l.cutOff()
}

// openLoad makes a load that the machine has files and addresses for.
func openLoad(config Config) (*load, error) {
	if err := needFiles(config.Users); err != nil {
		return nil, err
	}
	source, err := newSource(config.URL, config.Users)
	if err != nil {
		return nil, err
	}
	return newLoad(config, source), nil
}

// cutOff is an error if connections were lost.
func (l *load) cutOff() error {
	if n := l.lost.Load(); n > 0 {
		return fmt.Errorf("%d of %d connections were lost, the first: %w", n, len(l.peers), l.firstError())
	}
	return nil
}

func newLoad(config Config, source *source) *load {
	l := &load{
		config: config, v1: config.Protocol != Seed, run: newRun(), began: time.Now(), source: source,
		random: rand.Uint64(), errors: map[string]uint64{}, fault: make(chan struct{}, 1),
		ackEvery: uint64(max(1, min(ackEvery, ackEveryByte/config.Size))),
	}
	if config.Workload == stalling {
		l.ackEvery = 1 // or what keeps up would leave a backlog of its own
	}
	if config.Check {
		l.ledger = NewLedger(config.Users)
		l.ledger.PromisedWhenSent = !l.v1
	}
	first := firstUser()
	for i := range config.Users {
		id := strconv.FormatUint(first+uint64(i), 10)
		l.users = append(l.users, id)
		l.peers = append(l.peers, &peer{load: l, index: i, id: protocol.UserID(id), wake: make(chan struct{}, 1)})
	}
	return l
}

// firstUser is a number that nobody uses, and the next million are free too.
func firstUser() uint64 {
	const least, most = 1_000_000_000_000, 9_000_000_000_000 // exact in a double, which some clients read ids into
	return least + rand.Uint64N(most-least)
}

func (l *load) now() time.Duration { return time.Since(l.began) }

// acknowledges is whether ACKs are written now.
func (l *load) acknowledges() bool { return l.v1 && (l.stalled == nil || !l.stalled.Load()) }

// window is how many messages a peer takes without an ACK.
func (l *load) window() uint32 {
	if l.config.Workload == stalling {
		return protocol.DefaultWindow // what a program has that does not ask
	}
	return protocol.MaxWindow
}

// readBuffer keeps very many connections small.
func (l *load) readBuffer() int {
	if l.config.Workload == Idle {
		return 512
	}
	return 16 << 10
}

// bounce is whether every message that arrives is answered with one.
func (l *load) bounce() bool { return l.config.Workload == Relay && l.config.Rate == 0 }

// receiver is who a message is for.
func (l *load) receiver(sender int, number uint64) int {
	switch l.config.Workload {
	case FanIn:
		return 0
	case FanOut:
		return 1 + int((number-1)%uint64(len(l.peers)-1))
	case stalling:
		others := len(l.peers) - l.senders
		return l.senders + int((uint64(sender)+(number-1)*uint64(l.senders))%uint64(others))
	case Random:
		// Any function does that the receiver's side can repeat.
		other := int(mix(l.random^uint64(sender)<<40^number) % uint64(len(l.peers)-1))
		return (sender + 1 + other) % len(l.peers)
	}
	return sender ^ 1
}

// mix is SplitMix64's (Steele, Lea and Flood, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// mayStart is how many messages a peer may send before anything has arrived.
func (l *load) mayStart(index int) int {
	switch {
	case l.config.Workload == Idle,
		l.config.Workload == FanIn && index == 0,
		l.config.Workload == FanOut && index > 0,
		l.config.Workload == stalling && index >= l.senders,
		l.bounce() && index%2 == 1:
		return 0
	}
	return l.config.Window
}

// connect opens all connections and starts their readers and writers, which hangUp
// ends.
func (l *load) connect(ctx context.Context, stop <-chan struct{}) (time.Duration, error) {
	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next, done := atomic.Int64{}, atomic.Int64{}
	var dialing sync.WaitGroup
	for range min(dialers, len(l.peers)) {
		dialing.Go(func() {
			for i := int(next.Add(1) - 1); i < len(l.peers) && ctx.Err() == nil; i = int(next.Add(1) - 1) {
				p := l.peers[i]
				if err := p.connect(ctx, l.config.URL); err != nil {
					cancel(err)
					return
				}
				l.reading.Go(p.read)
				l.writing.Go(func() { p.write(stop) })
				done.Add(1)
			}
		})
	}
	over := make(chan struct{})
	go func() { dialing.Wait(); close(over) }()
	l.watch(ctx, over, func() Progress {
		return Progress{Phase: "connecting", Share: float64(done.Load()) / float64(len(l.peers)), Done: fmt.Sprintf("%d connections", done.Load())}
	})
	<-over
	if err := context.Cause(ctx); err != nil {
		if n := done.Load(); n > 0 && !errors.Is(err, context.Canceled) {
			err = fmt.Errorf("connecting %d users, of whom %d are connected: %w", len(l.peers), n, err)
		}
		return 0, err
	}
	return time.Since(began), nil
}

// watch shows the progress until over is closed or the context is done.
func (l *load) watch(ctx context.Context, over <-chan struct{}, progress func() Progress) {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-over:
			return
		case <-ctx.Done():
			return
		case <-ticker.C:
			if l.config.Progress != nil {
				p := progress()
				p.Errors = l.errorCount()
				l.config.Progress(p)
			}
		}
	}
}

// pass lets time pass, or less if the context is done or all connections are lost.
func (l *load) pass(ctx context.Context, phase string, d time.Duration) error {
	limit, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	count := l.received.Load
	if l.config.Workload == stalling {
		count = l.confirmed.Load
	}
	began, last, before := time.Now(), time.Now(), count()
	l.watch(limit, l.fault, func() Progress {
		n := count()
		p := Progress{
			Phase: phase, Share: time.Since(began).Seconds() / d.Seconds(),
			Done: fmt.Sprintf("%.0f messages/s", float64(n-before)/time.Since(last).Seconds()),
		}
		if l.config.Workload == Idle {
			p.Done = fmt.Sprintf("%d connections", len(l.peers)-int(l.lost.Load()))
		}
		last, before = time.Now(), n
		return p
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limit.Err() == nil:
		return fmt.Errorf("all connections were lost, the first: %w", l.firstError())
	}
	return nil
}

// lose notes that a connection has ended that should not have.
func (l *load) lose(p *peer, err error) {
	l.count(errorWord(err))
	l.mu.Lock()
	if l.first == nil {
		l.first = fmt.Errorf("user %s: %w", p.id, err)
	}
	l.mu.Unlock()
	if int(l.lost.Add(1)) == len(l.peers) {
		close(l.fault)
	}
}

func (l *load) count(code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errors[code]++
}

func (l *load) errorCount() (n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, count := range l.errors {
		n += count
	}
	return n
}

func (l *load) firstError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

// errorWord is the code that an error has, or a word for what it is.
func errorWord(err error) string {
	if closed, ok := errors.AsType[*client.ClosedError](err); ok {
		return string(closed.Code.Word())
	}
	if refused, ok := errors.AsType[*client.RefusedError](err); ok && refused.Code != "" {
		return string(refused.Code)
	}
	if refused, ok := errors.AsType[*client.SendError](err); ok && refused.Code != "" {
		return string(refused.Code)
	}
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case isNet && timeout.Timeout():
		return "timeout"
	}
	return "connection lost"
}

// hangUp closes what is open, and returns when every goroutine of the run has ended.
func (l *load) hangUp() {
	next := atomic.Int64{}
	ctx, cancel := context.WithTimeout(context.Background(), protocol.CloseTimeout)
	defer cancel()
	var closing sync.WaitGroup
	for range dialers {
		closing.Go(func() {
			for i := int(next.Add(1) - 1); i < len(l.peers); i = int(next.Add(1) - 1) {
				if conn := l.peers[i].conn; conn != nil {
					_ = conn.Close(ctx, protocol.CloseNormal) // it is let go in any case
				}
			}
		})
	}
	closing.Wait()
	l.writing.Wait()
	l.reading.Wait()
}
