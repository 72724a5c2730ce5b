package pebble

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"callboard/actors/inbox"
	"callboard/protocol"
)

var errReadOnly = errors.New("the store is open for reading only")

// Commit implements inbox.Store. After an error, Open, Read and Find return it for the
// users in the batch, until a Commit has found out what the disk has; for the others they go
// on, except while that takes place and, if it fails, until it succeeds. Every Commit tries, the
// empty one too.
func (s *Store) Commit(batch *inbox.Batch) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	if err := s.mend(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	if err := s.apply(batch); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// apply commits to a database that works. The caller holds commit.
func (s *Store) apply(batch *inbox.Batch) error {
	b := s.db.NewBatch()
	version, err := s.fill(b, batch)
	if err != nil {
		_ = b.Close() // nothing of it was applied
		return err
	}
	s.flight.begin(batch)
	defer s.flight.end()
	if err := s.db.write(b); err != nil {
		s.doubtAll(batch)
		return err
	}
	s.db.version = version
	s.unsynced = false
	return nil
}

// fill makes b of a batch, and returns the version of the layout that the store has with it. The
// caller holds commit.
func (s *Store) fill(b *pebble.Batch, batch *inbox.Batch) (version uint64, err error) {
	if err := s.encode(b, batch); err != nil {
		return 0, err
	}
	if version, err = s.raise(b, batch); err != nil {
		return 0, err
	}
	if b.Empty() { // asks whether the disk works: Pebble would not look
		err = s.putPair(b, probeKey, 0, 0)
	}
	return version, err
}

// encode puts a batch into one of Pebble's. The caller holds commit.
func (s *Store) encode(b *pebble.Batch, batch *inbox.Batch) error {
	for i := range batch.Appends {
		a := &batch.Appends[i]
		if !fits(a.User, a.Message.Sender) {
			return errMisfit
		}
		if err := s.putEntry(b, a); err != nil {
			return err
		}
	}
	for i := range batch.Moves {
		m := &batch.Moves[i]
		if !fits(m.User, "") {
			return errMisfit
		}
		if err := s.putMove(b, m); err != nil {
			return err
		}
	}
	return s.putTrims(b, batch)
}

// putEntry writes an entry and its id. The entry is encoded into the batch's own memory.
func (s *Store) putEntry(b *pebble.Batch, a *inbox.Append) error {
	m := a.Message
	s.scratch = appendEntryKey(s.scratch[:0], a.User, m.Seq)
	op := b.SetDeferred(len(s.scratch), entryValueBytes(&a.Entry))
	copy(op.Key, s.scratch)
	putEntryValue(op.Value, &a.Entry)
	if err := op.Finish(); err != nil || m.Id == "" {
		return err
	}
	s.scratch = appendIDKey(s.scratch[:0], a.User, m.Sender, m.Id)
	s.ids.add(s.scratch)
	return s.putPair(b, s.scratch, m.Seq, 0)
}

// putMove writes where a device is, or deletes it.
func (s *Store) putMove(b *pebble.Batch, m *inbox.Move) error {
	s.scratch = appendDeviceKey(s.scratch[:0], m.User, m.Device.Name)
	if m.Forget {
		return b.Delete(s.scratch, nil)
	}
	return s.putPair(b, s.scratch, m.Device.Cursor, zigzag(m.Device.Seen))
}

func (s *Store) putPair(b *pebble.Batch, key []byte, first, second uint64) error {
	op := b.SetDeferred(len(key), pairBytes(first, second))
	copy(op.Key, key)
	putPair(op.Value, first, second)
	return op.Finish()
}

// doubtAll takes note that nobody knows whether a batch is on the disk.
func (s *Store) doubtAll(batch *inbox.Batch) {
	s.open.Lock()
	defer s.open.Unlock()
	s.doubt = map[protocol.UserID]struct{}{}
	for i := range batch.Appends {
		s.doubt[batch.Appends[i].User] = struct{}{}
	}
	for i := range batch.Moves {
		s.doubt[batch.Moves[i].User] = struct{}{}
	}
	for i := range batch.Trims {
		s.doubt[batch.Trims[i].User] = struct{}{}
	}
}
