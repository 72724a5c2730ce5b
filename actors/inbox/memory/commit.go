package memory

import (
	"slices"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// Commit implements inbox.Store. Many goroutines may call it at once, each for users of
// its own. A batch that does not fit is refused as a whole, with inbox.ErrFull. Others may
// see the inbox of one user before that of another has changed.
func (s *Store) Commit(batch *inbox.Batch) error {
	cost := appendsCost(batch.Appends)
	if s.bytes.Add(cost) > s.config.MaxBytes && (cost > 0 || s.addsUsers(batch.Moves)) {
		s.bytes.Add(-cost)
		return inbox.ErrFull
	}
	w := writer{store: s, delta: -cost}
	defer w.done()
	for i := range batch.Appends {
		a := &batch.Appends[i]
		if !w.open(a.User) {
			return inbox.ErrClosed
		}
		w.delta += w.box.append(a.Entry)
	}
	for i := range batch.Moves {
		m := &batch.Moves[i]
		if !w.open(m.User) {
			return inbox.ErrClosed
		}
		w.delta += w.box.move(m, uint64(s.config.RetentionEntries))
	}
	for i := range batch.Trims {
		t := &batch.Trims[i]
		if !w.open(t.User) {
			return inbox.ErrClosed
		}
		w.delta += w.box.trim(t.UpTo)
	}
	if len(batch.Appends)+len(batch.Moves)+len(batch.Trims) == 0 {
		return s.works()
	}
	return nil
}

// works answers the empty batch: a store that has no room for the longest message is full,
// though there may be some for shorter ones.
func (s *Store) works() error {
	switch {
	case s.closed.Load():
		return inbox.ErrClosed
	case s.bytes.Load()+longest > s.config.MaxBytes:
		return inbox.ErrFull
	}
	return nil
}

// longest is what a message costs at most.
const longest = protocol.MaxFrameBytes + entryCost + userCost + 1024

// addsUsers reports whether one of the moves is of a user that is not known yet. Those
// of users who are known free memory rather than take it.
func (s *Store) addsUsers(moves []inbox.Move) bool {
	return slices.ContainsFunc(moves, func(m inbox.Move) bool {
		shard := s.shard(m.User)
		shard.Lock()
		defer shard.Unlock()
		return shard.boxes[m.User] == nil
	})
}

// appendsCost is what the messages cost.
func appendsCost(appends []inbox.Append) int64 {
	var cost int64
	for i := range appends {
		cost += entryBytes(appends[i].Message)
	}
	return cost
}

func entryBytes(m *protocol.Receive) int64 { return int64(inbox.Size(m)) + entryCost }

// writer applies a batch: it holds the lock of one shard at a time, and keeps it while
// the user stays the same, which for most batches is all the time.
type writer struct {
	store *Store
	shard *shard // locked, or nil
	box   *box
	user  protocol.UserID
	delta int64 // what is to be added to the store's bytes
}

// open makes a user's box the current one. It reports whether the Store is open.
func (w *writer) open(user protocol.UserID) bool {
	if w.box != nil && w.user == user {
		return true
	}
	w.leave()
	w.shard = w.store.shard(user)
	w.shard.Lock()
	if w.store.closed.Load() {
		return false
	}
	box := w.shard.boxes[user]
	if box == nil {
		box = newBox()
		w.shard.boxes[user] = box
		w.delta += userCost + int64(len(user))
	}
	w.box, w.user = box, user
	return true
}

// leave unlocks the current shard, if there is one.
func (w *writer) leave() {
	if w.shard == nil {
		return
	}
	if w.box != nil {
		w.delta += w.shard.recent.touch(w.box)
	}
	w.shard.Unlock()
	w.shard, w.box = nil, nil
}

func (w *writer) done() {
	w.leave()
	w.store.bytes.Add(w.delta)
}
