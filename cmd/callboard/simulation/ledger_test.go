package simulation

import (
	"slices"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// ledger is the model: what was sent, what anybody was told of it, and what anybody saw of
// the inboxes. Whatever was told or seen once has to stay so. run.mu guards it.
type ledger struct {
	run   *run
	sends map[sendKey]*sending
	boxes map[string]*box
	aside map[asideKey]bool // told to be set aside
}

// sendKey is what makes two sends the same: the id, or without one the content, which is
// different for each message.
type sendKey struct{ sender, id, content string }

// sending is one message, however often it was sent.
type sending struct {
	receiver string
	contents []string // more than one if the id was used for another message
	tries    int
	retried  bool   // an operator has sent it on
	place    uint64 // that a sender was told
	sure     bool   // a sender was told that it is kept
}

// box is what is known of an inbox from outside.
type box struct {
	head    uint64 // newest that anybody was told of
	entries map[uint64]*protocol.Receive
	told    map[uint64]sendKey
	epoch   uint32 // that the numbers belong to, as somebody was told
	gone    uint64 // up to here retention has taken messages, as somebody was told
}

func newLedger(r *run) *ledger {
	return &ledger{run: r, sends: map[sendKey]*sending{}, boxes: map[string]*box{}, aside: map[asideKey]bool{}}
}

func (l *ledger) box(user string) *box {
	if l.boxes[user] == nil {
		l.boxes[user] = &box{entries: map[uint64]*protocol.Receive{}, told: map[uint64]sendKey{}}
	}
	return l.boxes[user]
}

func keyOf(sender, id, content string) sendKey {
	if id != "" {
		content = ""
	}
	return sendKey{sender, id, content}
}

// tried notes that a message is about to be sent.
func (l *ledger) tried(a *attempt) {
	key := keyOf(a.sender, a.id, a.content)
	s := l.sends[key]
	if s == nil {
		s = &sending{receiver: a.receiver}
		l.sends[key] = s
	}
	s.tries++
	if !slices.Contains(s.contents, a.content) {
		s.contents = append(s.contents, a.content)
	}
}

// confirmed: the sender of an id was told where its message is.
func (l *ledger) confirmed(sender, id string, seq uint64) {
	key := sendKey{sender: sender, id: id}
	s := l.sends[key]
	switch {
	case s == nil:
		l.run.breaks("%s is told of %q, which it has not sent", sender, id)
		return
	case s.place != 0 && s.place != seq && s.place > l.floor(s.receiver):
		l.run.breaks("%s is told that %s is at %d of %s, and was told %d before", sender, id, seq, s.receiver, s.place)
	}
	b := l.box(s.receiver)
	if other, taken := b.told[seq]; taken && other != key {
		l.run.breaks("%d of %s is told to be %v and %v", seq, s.receiver, other, key)
	}
	if m := b.entries[seq]; m != nil && (m.Sender != sender || m.Id != id) {
		l.run.breaks("%d of %s is told to be %v, and was seen to be %s/%s", seq, s.receiver, key, m.Sender, m.Id)
	}
	b.told[seq] = key
	b.head = max(b.head, seq)
	s.place, s.sure = seq, true
}

// floor is up to where retention may have taken what was there.
func (l *ledger) floor(user string) uint64 {
	if l.run.retention == 0 {
		return 0
	}
	return l.box(user).head
}

// saw notes that somebody has seen an entry of an inbox.
func (l *ledger) saw(user string, m *protocol.Receive) {
	b := l.box(user)
	if before := b.entries[m.Seq]; before != nil {
		if before.Id != m.Id || before.Sender != m.Sender || before.Content != m.Content || before.At != m.At {
			l.run.breaks("%d of %s is %s from %s, and was %s from %s before", m.Seq, user, short(m.Content), m.Sender, short(before.Content), before.Sender)
		}
		return
	}
	s := l.sends[keyOf(m.Sender, m.Id, m.Content)]
	switch {
	case s == nil || s.receiver != user || m.Receiver != user || !slices.Contains(s.contents, m.Content):
		l.run.breaks("%d of %s is %s from %s, which nobody sent", m.Seq, user, short(m.Content), m.Sender)
	case m.Seq == 0:
		l.run.breaks("%s has an entry without a number", user)
	}
	if key, told := b.told[m.Seq]; told && key != keyOf(m.Sender, m.Id, m.Content) {
		l.run.breaks("%d of %s is from %s/%s, and was told to be %v", m.Seq, user, m.Sender, m.Id, key)
	}
	b.entries[m.Seq] = m
	b.head = max(b.head, m.Seq)
}

// gap: somebody was told that retention took messages.
func (l *ledger) gap(user string, g *protocol.Gap) {
	b := l.box(user)
	if l.run.retention == 0 || g.First > g.Last {
		l.run.breaks("%s is told of a gap from %d to %d, and nothing takes messages away", user, g.First, g.Last)
	}
	b.gone = max(b.gone, g.Last)
	b.head = max(b.head, g.Last)
}

// audit compares an inbox with all that was told and seen of it.
func (l *ledger) audit(user string, state inbox.State, entries []inbox.Entry) {
	r, b := l.run, l.box(user)
	if state.Head < b.head {
		r.breaks("the inbox of %s ends at %d, and somebody was told of %d", user, state.Head, b.head)
	}
	if state.Floor > 0 && r.retention == 0 {
		r.breaks("the inbox of %s begins behind %d, and nothing takes messages away", user, state.Floor)
	}
	if uint64(len(entries)) != state.Head-state.Floor {
		r.breaks("the inbox of %s has %d entries from %d to %d", user, len(entries), state.Floor+1, state.Head)
	}
	there := map[sendKey]uint64{}
	for i, e := range entries {
		m := e.Message
		if m.Seq != state.Floor+uint64(i)+1 {
			r.breaks("the inbox of %s has %d in place of %d", user, m.Seq, state.Floor+uint64(i)+1)
		}
		key := keyOf(m.Sender, m.Id, m.Content)
		if at := there[key]; at != 0 {
			r.breaks("the inbox of %s has the same message at %d and %d: %v", user, at, m.Seq, key)
		}
		there[key] = m.Seq
		l.saw(user, m)
	}
	l.inOrder(user, there)
	for key, s := range l.sends {
		if s.receiver == user && s.sure && there[key] == 0 && s.place >= state.Floor && l.run.retention == 0 {
			r.breaks("the inbox of %s has not got %v, which was confirmed", user, key)
		}
	}
	for _, d := range state.Devices {
		if d.Cursor > state.Head {
			r.breaks("%s of %s is at %d, and the inbox ends at %d", or(d.Name, "the nameless device"), user, d.Cursor, state.Head)
		}
	}
}

// inOrder checks that what a session has sent, once each, is in an inbox in the order in which it was sent.
func (l *ledger) inOrder(user string, there map[sendKey]uint64) {
	for _, c := range l.run.conns {
		last, before := uint64(0), ""
		for _, a := range c.sends {
			key := keyOf(a.sender, a.id, a.content)
			at := there[key]
			if s := l.sends[key]; a.receiver != user || at == 0 || s.tries > 1 || s.retried {
				continue
			}
			if at < last {
				l.run.breaks("%s has sent %s behind %s, and they are at %d and %d", c.name, a, before, at, last)
			}
			last, before = at, a.String()
		}
	}
}

// kept is whether an inbox was seen to have a message.
func (l *ledger) kept(a *attempt) bool {
	key := keyOf(a.sender, a.id, a.content)
	for _, m := range l.box(a.receiver).entries {
		if keyOf(m.Sender, m.Id, m.Content) == key {
			return true
		}
	}
	return false
}

// short is a content for the log.
func short(content string) string {
	if len(content) > 40 {
		return content[:40] + "..."
	}
	return content
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
