package actors

import (
	"context"
	"time"

	"callboard/protocol"
)

// MaxTraces bounds those who follow users' messages on a node at once.
const MaxTraces = 16

// Trace is a stream of one user's messages, to and from the user, every hop of each, from
// System.Trace until Stop. Its Next says how many hops are missing where its reader was
// too slow.
//
// Nothing of a trace is in the user's actor, but for which messages are on their way to
// its sessions: so it begins without waking the user, goes on when the actor fails, leaves
// or comes back, and is over when Stop has been called.
type Trace struct {
	feed[hopped]
	system   *System
	user     string
	contents bool
	began    time.Time

	// The reader's: where the last receiver was, and of how many shards.
	receiver      protocol.UserID
	shard, shards int
}

// hopped is a hop as it is noted: when is the time since the trace began, which takes one look at a clock
// where the time of day takes two. At and Shard are the reader's to fill in.
type hopped struct {
	Hop
	when time.Duration
}

// Trace begins to follow the messages that the user sends and is sent. With contents, the
// hops have the texts. The caller reads them with Next and ends it with Stop. With
// MaxTraces already there the error is ErrTooManyStreams.
func (s *System) Trace(user protocol.UserID, contents bool) (*Trace, error) {
	t := &Trace{system: s, user: string(user), contents: contents, began: time.Now()}
	t.open(s.registryDone, &s.counts.missedHops)
	if !subscribe(&s.traces, t, t.mark(), MaxTraces) {
		s.HitLimit(CodeTooManyStreams, user, "", ErrTooManyStreams.Reason)
		return nil, ErrTooManyStreams
	}
	return t, nil
}

// Next waits for the next hop; see Watch.
func (t *Trace) Next(ctx context.Context) (Hop, uint64, error) {
	h, missed, err := t.feed.Next(ctx)
	if err != nil || missed > 0 {
		return Hop{}, missed, err
	}
	h.At, h.Shard = t.began.Add(h.when), -1
	if h.Receiver != "" {
		if n := len(t.system.ring.Load().shards); h.Receiver != t.receiver || n != t.shards {
			t.receiver, t.shard, t.shards = h.Receiver, shardOf(h.Receiver, n), n
		}
		h.Shard = t.shard
	}
	return h.Hop, 0, nil
}

// Stop ends the trace. It may be called again.
func (t *Trace) Stop() { unsubscribe(&t.system.traces, t, (*Trace).mark) }

func (t *Trace) mark() uint64 { return mark(t.user) }

func (t *Trace) about(sender, receiver string) bool { return t.user == sender || t.user == receiver }
