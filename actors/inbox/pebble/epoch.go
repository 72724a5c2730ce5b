package pebble

import (
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"callboard/actors/inbox"
)

// checkEpoch reads the epoch. A store that has none gets one: it was written before there
// were epochs, and no client has heard of one of it.
func (s *Store) checkEpoch(db *database) error {
	epoch, _, err := db.pair(epochKey)
	switch {
	case err != nil:
		return fmt.Errorf("reading the epoch: %w", err)
	case epoch > math.MaxUint32:
		return fmt.Errorf("reading the epoch: %w", errCorrupt)
	case epoch == 0 && !s.config.ReadOnly:
		return s.begin(db, false)
	}
	db.epoch = uint32(epoch)
	return nil
}

// begin writes a new epoch, and into a new store the version with it, so that the disk
// has both or nothing.
func (s *Store) begin(db *database, created bool) error {
	epoch := inbox.NewEpoch(db.epoch)
	b := db.NewBatch()
	defer func() { _ = b.Close() }() // gives its memory back; it cannot fail
	if created {
		if err := s.putPair(b, versionKey, version, 0); err != nil {
			return fmt.Errorf("writing the version: %w", err)
		}
	}
	if err := s.putPair(b, epochKey, uint64(epoch), 0); err != nil {
		return fmt.Errorf("writing the epoch: %w", err)
	}
	if err := db.Apply(b, pebble.Sync); err != nil {
		return fmt.Errorf("writing the epoch: %w", err)
	}
	if err := db.broken(); err != nil {
		return err
	}
	db.epoch = epoch
	if created {
		db.version = version
	}
	return nil
}

// Epoch is the State.Epoch of all inboxes. It is 0 in a store that is open for reading only
// and that no program has opened otherwise since there are epochs.
func (s *Store) Epoch() uint32 {
	s.open.RLock()
	defer s.open.RUnlock()
	if s.db == nil {
		return 0
	}
	return s.db.epoch
}

// Renew gives all inboxes a new epoch and returns it, when the disk has it. It is for a
// directory that was put back to an earlier state: what is numbered from now on bears numbers
// that others have borne, and the new epoch keeps a client from taking the one for the other.
//
// Call it while nobody uses the store: who has opened an inbox goes on with the epoch that
// it had.
func (s *Store) Renew() (uint32, error) {
	s.commit.Lock()
	defer s.commit.Unlock()
	if err := s.mend(); err != nil {
		return 0, fmt.Errorf("renewing the epoch: %w", err)
	}
	s.open.Lock()
	defer s.open.Unlock()
	if err := s.begin(s.db, false); err != nil {
		return 0, fmt.Errorf("renewing the epoch: %w", refine(err))
	}
	return s.db.epoch, nil
}
