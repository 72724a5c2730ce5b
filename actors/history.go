package actors

import (
	"container/list"
	"slices"
	"time"

	"callboard/protocol"
)

const (
	// maxClosings is how many ends of sessions are remembered for a user.
	maxClosings = 10

	// maxHistories is how many users' are remembered on a node, those whose sessions
	// ended last: each shard has its part of it, about 10 MB together when all are full.
	maxHistories = 8192
)

// history remembers how the last sessions of users ended. It outlives the users'
// actors, and is bounded. The zero history is of no use.
type history struct {
	limit  int // of users
	byUser map[protocol.UserID]*list.Element
	recent list.List // of *endings, those that ended last in front
}

// endings are those of one user, oldest first.
type endings struct {
	user protocol.UserID
	ends []Closing
}

func newHistory(shards int) history {
	return history{limit: historyLimit(shards), byUser: make(map[protocol.UserID]*list.Element)}
}

// historyLimit is the part of one of so many shards.
func historyLimit(shards int) int { return max(16, maxHistories/shards) }

// add remembers an end, and forgets the user's oldest or the user who ended longest ago
// if there are too many.
func (h *history) add(user protocol.UserID, end Closing) {
	at := h.byUser[user]
	if at == nil {
		h.bound(h.limit - 1)
		at = h.recent.PushFront(&endings{user: user})
		h.byUser[user] = at
	}
	h.recent.MoveToFront(at)
	e := at.Value.(*endings)
	if len(e.ends) == maxClosings {
		e.ends = slices.Delete(e.ends, 0, 1)
	}
	e.ends = append(e.ends, end)
}

// of returns a user's, newest first. The caller owns the slice.
func (h *history) of(user protocol.UserID) []Closing {
	at := h.byUser[user]
	if at == nil {
		return nil
	}
	ends := slices.Clone(at.Value.(*endings).ends)
	slices.Reverse(ends)
	return ends
}

// bound forgets the users who ended longest ago until there are no more than so many.
func (h *history) bound(users int) {
	for len(h.byUser) > users {
		delete(h.byUser, h.recent.Remove(h.recent.Back()).(*endings).user)
	}
}

// take gives out what is known of the users that which says, those that ended longest
// ago first, and forgets it.
func (h *history) take(which func(protocol.UserID) bool) (taken []*endings) {
	for at := h.recent.Back(); at != nil; {
		next, e := at.Prev(), at.Value.(*endings)
		if which(e.user) {
			taken = append(taken, h.recent.Remove(at).(*endings))
			delete(h.byUser, e.user)
		}
		at = next
	}
	return taken
}

// merge adds what another history gave out. It is before what this one knows of the
// same users.
func (h *history) merge(taken []*endings) {
	behind := h.recent.Back()
	for _, given := range taken {
		if at := h.byUser[given.user]; at != nil {
			e := at.Value.(*endings)
			e.ends = slices.Concat(given.ends, e.ends)
			e.ends = e.ends[max(0, len(e.ends)-maxClosings):]
			continue
		}
		for behind != nil && behind.Value.(*endings).last().Before(given.last()) {
			behind = behind.Prev()
		}
		e := &endings{user: given.user, ends: slices.Clone(given.ends)}
		if behind == nil {
			h.byUser[e.user] = h.recent.PushFront(e)
		} else {
			h.byUser[e.user] = h.recent.InsertAfter(e, behind)
		}
	}
	h.bound(h.limit)
}

// last is when the newest of a user's sessions ended.
func (e *endings) last() time.Time { return e.ends[len(e.ends)-1].At }
