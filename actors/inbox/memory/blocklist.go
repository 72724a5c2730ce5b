package memory

import (
	"callboard/actors/inbox"
	"callboard/protocol"
)

var _ inbox.Blocklist = (*Store)(nil)

// Block implements inbox.Blocklist.
func (s *Store) Block(block *inbox.Block) error { return s.blocked.put(block.User, block) }

// Unblock implements inbox.Blocklist.
func (s *Store) Unblock(users ...protocol.UserID) error { return s.blocked.drop(users...) }

// Blocks implements inbox.Blocklist.
func (s *Store) Blocks(after protocol.UserID, limit int) ([]*inbox.Block, error) {
	return s.blocked.page(after, limit)
}
