package pebble

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// Open implements inbox.Store. It reads the floor, the devices and the newest entry; how
// many entries there are makes no difference. It waits for a Commit that has to do with the user.
func (s *Store) Open(user protocol.UserID) (inbox.State, error) {
	s.flight.wait(user)
	var state inbox.State
	err := s.reading(user, func(db *database) error {
		iter, err := db.userIter(user)
		if err != nil {
			return err
		}
		found, err := readUser(iter)
		state = found.State
		state.Epoch = db.epoch
		return errors.Join(err, iter.Close())
	})
	if err != nil {
		return inbox.State{}, fmt.Errorf("opening the inbox of %s: %w", user, err)
	}
	return state, nil
}

// Read implements inbox.Store. It may already see what a Commit under way will have put
// there if it succeeds.
func (s *Store) Read(user protocol.UserID, after uint64, maxEntries, maxBytes int) ([]inbox.Entry, error) {
	if maxEntries <= 0 || after+1 == 0 {
		return nil, nil
	}
	var read []inbox.Entry
	err := s.readingAnyway(func(db *database) error {
		bytes := uint64(0)
		return db.entries(user, after+1, func(seq uint64, value []byte) (bool, error) {
			entry, err := decodeEntry(user, seq, value)
			if err != nil {
				return false, fmt.Errorf("entry %d: %w", seq, err)
			}
			read = append(read, entry)
			bytes += inbox.Size(entry.Message)
			return len(read) < maxEntries && bytes < uint64(max(maxBytes, 0)), nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading the inbox of %s: %w", user, err)
	}
	return read, nil
}

// Find implements inbox.Store. An id that is not there costs no look into the database, in
// most cases. It may already see what a Commit under way will have put there if it succeeds.
func (s *Store) Find(user protocol.UserID, sender, id string) (*protocol.Receive, error) {
	if id == "" || !fits(user, sender) {
		return nil, nil
	}
	var found *protocol.Receive
	err := s.reading(user, func(db *database) error {
		key := appendIDKey(make([]byte, 0, 128), user, sender, id)
		if s.ids.excludes(key) {
			return nil
		}
		seq, _, err := db.pair(key)
		if err != nil || seq == 0 {
			return err
		}
		value, closer, err := db.Get(appendEntryKey(nil, user, seq))
		if errors.Is(err, pebble.ErrNotFound) {
			return nil // it went in between
		}
		if err != nil {
			return err
		}
		entry, err := decodeEntry(user, seq, value)
		if err == nil && entry.Message.Id == id && entry.Message.Sender == sender {
			found = entry.Message
		}
		return errors.Join(err, closer.Close())
	})
	if err != nil {
		return nil, fmt.Errorf("looking for a message in the inbox of %s: %w", user, err)
	}
	return found, nil
}

// reading calls read while the database stays open and it is known what the user's
// inbox has.
func (s *Store) reading(user protocol.UserID, read func(*database) error) error {
	return s.readingAnyway(func(db *database) error {
		if _, doubtful := s.doubt[user]; doubtful {
			return fmt.Errorf("a commit failed, and what became of it is not known yet: %w", refine(db.broken()))
		}
		return read(db)
	})
}

// readingAnyway calls read while the database stays open.
func (s *Store) readingAnyway(read func(*database) error) error {
	s.open.RLock()
	defer s.open.RUnlock()
	if s.db == nil {
		return s.trouble
	}
	return read(s.db)
}

// userIter iterates over all keys of a user.
func (d *database) userIter(user protocol.UserID) (*pebble.Iterator, error) {
	return d.NewIter(&pebble.IterOptions{
		LowerBound: appendPrefix(nil, user, 0),
		UpperBound: appendPrefix(nil, user, lastKind),
	})
}

// readUser reads a user's state, with the iterator set to the user's keys.
func readUser(iter *pebble.Iterator) (User, error) {
	var u User
	var floorSum uint64
	for ok := iter.First(); ok; ok = iter.Next() {
		user, rest, err := userOf(iter.Key())
		if err != nil {
			return u, err
		}
		u.ID = user
		if rest[0] != floorKind && rest[0] != deviceKind {
			break
		}
		value, err := iter.ValueAndErr()
		if err != nil {
			return u, err
		}
		a, b, err := parsePair(value)
		if err != nil {
			return u, fmt.Errorf("key %x: %w", iter.Key(), err)
		}
		if rest[0] == floorKind {
			u.Floor, floorSum = a, b
			continue
		}
		u.Devices = append(u.Devices, inbox.Device{Name: string(rest[1:]), Cursor: a, Seen: unzigzag(b)})
	}
	u.Head, u.Sum = u.Floor, floorSum
	if iter.Last() {
		_, rest, err := userOf(iter.Key())
		if err != nil {
			return u, err
		}
		if rest[0] == entryKind {
			if u.Head, err = seqOf(rest); err != nil {
				return u, err
			}
			value, err := iter.ValueAndErr()
			if err != nil {
				return u, err
			}
			h, err := parseEntryHeader(value)
			if err != nil {
				return u, fmt.Errorf("entry %d: %w", u.Head, err)
			}
			u.Sum = h.sum
		}
	}
	u.Bytes = u.Sum - floorSum
	return u, iter.Error()
}
