package pebble

import (
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// pointDeletes is up to how many entries are deleted one by one. More become a deletion
// of a range, which costs every later read of the user a little until a compaction.
const pointDeletes = 64

// putTrims writes the trims of a batch, behind its appends. The caller holds commit.
func (s *Store) putTrims(b *pebble.Batch, batch *inbox.Batch) error {
	if len(batch.Trims) == 0 {
		return nil
	}
	upTo := make(map[protocol.UserID]uint64, len(batch.Trims))
	for i := range batch.Trims {
		t := &batch.Trims[i]
		if !fits(t.User, "") {
			return errMisfit
		}
		upTo[t.User] = max(upTo[t.User], t.UpTo)
	}
	fresh := map[protocol.UserID][]*inbox.Append{} // those that the database does not have yet
	for i := range batch.Appends {
		if a := &batch.Appends[i]; upTo[a.User] >= a.Message.Seq {
			fresh[a.User] = append(fresh[a.User], a)
		}
	}
	for user, number := range upTo {
		if err := s.putWholeTrim(b, user, number, fresh[user]); err != nil {
			return err
		}
	}
	return nil
}

// putWholeTrim writes a trim, or nothing if the inbox cannot be read. Then its entries stay:
// one broken inbox must not keep the messages of all others in the batch from being kept.
func (s *Store) putWholeTrim(b *pebble.Batch, user protocol.UserID, upTo uint64, fresh []*inbox.Append) error {
	trim := s.db.NewBatch()
	defer func() { _ = trim.Close() }() // gives its memory back; it cannot fail
	_, err := s.putTrim(trim, user, upTo, fresh)
	if err != nil {
		s.config.Log.Error("an inbox cannot be trimmed; look at it with 'callboard inbox verify'",
			slog.String("user", string(user)), slog.Any("error", err))
	} else if !trim.Empty() {
		return b.Apply(trim, nil)
	}
	return nil
}

// putTrim deletes a user's entries up to a number, with their ids, and writes the new
// floor. It returns how many there were. The caller holds commit.
func (s *Store) putTrim(b *pebble.Batch, user protocol.UserID, upTo uint64, fresh []*inbox.Append) (uint64, error) {
	floor, sum, err := s.db.pair(appendPrefix(nil, user, floorKind))
	if err != nil || upTo <= floor {
		return 0, err
	}
	last := floor
	err = s.db.entries(user, floor+1, func(seq uint64, value []byte) (bool, error) {
		if seq > upTo {
			return false, nil
		}
		h, err := parseEntryHeader(value)
		if err != nil {
			return false, fmt.Errorf("entry %d: %w", seq, err)
		}
		last, sum = seq, h.sum
		return true, s.deleteID(b, user, string(value[h.sender:h.traceparent]), string(value[h.id:h.sender]))
	})
	if err != nil {
		return 0, err
	}
	for _, a := range fresh {
		last, sum = a.Message.Seq, a.Sum
		if err := s.deleteID(b, user, a.Message.Sender, a.Message.Id); err != nil {
			return 0, err
		}
	}
	if last == floor {
		return 0, nil
	}
	if err := s.deleteEntries(b, user, floor+1, last); err != nil {
		return 0, err
	}
	return last - floor, s.putPair(b, appendPrefix(s.scratch[:0], user, floorKind), last, sum)
}

func (s *Store) deleteID(b *pebble.Batch, user protocol.UserID, sender, id string) error {
	if id == "" {
		return nil
	}
	s.scratch = appendIDKey(s.scratch[:0], user, sender, id)
	return b.Delete(s.scratch, nil)
}

func (s *Store) deleteEntries(b *pebble.Batch, user protocol.UserID, first, last uint64) error {
	if last-first >= pointDeletes {
		return b.DeleteRange(appendEntryKey(nil, user, first), appendEntryKey(nil, user, last+1), nil)
	}
	for seq := first; seq <= last; seq++ {
		s.scratch = appendEntryKey(s.scratch[:0], user, seq)
		if err := b.Delete(s.scratch, nil); err != nil {
			return err
		}
	}
	return nil
}

// entries calls do for the entries from a number on, until it returns false.
func (d *database) entries(user protocol.UserID, from uint64, do func(seq uint64, value []byte) (bool, error)) error {
	return d.scan(appendEntryKey(nil, user, from), appendPrefix(nil, user, lastKind), func(key, value []byte) (bool, error) {
		seq, err := seqOf(key[prefixBytes-1+len(user):])
		if err != nil {
			return false, err
		}
		return do(seq, value)
	})
}
