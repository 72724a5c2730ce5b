package actors

import (
	"container/list"
	"hash/maphash"
	"time"

	"callboard/protocol"
)

const (
	// deadlyCrashes is how often a user's actor fails on one message before that is set
	// aside.
	deadlyCrashes = 2

	// crashMemory is how long a message is remembered that an actor has failed on, from
	// the last time.
	crashMemory = 10 * time.Minute

	// maxCrashes is how many are remembered on a node, the last ones: each shard has its
	// part of it, about 2 MB together when all are full.
	maxCrashes = 8192
)

// crashes remembers which messages the actors of a shard's users have failed on. It is
// bounded, and outlives these actors. The zero crashes is of no use.
type crashes struct {
	limit     int
	seed      maphash.Seed
	byMessage map[messageKey]*list.Element
	recent    list.List // of *crash, the last one in front
	aside     int       // how many of them are set aside
}

// messageKey is what makes a message the same when it comes again. Without an id only
// its content tells.
type messageKey struct {
	receiver, sender, id string
	content              uint64
}

type crash struct {
	key   messageKey
	times uint64
	last  time.Duration // as System.now has it
	aside bool          // it is refused without being tried
}

func newCrashes(shards int) crashes {
	return crashes{limit: max(16, maxCrashes/shards), seed: maphash.MakeSeed(), byMessage: make(map[messageKey]*list.Element)}
}

func (c *crashes) keyOf(msg *protocol.Send) messageKey {
	return messageKey{msg.Receiver, msg.Sender, msg.Id, maphash.String(c.seed, msg.Content)}
}

// add counts one more crash over a message, and returns how many there were.
func (c *crashes) add(msg *protocol.Send, now time.Duration) uint64 {
	found := c.of(msg, now)
	found.times++
	return found.times
}

// of is what is known of a message, and from now on remembered.
func (c *crashes) of(msg *protocol.Send, now time.Duration) *crash {
	c.forget(now)
	key := c.keyOf(msg)
	at := c.byMessage[key]
	if at == nil {
		if c.recent.Len() >= c.limit {
			c.remove(c.recent.Back())
		}
		at = c.recent.PushFront(&crash{key: key})
		c.byMessage[key] = at
	}
	c.recent.MoveToFront(at)
	found := at.Value.(*crash)
	found.last = now
	return found
}

// setAside has a message refused from now on.
func (c *crashes) setAside(msg *protocol.Send, now time.Duration) {
	if found := c.of(msg, now); !found.aside {
		found.aside = true
		c.aside++
	}
}

// pardon gives a message one more try.
func (c *crashes) pardon(msg *protocol.Send, now time.Duration) {
	found := c.of(msg, now)
	if found.aside {
		found.aside = false
		c.aside--
	}
	found.times = deadlyCrashes - 1
}

// refuses is whether a message was set aside. It costs nothing as long as none was.
func (c *crashes) refuses(msg *protocol.Send) bool {
	if c.aside == 0 {
		return false
	}
	at := c.byMessage[c.keyOf(msg)]
	return at != nil && at.Value.(*crash).aside
}

// forget lets go of what is old.
func (c *crashes) forget(now time.Duration) {
	for at := c.recent.Back(); at != nil && now-at.Value.(*crash).last >= crashMemory; at = c.recent.Back() {
		c.remove(at)
	}
}

func (c *crashes) remove(at *list.Element) {
	old := c.recent.Remove(at).(*crash)
	delete(c.byMessage, old.key)
	if old.aside {
		c.aside--
	}
}
