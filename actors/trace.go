package actors

import "callboard/protocol"

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
	feed[Hop]
	system   *System
	user     string
	contents bool
}

// Trace begins to follow the messages that the user sends and is sent. With contents, the
// hops have the texts. The caller reads them with Next and ends it with Stop. With
// MaxTraces already there the error is ErrTooManyStreams.
func (s *System) Trace(user protocol.UserID, contents bool) (*Trace, error) {
	t := &Trace{feed: newFeed[Hop](s.registryDone, &s.counts.missedHops), system: s, user: string(user), contents: contents}
	if !subscribe(&s.traces, t, t.mark(), MaxTraces) {
		s.HitLimit(CodeTooManyStreams, user, "", ErrTooManyStreams.Reason)
		return nil, ErrTooManyStreams
	}
	return t, nil
}

// Stop ends the trace. It may be called again.
func (t *Trace) Stop() { unsubscribe(&t.system.traces, t, (*Trace).mark) }

func (t *Trace) mark() uint64 { return mark(t.user) }

func (t *Trace) about(sender, receiver string) bool { return t.user == sender || t.user == receiver }
