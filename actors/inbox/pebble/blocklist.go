package pebble

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"callboard/actors/inbox"
	"callboard/protocol"
)

var _ inbox.Blocklist = (*Store)(nil)

// Block implements inbox.Blocklist. Like Commit it mends the store first if the disk has
// failed.
func (s *Store) Block(block *inbox.Block) error {
	if !fits(block.User, "") {
		return fmt.Errorf("blocking: %w", errMisfit)
	}
	err := s.change(func(b *pebble.Batch) error {
		return b.Set(appendBlockKey(nil, block.User), appendBlockValue(nil, block), nil)
	})
	if err != nil {
		return fmt.Errorf("blocking %s: %w", block.User, err)
	}
	return nil
}

// Unblock implements inbox.Blocklist.
func (s *Store) Unblock(users ...protocol.UserID) error {
	err := s.change(func(b *pebble.Batch) error {
		for _, user := range users {
			if err := b.Delete(appendBlockKey(nil, user), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("unblocking: %w", err)
	}
	return nil
}

// change writes to the blocks or to what is set aside, and returns when it is on the disk.
func (s *Store) change(fill func(*pebble.Batch) error) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	if err := s.mend(); err != nil {
		return err
	}
	b := s.db.NewBatch()
	if err := fill(b); err != nil {
		_ = b.Close() // nothing of it was applied
		return err
	}
	err := s.db.write(b)
	if err != nil {
		s.open.Lock()
		defer s.open.Unlock()
		s.unsure = true
	}
	return err
}

// Blocks implements inbox.Blocklist.
func (s *Store) Blocks(after protocol.UserID, limit int) (found []*inbox.Block, err error) {
	if limit <= 0 {
		return nil, nil
	}
	err = s.readingSure(func(db *database) error {
		return db.blocks(after, func(user protocol.UserID, value []byte) (bool, error) {
			block, err := decodeBlock(user, value)
			if err != nil {
				return false, fmt.Errorf("of %s: %w", user, err)
			}
			found = append(found, block)
			return len(found) < limit, nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading the blocks: %w", err)
	}
	return found, nil
}

// readingSure calls read while the database stays open and it is known what became of every
// change.
func (s *Store) readingSure(read func(*database) error) error {
	return s.readingAnyway(func(db *database) error {
		if s.unsure {
			return fmt.Errorf("a change failed, and what became of it is not known yet: %w", refine(db.broken()))
		}
		return read(db)
	})
}

// blocks calls do for the blocks of users behind one, until it returns false.
func (d *database) blocks(after protocol.UserID, do func(user protocol.UserID, value []byte) (bool, error)) error {
	return d.scan(append(appendBlockKey(nil, after), 0), []byte{blockEnd}, func(key, value []byte) (bool, error) {
		return do(protocol.UserID(key[1:]), value)
	})
}

// blockVersion is the first byte of a block's value. At, until and the length of by
// follow as varints, then by and reason.
const blockVersion = 1

func appendBlockValue(value []byte, b *inbox.Block) []byte {
	value = append(value, blockVersion)
	value = binary.AppendVarint(value, b.At)
	value = binary.AppendVarint(value, b.Until)
	value = binary.AppendUvarint(value, uint64(len(b.By)))
	return append(append(value, b.By...), b.Reason...)
}

func decodeBlock(user protocol.UserID, value []byte) (*inbox.Block, error) {
	if len(value) == 0 || value[0] != blockVersion {
		return nil, errCorrupt
	}
	value = value[1:]
	at, n := binary.Varint(value)
	until, m := binary.Varint(value[max(n, 0):])
	if n <= 0 || m <= 0 {
		return nil, errCorrupt
	}
	length, k := binary.Uvarint(value[n+m:])
	if k <= 0 || length > uint64(len(value)-n-m-k) {
		return nil, errCorrupt
	}
	text := string(value[n+m+k:])
	return &inbox.Block{User: user, At: at, Until: until, By: text[:length], Reason: text[length:]}, nil
}
