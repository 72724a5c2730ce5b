package pebble

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/cockroachdb/pebble/v2"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// Problem is something in a store that must not be.
type Problem struct {
	User protocol.UserID
	Text string
}

// Verify reads everything there is and reports what breaks an invariant: that entries follow
// each other without a gap from the floor on, that sums add up, that no cursor is beyond the head,
// that ids and entries agree, and that everything can be decoded. The error says that
// it could not go on. It takes memory for the ids of one inbox at a time.
func (s *Store) Verify(ctx context.Context, report func(Problem)) error {
	from := []byte{userSpace}
	for from != nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, err := s.verifyNext(from, report)
		if err != nil {
			return fmt.Errorf("verifying: %w", err)
		}
		from = next
	}
	if err := s.verifyBlocks(report); err != nil {
		return err
	}
	return s.verifyLetters(report)
}

// verifyBlocks checks that every block can be decoded.
func (s *Store) verifyBlocks(report func(Problem)) error {
	err := s.readingAnyway(func(db *database) error {
		return db.blocks("", func(user protocol.UserID, value []byte) (bool, error) {
			if _, err := decodeBlock(user, value); err != nil {
				report(Problem{User: user, Text: "the block cannot be decoded"})
			}
			return true, nil
		})
	})
	if err != nil {
		return fmt.Errorf("verifying the blocks: %w", err)
	}
	return nil
}

// verifyLetters checks that every message that was set aside can be decoded.
func (s *Store) verifyLetters(report func(Problem)) error {
	err := s.readingAnyway(func(db *database) error {
		return db.letters(0, func(key, value []byte) (bool, error) {
			if _, err := decodeLetter(key, value); err != nil {
				report(Problem{Text: fmt.Sprintf("the message under key %x, which was set aside, cannot be decoded", key)})
			}
			return true, nil
		})
	})
	if err != nil {
		return fmt.Errorf("verifying what was set aside: %w", err)
	}
	return nil
}

// verifyNext checks the first user whose keys begin at from, and returns where the next begin.
func (s *Store) verifyNext(from []byte, report func(Problem)) (next []byte, err error) {
	s.open.RLock()
	defer s.open.RUnlock()
	if s.db == nil {
		return nil, s.trouble
	}
	iter, err := s.db.NewIter(nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	iter.SetBounds(from, []byte{lastSpace})
	if !iter.First() {
		return nil, iter.Error()
	}
	id, _, err := userOf(iter.Key())
	if err != nil {
		report(Problem{Text: err.Error()})
		return append(append([]byte(nil), iter.Key()...), 0), nil
	}
	end := appendPrefix(nil, id, endKind)
	iter.SetBounds(appendPrefix(nil, id, 0), end)
	c := checker{report: report, user: id, seed: maphash.MakeSeed(), ids: map[uint64]uint64{}}
	for ok := iter.First(); ok; ok = iter.Next() {
		if err := c.key(iter); err != nil {
			return nil, inUser(id, err)
		}
	}
	c.end()
	return end, iter.Error()
}

// checker checks one user's keys, which come in order: floor, devices, ids, entries.
type checker struct {
	report func(Problem)
	user   protocol.UserID
	seed   maphash.Seed

	head, sum uint64 // of the newest entry so far
	devices   []inbox.Device
	ids       map[uint64]uint64 // hash of sender and id, by the number of the entry
}

func (c *checker) problem(format string, args ...any) {
	c.report(Problem{User: c.user, Text: fmt.Sprintf(format, args...)})
}

// key checks one key. The error is one of reading.
func (c *checker) key(iter *pebble.Iterator) error {
	_, rest, err := userOf(iter.Key())
	if err != nil {
		return err
	}
	value, err := iter.ValueAndErr()
	if err != nil {
		return err
	}
	if rest[0] == entryKind {
		c.entry(rest, value)
		return nil
	}
	first, second, undecodable := parsePair(value)
	if undecodable != nil {
		c.problem("the value of key %x cannot be decoded", iter.Key())
	} else {
		c.pair(iter.Key(), rest, first, second)
	}
	return nil
}

// pair checks a key whose value is two numbers.
func (c *checker) pair(key, rest []byte, first, second uint64) {
	switch rest[0] {
	case floorKind:
		c.head, c.sum = first, second
	case deviceKind:
		c.devices = append(c.devices, inbox.Device{Name: string(rest[1:]), Cursor: first})
	case idKind:
		c.id(rest, first)
	default:
		c.problem("key %x is of no known kind", key)
	}
}

func (c *checker) id(rest []byte, seq uint64) {
	if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
		c.problem("%x is no key of an id", rest)
		return
	}
	if _, twice := c.ids[seq]; twice {
		c.problem("entry %d has more than one id", seq)
	}
	c.ids[seq] = maphash.Bytes(c.seed, rest[1:])
}

func (c *checker) entry(rest, value []byte) {
	seq, err := seqOf(rest)
	if err != nil {
		c.problem("%v", err)
		return
	}
	if seq != c.head+1 {
		c.problem("entry %d follows %d", seq, c.head)
	}
	c.head = seq
	entry, err := decodeEntry(c.user, seq, value)
	if err != nil {
		c.problem("entry %d cannot be decoded", seq)
		return
	}
	m := entry.Message
	if want := c.sum + inbox.Size(m); entry.Sum != want {
		c.problem("the sum of entry %d is %d and should be %d", seq, entry.Sum, want)
	}
	c.sum = entry.Sum
	if m.Id == "" {
		return
	}
	known, ok := c.ids[seq]
	if !ok {
		c.problem("the id of entry %d is not in the index", seq)
		return
	}
	if key := append(append([]byte{byte(len(m.Sender))}, m.Sender...), m.Id...); maphash.Bytes(c.seed, key) != known {
		c.problem("the index has another id for entry %d", seq)
	}
	delete(c.ids, seq)
}

func (c *checker) end() {
	for seq := range c.ids {
		c.problem("an id points to entry %d, which is not there or has none", seq)
	}
	for _, d := range c.devices {
		if d.Cursor > c.head {
			c.problem("the cursor of device %q is %d, and the newest entry is %d", d.Name, d.Cursor, c.head)
		}
	}
}
