package simulation

import (
	"context"
	"time"

	"callboard/actors"
	"callboard/actors/inbox/pebble"
	"callboard/protocol"
)

// What operators do besides sending: they block users, forget devices, trim inboxes, change
// limits, watch, and drain.

// barrier is a block that an operator was told to hold. run.mu guards its fields.
type barrier struct {
	until time.Time // zero: until it is taken away
	holds bool
}

func (b *barrier) stands() bool {
	return b != nil && b.holds && (b.until.IsZero() || time.Now().Before(b.until))
}

// blocks has a user blocked, or let in again.
func blocks(r *run) {
	user, lasts := r.users[r.rng.IntN(len(r.users))], time.Duration(0)
	if r.rng.IntN(3) > 0 {
		lasts = time.Second + r.duration(5*time.Second)
	}
	if away := r.rng.IntN(3) == 0; away {
		r.say("the operator unblocks %s", user)
		r.unblocks(user)
		return
	}
	r.say("the operator blocks %s, for %s", user, lasts)
	r.ask(func(ctx context.Context, n *node) {
		block := actors.Block{User: protocol.UserID(user), Reason: "a test", At: time.Now().UnixMilli()}
		b := &barrier{}
		if lasts > 0 {
			b.until = time.UnixMilli(block.At + lasts.Milliseconds())
			block.Until = b.until.UnixMilli()
		}
		r.mu.Lock()
		r.barriers[user] = b // nobody can say any more what became of the last one
		r.mu.Unlock()
		_, err := n.system.Block(ctx, block)
		r.mu.Lock()
		defer r.mu.Unlock()
		if err == nil && !n.dead && r.barriers[user] == b {
			b.holds = true
			r.note("%s is blocked", user)
		}
	})
}

// unblocks lets a user in again.
func (r *run) unblocks(user string) {
	r.ask(func(ctx context.Context, n *node) {
		r.mu.Lock()
		r.barriers[user] = nil
		r.mu.Unlock()
		_, _ = n.system.Unblock(ctx, protocol.UserID(user))
	})
}

// unblockAll lets everybody in, for the end.
func (r *run) unblockAll() {
	for _, user := range r.users {
		r.mu.Lock()
		r.barriers[user] = nil
		r.mu.Unlock()
		for range 5 {
			if _, err := r.node.system.Unblock(context.Background(), protocol.UserID(user)); err == nil {
				break
			}
			time.Sleep(2 * time.Second) // the store finds out that it works again
		}
	}
}

// forgets has a device forgotten: it is new when it comes again.
func forgets(r *run) {
	c, force := r.anybody(), r.rng.IntN(2) == 0
	if !c.named() {
		return
	}
	r.say("the operator has %s forgotten", c)
	r.ask(func(ctx context.Context, n *node) {
		r.mu.Lock()
		c.sure = 0
		c.forgotten++
		if c.conn != nil {
			c.conn.sureThen = 0
		}
		r.mu.Unlock()
		_, _ = n.system.ForgetDevice(ctx, protocol.UserID(c.user), c.device, force)
	})
}

// trims takes messages out of an inbox, in runs where messages may go.
func trims(r *run) {
	user, unseen, share := r.users[r.rng.IntN(len(r.users))], r.rng.IntN(3) > 0, r.rng.IntN(101)
	if r.retention == 0 {
		return
	}
	r.mu.Lock()
	through := r.ledger.box(user).head * uint64(share) / 100
	r.note("the operator trims the inbox of %s to %d", user, through)
	r.mu.Unlock()
	r.ask(func(ctx context.Context, n *node) {
		_, _ = n.system.TrimInbox(ctx, protocol.UserID(user), through, unseen)
	})
}

// reload changes what can be changed while the service runs.
func reload(r *run) {
	entries, failures, keep := 5+r.rng.IntN(200), 1+r.rng.IntN(4), 5+r.rng.IntN(100)
	r.say("limits change: %d messages in an inbox, %d failures", entries, failures)
	r.config.MaxInboxEntries, r.config.Intensity.Failures = entries, failures
	r.mu.Lock()
	if r.retention > 0 {
		r.retention = keep
	}
	r.mu.Unlock()
	limits := r.node.system.Limits()
	limits.MaxInboxEntries = entries
	r.mustNot("changing limits", r.node.system.Reload(limits))
	r.mustNot("changing the intensity", r.node.system.Tune(r.config.Intensity))
	if r.retention > 0 {
		r.mustNot("changing retention", r.node.store.Retain(pebble.Retention{Age: 30 * 24 * time.Hour, Entries: keep}))
	}
}

// watches follows what happens, for a while.
func watches(r *run) {
	user, lasts := protocol.UserID(r.users[r.rng.IntN(len(r.users))]), r.duration(patience)
	r.ask(func(ctx context.Context, n *node) {
		ctx, cancel := context.WithTimeout(ctx, lasts)
		defer cancel()
		watch, err := n.system.Watch(actors.EventFilter{})
		if err != nil {
			return
		}
		defer watch.Stop()
		trace, err := n.system.Trace(user, true)
		if err != nil {
			return
		}
		defer trace.Stop()
		for err == nil {
			_, _, err = trace.Next(ctx)
		}
		for err = nil; err == nil; {
			_, _, err = watch.Next(ctx)
		}
	})
}

// drops has what is set aside dropped.
func drops(r *run) {
	r.say("the operator drops what is set aside")
	r.mu.Lock()
	clear(r.ledger.aside)
	r.mu.Unlock()
	r.ask(func(ctx context.Context, n *node) { _, _ = n.system.DropDeadletters(ctx, true) })
}

// drain takes the node out of service while everything else goes on. The next life begins
// when the time for it is over.
func drain(r *run) {
	n, over := r.node, r.duration(3*time.Second)
	if !n.drained.IsZero() {
		return
	}
	r.say("the service is drained over %s", over)
	n.drained = time.Now().Add(over + time.Second)
	r.ask(func(ctx context.Context, n *node) { _ = n.system.Drain(ctx, over) })
}

// replaceDrained begins the next life when a drain is over.
func (r *run) replaceDrained(now bool) {
	if n := r.node; !n.drained.IsZero() && (now || time.Now().After(n.drained)) && !r.broken() {
		r.say("the service that was drained is started again")
		r.restart(0)
	}
}

// auditBlocks compares who is blocked on the disk with what operators were told.
func (r *run) auditBlocks() {
	blocks, err := r.node.store.Blocks("", 1000)
	r.mustNot("reading who is blocked", err)
	there := map[string]bool{}
	for _, b := range blocks {
		there[string(b.User)] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for user, b := range r.barriers {
		if b.stands() && !there[user] {
			r.breaks("%s was told to be blocked, and is not", user)
		}
	}
}
