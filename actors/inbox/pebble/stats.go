package pebble

import (
	"context"
	"fmt"

	"callboard/actors/inbox"
)

// Stats are the totals of a store.
type Stats struct {
	Users     uint64
	Devices   uint64
	Entries   uint64 // messages that are there
	Bytes     uint64 // what they count together, in bytes
	DiskBytes uint64 // what the files take
	Files     int64  // tables; there are about half a dozen other files besides
}

// Stats goes through all users and adds up. It takes about 20 µs for each.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	var total Stats
	for u, err := range s.Users(ctx) {
		if err != nil {
			return Stats{}, fmt.Errorf("counting the inboxes: %w", err)
		}
		total.Add(u)
	}
	s.Disk(&total)
	return total, nil
}

// Add counts a user.
func (t *Stats) Add(u User) {
	t.Users++
	t.Devices += uint64(len(u.Devices))
	t.Entries += u.Head - u.Floor
	t.Bytes += u.Bytes
}

// Disk fills in what the files take. It does not go through them.
func (s *Store) Disk(total *Stats) {
	s.open.RLock()
	defer s.open.RUnlock()
	if s.db == nil {
		return
	}
	m := s.db.Metrics()
	total.DiskBytes, total.Files = m.DiskSpaceUsage(), m.Total().TablesCount
}

var _ inbox.Sized = (*Store)(nil)

// Bytes implements inbox.Sized: what the files take. Pebble counts the log that is being
// written only when it is full, so what is in it is added here.
func (s *Store) Bytes() uint64 {
	s.open.RLock()
	defer s.open.RUnlock()
	if s.db == nil {
		return 0
	}
	m := s.db.Metrics()
	return m.DiskSpaceUsage() + m.WAL.Size - min(m.WAL.Size, m.WAL.PhysicalSize)
}
