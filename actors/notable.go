package actors

import (
	"cmp"
	"slices"
	"time"

	"callboard/actors/mailbox"
	"callboard/protocol"
)

// Who stands out below the shards and the gateway is found without a look at everybody. An
// actor that has something to do has a worker, so the workers know whose queues are long and
// who is long in a message, and tell it though these actors, or all, hang. Who has failed is
// in an order of its own in each shard, which changes with failures alone.

// Notable is a user's actor or a session that stands out.
type Notable struct {
	UserSummary // without a State, if the user's shard did not say it

	Session   uint64        // 0: it is the user's actor
	Queued    int           // messages in its mailbox
	InMessage time.Duration // how long it has been in the one at hand; 0: less than a tick
}

// maxNotable is how many of each kind are named.
const maxNotable = 10

// ranking is the few with the most of something, most first.
type ranking struct {
	of  func(*Notable) int64
	top []Notable
}

// offer takes one among them, if it has enough.
func (r *ranking) offer(n *Notable) {
	has := r.of(n)
	if has == 0 || len(r.top) == maxNotable && has <= r.of(&r.top[maxNotable-1]) {
		return
	}
	at, _ := slices.BinarySearchFunc(r.top, has, func(other Notable, has int64) int {
		if r.of(&other) >= has { // those that came first stay in front of their equals
			return -1
		}
		return 1
	})
	r.top = slices.Insert(r.top, at, *n)
	r.top = r.top[:min(len(r.top), maxNotable)]
}

// rankings are the ones of a Tree.
type rankings struct{ deepest, slowest, sickest ranking }

func newRankings() *rankings {
	return &rankings{
		deepest: ranking{of: func(n *Notable) int64 { return int64(n.Queued) }},
		slowest: ranking{of: func(n *Notable) int64 { return int64(n.InMessage) }},
		sickest: ranking{of: func(n *Notable) int64 { return int64(n.Restarts) }},
	}
}

// working offers an actor that has something to do, if it is a user's or a session.
func (r *rankings) working(one *mailbox.Working, now time.Time) {
	n := Notable{Queued: one.Queued, InMessage: inMessage(one, now)}
	switch owner := one.Owner.(type) {
	case *user:
		n.User = owner.id
	case *session:
		n.User, n.Session = owner.link.user, owner.number
	default:
		return
	}
	r.deepest.offer(&n)
	r.slowest.offer(&n)
}

// users are those whose shards are to say how they are.
func (r *rankings) users() (named []protocol.UserID) {
	for _, top := range [][]Notable{r.deepest.top, r.slowest.top} {
		for i := range top {
			named = append(named, top[i].User)
		}
	}
	slices.Sort(named)
	return slices.Compact(named)
}

// summaries fills in what the shards have said.
func (r *rankings) summaries(known []UserSummary) {
	for _, top := range [][]Notable{r.deepest.top, r.slowest.top} {
		for i := range top {
			at := slices.IndexFunc(known, func(u UserSummary) bool { return u.User == top[i].User })
			if at >= 0 {
				top[i].UserSummary = known[at]
			}
		}
	}
}

// inMessages fills in how long the users with the most restarts have been in a message.
func (s *System) inMessages(sickest []Notable) {
	if len(sickest) == 0 {
		return
	}
	now := time.Now()
	s.workers.Working(func(one mailbox.Working) {
		if owner, ok := one.Owner.(*user); ok {
			at := slices.IndexFunc(sickest, func(n Notable) bool { return n.User == owner.id })
			if at >= 0 {
				sickest[at].InMessage = inMessage(&one, now)
			}
		}
	})
}

// sicker orders the entries of a shard that have failed, the one with the most restarts first.
func sicker(a, b *entry) bool {
	return cmp.Or(cmp.Compare(b.restarts, a.restarts), cmp.Compare(a.id, b.id)) < 0
}

// restarted counts a restart of a user's actor.
func (s *shard) restarted(e *entry) {
	s.sick.Delete(e)
	e.restarts++
	s.sick.ReplaceOrInsert(e)
}

// sickest are the shard's users with the most restarts.
func (s *shard) sickest() (found []Notable) {
	s.sick.Ascend(func(e *entry) bool {
		n := Notable{UserSummary: s.summary(e)}
		if e.actor != nil {
			n.Queued = e.actor.box.UserMessageCount()
		}
		found = append(found, n)
		return len(found) < maxNotable
	})
	return found
}

// known says how some of the shard's users are.
func (s *shard) known(users []protocol.UserID) (found []UserSummary) {
	for _, id := range users {
		if e := s.users[id]; e != nil {
			found = append(found, s.summary(e))
		}
	}
	return found
}
