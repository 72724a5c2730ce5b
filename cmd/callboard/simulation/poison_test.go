package simulation

import (
	"context"
	"fmt"
	"testing/synctest"
	"time"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// Messages that their receiver's actor fails on each time, and actors that take their
// time.

// poison sends a message that is poison as often as it takes to be set aside, and once more.
// Two programs may do so at once.
func poison(r *run) {
	c, receiver := r.anybody(), r.users[r.rng.IntN(len(r.users))]
	a := &attempt{sender: c.user, receiver: receiver, content: "poison " + r.text(30)}
	c.ids++
	a.id = fmt.Sprintf("%s-%d", c, c.ids) // without one each time would be a message of its own
	asOperator := r.rng.IntN(3) == 0
	if asOperator {
		a.sender = "operator"
	}
	r.node.brittle.taint(a.content)
	for range 1 + r.rng.IntN(3) {
		if again := *a; asOperator {
			r.post(&again)
		} else {
			c.send(&again)
		}
		synctest.Wait()
	}
}

// dawdle has an actor take its time over one message, long enough to be reported.
func dawdle(r *run) {
	where := []string{r.users[r.rng.IntN(len(r.users))], "gateway/", "gateway", "journal", "shard/"}[r.rng.IntN(5)]
	o := &order{where: where, after: r.rng.IntN(10), times: 1, takes: r.duration(7 * time.Second)}
	r.say("%s will take %s after %d messages", where, o.takes, o.after)
	r.node.brittle.arm(o)
}

// retry has the operator send on what is set aside, and drop the rest now and then.
func retry(r *run) {
	all := r.rng.IntN(3) == 0
	r.ask(func(ctx context.Context, n *node) {
		letters, _, _, err := n.system.ListDeadletters(ctx, 0, 100)
		if err != nil {
			return
		}
		for i, l := range letters {
			if i > 0 && !all {
				return
			}
			r.mu.Lock()
			a := &attempt{sender: string(l.Sender), receiver: string(l.Receiver), id: l.ID}
			r.note("the operator retries %s", a)
			r.ledger.retried(sendKey{a.sender, a.id, ""})
			r.mu.Unlock()
			_, _ = n.system.RetryDeadletter(ctx, l.Number)
		}
	})
}

// asideKey is what makes a message that is set aside the same.
type asideKey struct{ sender, receiver, id string }

// setAside: somebody was told that a message with an id is set aside. It has to be there
// until it is retried.
func (l *ledger) setAside(sender, receiver, id string) {
	if id != "" {
		l.aside[asideKey{sender, receiver, id}] = true
	}
}

// retried: from now on it may be in its receiver's inbox instead.
func (l *ledger) retried(key sendKey) {
	if s := l.sends[key]; s != nil {
		s.retried = true
	}
	for one := range l.aside {
		if one.sender == key.sender && one.id == key.id {
			delete(l.aside, one)
		}
	}
}

// auditAside compares what is set aside on the disk with what was told.
func (l *ledger) auditAside(letters []*inbox.Deadletter) {
	there := map[asideKey]bool{}
	for _, letter := range letters {
		key := asideKey{string(letter.Sender), string(letter.Receiver), letter.ID}
		there[key] = true
		s := l.sends[keyOf(key.sender, key.id, letter.Content)]
		if s == nil || s.receiver != key.receiver {
			l.run.breaks("%v is set aside, and nobody sent it", key)
		}
		if letter.Crashes < 2 || letter.Reason == "" {
			l.run.breaks("%v is set aside after %d failures: %s", key, letter.Crashes, letter.Reason)
		}
	}
	for key := range l.aside {
		if !there[key] {
			l.run.breaks("%v was told to be set aside, and is not there", key)
		}
	}
}

// told is what the answer to a send says of it.
func (c *conn) told(e *protocol.Error) {
	if e.Code != string(protocol.CodePoisoned) || c.node.dead {
		return
	}
	for _, a := range c.sends {
		if a.id == e.Id && a.id != "" {
			c.run.ledger.setAside(a.sender, a.receiver, a.id)
			return
		}
	}
}
