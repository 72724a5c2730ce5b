package simulation

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"callboard/actors/inbox"
	"callboard/actors/inbox/pebble"
	"callboard/protocol"
)

// brittle is where actors fail by order: before they handle a message, or in the store.
// The store itself is not hurt.
type brittle struct {
	*pebble.Store

	node  *node
	armed atomic.Int32 // number of orders
	seen  atomic.Int64 // messages
	delay atomic.Int64 // that a commit takes

	survived atomic.Uint64 // failures of actors that outlive them
	stopped  atomic.Bool   // nobody has anything to do any more

	mu     sync.Mutex
	orders []*order        // guarded by mu
	taints map[string]bool // guarded by mu: contents that are poison
}

var _ inbox.Store = (*brittle)(nil)

// order has an actor fail, after some messages, so many times in a row.
type order struct {
	where string // an actor's name, the beginning of it up to a slash, or "commit", "committed", "read"
	after int
	times int
	takes time.Duration // it does not fail, and takes so long
}

func (b *brittle) arm(o *order) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orders = append(b.orders, o)
	b.armed.Store(int32(len(b.orders) + min(len(b.taints), 1)))
}

func (b *brittle) disarm() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orders, b.taints = nil, nil
	b.armed.Store(0)
}

// taint has the receiver's actor fail on each message of this content.
func (b *brittle) taint(content string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.taints == nil {
		b.taints = map[string]bool{}
	}
	b.taints[content] = true
	b.armed.Store(int32(len(b.orders) + 1))
}

func (b *brittle) tainted(actor string, message any) bool {
	send, ok := message.(*protocol.Send)
	b.mu.Lock()
	defer b.mu.Unlock()
	return ok && send.Receiver == actor && b.taints[send.Content]
}

func (b *brittle) slow(delay time.Duration) { b.delay.Store(int64(delay)) }

// fault is called before an actor handles a message. Now and then it takes its time, which is until
// all others have come to rest: else an actor that wakes another would be followed by that
// one at once, and nobody would come between.
func (b *brittle) fault(actor string, message any) {
	b.stillRuns(actor, message)
	if every := b.node.run.slowEvery; every > 0 && b.seen.Add(1)%every == 0 {
		time.Sleep(time.Nanosecond)
	}
	if b.armed.Load() == 0 {
		return
	}
	kind := fmt.Sprintf("%T", message)
	if strings.HasPrefix(kind, "*actor.") && (kind != "*actor.Started" || strings.HasPrefix(actor, "gateway/")) {
		return // the life of an actor is protoactor's; there is nothing of ours to fail there
	}
	if b.tainted(actor, message) {
		b.fail(actor, "poison")
	}
	b.at(actor, kind)
}

// stillRuns checks that nobody does anything when the service has stopped.
func (b *brittle) stillRuns(actor string, message any) {
	if b.stopped.Load() {
		b.node.run.mu.Lock()
		defer b.node.run.mu.Unlock()
		b.node.run.breaks("%s gets %T, and the service has stopped", actor, message)
	}
}

// at fails if there is an order to.
func (b *brittle) at(where, what string) {
	if b.armed.Load() == 0 {
		return
	}
	switch o := b.due(where); {
	case o == nil:
	case o.takes > 0:
		b.node.run.troubled()
		b.node.run.say("%s takes %s for %s", where, o.takes, what)
		time.Sleep(o.takes)
		b.node.run.troubled()
	default:
		b.fail(where, what)
	}
}

func (b *brittle) fail(where, what string) {
	r := b.node.run
	r.troubled()
	r.say("%s fails on %s", where, what)
	if survives(where) {
		b.survived.Add(1)
	}
	panic("by order")
}

// survives is whether an actor outlives its panics.
func survives(actor string) bool {
	switch actor {
	case "registry", "gateway", "doorkeeper", "coroner":
		return true
	}
	return strings.HasPrefix(actor, "shard/")
}

func (b *brittle) due(where string) *order {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, o := range b.orders {
		if where != o.where && (!strings.HasSuffix(o.where, "/") || !strings.HasPrefix(where, o.where)) {
			continue
		}
		if o.after--; o.after >= 0 {
			continue
		}
		if o.times--; o.times <= 0 {
			b.orders = append(b.orders[:i:i], b.orders[i+1:]...)
			b.armed.Store(int32(len(b.orders) + min(len(b.taints), 1)))
		}
		return o
	}
	return nil
}

// Commit implements inbox.Store. It takes its time, and fails before or after.
func (b *brittle) Commit(batch *inbox.Batch) error {
	b.at("commit", "")
	b.spoil(batch)
	time.Sleep(time.Duration(b.delay.Load()))
	err := b.Store.Commit(batch)
	if err == nil {
		b.at("committed", "")
	}
	return err
}

// Read implements inbox.Store.
func (b *brittle) Read(user protocol.UserID, after uint64, maxEntries, maxBytes int) ([]inbox.Entry, error) {
	b.at("read", "")
	entries, err := b.Store.Read(user, after, maxEntries, maxBytes)
	if len(entries) > 0 && b.node.run.planted("an entry is not read") {
		entries = entries[:len(entries)-1]
	}
	return entries, err
}
