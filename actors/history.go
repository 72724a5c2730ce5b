package actors

import (
	"container/list"
	"slices"

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
	return history{limit: max(16, maxHistories/shards), byUser: make(map[protocol.UserID]*list.Element)}
}

// add remembers an end, and forgets the user's oldest or the user who ended longest ago
// if there are too many.
func (h *history) add(user protocol.UserID, end Closing) {
	at := h.byUser[user]
	if at == nil {
		if len(h.byUser) >= h.limit {
			last := h.recent.Back()
			delete(h.byUser, h.recent.Remove(last).(*endings).user)
		}
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
