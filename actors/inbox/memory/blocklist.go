package memory

import (
	"maps"
	"slices"
	"sync"

	"callboard/actors/inbox"
	"callboard/protocol"
)

var _ inbox.Blocklist = (*Store)(nil)

// blocklist is who may not connect. Who calls Block bounds it.
type blocklist struct {
	sync.Mutex
	blocks map[protocol.UserID]*inbox.Block
}

// Block implements inbox.Blocklist.
func (s *Store) Block(block *inbox.Block) error {
	s.blocked.Lock()
	defer s.blocked.Unlock()
	if s.closed.Load() {
		return inbox.ErrClosed
	}
	if s.blocked.blocks == nil {
		s.blocked.blocks = map[protocol.UserID]*inbox.Block{}
	}
	kept := *block
	s.blocked.blocks[block.User] = &kept
	return nil
}

// Unblock implements inbox.Blocklist.
func (s *Store) Unblock(users ...protocol.UserID) error {
	s.blocked.Lock()
	defer s.blocked.Unlock()
	if s.closed.Load() {
		return inbox.ErrClosed
	}
	for _, user := range users {
		delete(s.blocked.blocks, user)
	}
	return nil
}

// Blocks implements inbox.Blocklist. It sorts them all: it is called at the start, when
// there are none.
func (s *Store) Blocks(after protocol.UserID, limit int) ([]*inbox.Block, error) {
	s.blocked.Lock()
	defer s.blocked.Unlock()
	if s.closed.Load() {
		return nil, inbox.ErrClosed
	}
	var found []*inbox.Block
	for _, user := range slices.Sorted(maps.Keys(s.blocked.blocks)) {
		if user > after && len(found) < limit {
			found = append(found, s.blocked.blocks[user])
		}
	}
	return found, nil
}
