package pebble

import (
	"slices"
	"sync"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// flight is the batch that is being committed. Pebble shows it to readers before the disk
// has it; an Open that said so would be wrong if the disk then failed. So Open waits for
// the end of a commit that concerns its user.
type flight struct {
	mu     sync.RWMutex
	batch  *inbox.Batch
	landed chan struct{}
}

func (f *flight) begin(batch *inbox.Batch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.batch, f.landed = batch, make(chan struct{})
}

func (f *flight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.landed)
	f.batch = nil
}

// wait returns when no commit is under way that concerns a user.
func (f *flight) wait(user protocol.UserID) {
	f.mu.RLock()
	concerned := f.batch != nil && concerns(f.batch, user)
	landed := f.landed
	f.mu.RUnlock()
	if concerned {
		<-landed
	}
}

func concerns(b *inbox.Batch, user protocol.UserID) bool {
	return slices.ContainsFunc(b.Appends, func(a inbox.Append) bool { return a.User == user }) ||
		slices.ContainsFunc(b.Moves, func(m inbox.Move) bool { return m.User == user }) ||
		slices.ContainsFunc(b.Trims, func(t inbox.Trim) bool { return t.User == user })
}
