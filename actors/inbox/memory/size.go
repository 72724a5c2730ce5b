package memory

import "callboard/actors/inbox"

var _ inbox.Sized = (*Store)(nil)

// Bytes implements inbox.Sized: what Config.MaxBytes bounds.
func (s *Store) Bytes() uint64 { return uint64(max(s.bytes.Load(), 0)) }
