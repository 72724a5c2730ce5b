package actors

import (
	"cmp"
	"slices"
	"time"

	"callboard/protocol"
)

// busiest finds the users of a shard who are sent the most, without a look at all of them.
// Each entry counts its messages of the round, and the few with the most are kept aside. A
// user comes among them by a message that brings the count an eighth above the least of
// them: so nobody is left out who has more than that, and a message costs a comparison, as
// long as its user is among them or far from it.
type busiest struct {
	round uint16 // entries that have another have no messages in it; after 65,536 of them one may be mistaken
	begun time.Duration
	least uint32 // who has as many is looked at
	top   []*entry

	last []BusyUser // of the last round, most first
}

const (
	// maxBusy is how many each shard knows.
	maxBusy = 16

	// busyRound is the least that a round lasts: several who look share one.
	busyRound = 900 * time.Millisecond
)

// BusyUser is one of those who are sent the most.
type BusyUser struct {
	User     protocol.UserID
	Shard    int
	State    string
	Sessions int
	Messages int           // that came for the user
	Over     time.Duration // within this time
}

// count notes a message for a user.
func (b *busiest) count(e *entry) {
	if e.round != b.round {
		e.round, e.taken, e.busy = b.round, 0, false
	}
	if e.taken++; e.taken >= b.least && !e.busy {
		b.offer(e)
	}
}

// offer takes a user among the busiest, in the place of the last of them.
func (b *busiest) offer(e *entry) {
	if len(b.top) < maxBusy {
		b.top = append(b.top, e)
		e.busy = true
		return
	}
	if i := b.idlest(); b.top[i].taken < e.taken {
		b.top[i].busy = false
		b.top[i] = e
		e.busy = true
	}
	least := b.top[b.idlest()].taken
	b.least = least + least/8 + 1
}

// idlest is the place of the one among them who has the least.
func (b *busiest) idlest() int {
	at := 0
	for i, e := range b.top {
		if e.taken < b.top[at].taken {
			at = i
		}
	}
	return at
}

// drop forgets a user who has left.
func (b *busiest) drop(e *entry) {
	if e.busy && e.round == b.round {
		b.top = slices.DeleteFunc(b.top, func(other *entry) bool { return other == e })
		b.least = 1
	}
}

// look returns those of the last round, and begins another if this one is long enough.
// The slice is nobody's to change.
func (b *busiest) look(shard int, now time.Duration) []BusyUser {
	over := now - b.begun
	if over < busyRound {
		return b.last
	}
	b.last = make([]BusyUser, 0, len(b.top))
	for _, e := range b.top {
		b.last = append(b.last, BusyUser{
			User: e.id, Shard: shard, State: e.state.String(), Sessions: len(e.sessions), Messages: int(e.taken), Over: over,
		})
	}
	slices.SortFunc(b.last, busier)
	clear(b.top)
	b.top, b.least, b.begun = b.top[:0], 1, now
	b.round++
	return b.last
}

// busier puts the one who is sent more first.
func busier(a, b BusyUser) int {
	return cmp.Or(cmp.Compare(b.rate(), a.rate()), cmp.Compare(a.User, b.User))
}

// rate is in messages each second.
func (b *BusyUser) rate() float64 { return float64(b.Messages) / b.Over.Seconds() }
