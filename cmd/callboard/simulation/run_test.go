package simulation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors"
	"callboard/protocol"
)

// run is the run of one seed, in a bubble of its own.
type run struct {
	seed      uint64
	rng       *rand.Rand // decides what happens; the plan is the same for each run of a seed
	plan      []string   // names of operations
	users     []string
	clients   []*client
	config    actors.Config
	retention int   // messages that an inbox keeps; 0: all
	slowEvery int64 // each so many-th message takes a nanosecond; 0: none
	slog      *slog.Logger
	began     time.Time
	texts     int
	posted    []*attempt // by the operator, with an id, to be sent again
	asks      sync.WaitGroup
	plant     string       // a fault that is to be found; empty: none
	sown      atomic.Int64 // how often it could have happened

	mu          sync.Mutex // guards what follows, and what conn, client and ledger have
	node        *node
	conns       []*conn
	ledger      *ledger
	covered     map[string]uint64 // by user: what the nameless device has had
	sure        map[string]uint64 // by user: what the service knows that the nameless device has
	barriers    map[string]*barrier
	lastTrouble time.Time
	log         []string
	fault       string // the first promise that was broken
	over        bool   // what happens now is not part of the log
}

// simulate runs a seed, with a fault that is planted (planted_test.go) or without.
func simulate(t *testing.T, seed uint64, plant ...string) (r *run) {
	t.Helper()
	defer func() {
		if hung := recover(); hung != nil { // synctest's, when nobody can go on
			r.fault = or(r.fault, fmt.Sprint(hung))
		}
	}()
	synctest.Test(t, func(*testing.T) {
		r = newRun(seed)
		r.plant = strings.Join(plant, "")
		r.start(vfs.NewCrashableMem())
		for range 30 + r.rng.IntN(100) {
			if r.step(); r.broken() {
				break
			}
		}
		if !r.broken() {
			r.settle()
		}
		r.close()
	})
	return r
}

func newRun(seed uint64) *run {
	r := &run{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), began: time.Now(),
		covered: map[string]uint64{}, sure: map[string]uint64{}, barriers: map[string]*barrier{},
	}
	r.ledger = newLedger(r)
	r.slog = slog.New(logHandler{r})
	r.config = actors.Config{
		Shards: 1 + r.rng.IntN(4), MaxInFlight: 1 + r.rng.IntN(8), IdleAfter: 2 * time.Second,
		PingInterval: 5003 * time.Millisecond, CloseTimeout: 1009 * time.Millisecond,
		Intensity: actors.Intensity{Failures: 2, Window: time.Second, Park: 100 * time.Millisecond, MaxPark: 2 * time.Second},
	}
	if r.rng.IntN(6) == 0 {
		r.retention = []int{5 + r.rng.IntN(20), 10_000}[r.rng.IntN(2)]
	}
	if r.rng.IntN(6) == 0 {
		r.config.MaxInboxEntries = 5 + r.rng.IntN(30)
	}
	r.slowEvery = []int64{0, 0, 0, 0, 0, 0, 1, 3}[r.rng.IntN(8)]
	r.cast()
	r.note("seed %d: %d shards, %d sends in flight, retention %d, inbox limit %d",
		seed, r.config.Shards, r.config.MaxInFlight, r.retention, r.config.MaxInboxEntries)
	return r
}

// cast makes the users and their programs.
func (r *run) cast() {
	for u := range 2 + r.rng.IntN(3) {
		user := fmt.Sprint("u", u)
		r.users = append(r.users, user)
		for _, c := range []*client{
			{device: "phone"}, {device: "tablet"}, {}, {seed: true, device: "1"}, {seed: true, device: "2"},
		} {
			c.run, c.user = r, user
			c.eager = r.rng.IntN(2) == 0
			c.own = r.rng.IntN(3) == 0
			c.window = []uint32{1, 2, 3, 8, 64}[r.rng.IntN(5)]
			if r.rng.IntN(4) > 0 || c.device == "phone" {
				r.clients = append(r.clients, c)
			}
		}
	}
}

// step lets one thing happen.
func (r *run) step() {
	o := pick(r.rng)
	r.plan = append(r.plan, o.name)
	o.do(r)
	if r.rng.IntN(2) == 0 {
		synctest.Wait()
	}
	r.resurrect()
	r.replaceDrained(false)
}

// settle ends all trouble, and then everything has to be as it was promised.
func (r *run) settle() {
	r.calm()
	for _, check := range []func(){r.answered, r.reachable, r.complete, r.empty, r.lasting} {
		if check(); r.broken() {
			return
		}
	}
}

// close lets everything end; the bubble fails if anything stays.
func (r *run) close() {
	r.mu.Lock()
	n := r.node
	r.over = true
	r.mu.Unlock()
	switch {
	case n == nil || n.ended:
	case n.system != nil:
		n.end(false)
	default:
		_ = n.store.Close() // the fault is known
	}
	r.asks.Wait()
	time.Sleep(10 * time.Second) // protoactor's throttle of dead letters takes its time
}

// patience is how long an answer is waited for.
const patience = 10 * time.Second

// ask does something that waits for an answer, beside what happens else.
func (r *run) ask(question func(ctx context.Context, n *node)) {
	n := r.node
	r.asks.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		question(ctx, n)
	})
}

// post sends a message as the operator does.
func (r *run) post(a *attempt) {
	r.mu.Lock()
	r.note("the operator sends %s", a)
	r.ledger.tried(a)
	r.mu.Unlock()
	r.ask(func(ctx context.Context, n *node) {
		sent, err := n.system.Send(ctx, &protocol.Send{Id: a.id, Sender: a.sender, Receiver: a.receiver, Content: a.content})
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case n.dead:
		case errors.Is(err, context.DeadlineExceeded) && n == r.node && !n.ended && !n.failing &&
			n.brittle.delay.Load() == 0 && time.Since(r.lastTrouble) > patience+recovery:
			r.breaks("the operator is not told what became of %s", a)
		case err != nil:
			r.note("the operator is told of %s: %v", a, err)
			if refused, ok := errors.AsType[*actors.Error](err); ok && refused.Code == protocol.CodePoisoned {
				r.ledger.setAside(a.sender, a.receiver, a.id)
			}
		case a.id != "":
			r.ledger.confirmed(a.sender, a.id, sent.Seq)
		default:
			r.ledger.sends[keyOf(a.sender, "", a.content)].sure = true
		}
	})
}

// text is a content that no other message has.
func (r *run) text(longest int) string {
	r.texts++
	b := fmt.Appendf(nil, "message %d ", r.texts)
	for range r.rng.IntN(longest) {
		b = append(b, byte('a'+len(b)%26))
	}
	return string(b)
}
