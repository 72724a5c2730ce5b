package memory

import "callboard/actors/inbox"

var _ inbox.Deadletters = (*Store)(nil)

// SetAside implements inbox.Deadletters.
func (s *Store) SetAside(letter *inbox.Deadletter, drop ...uint64) error {
	return s.dead.put(letter.Number, letter, drop...)
}

// Drop implements inbox.Deadletters.
func (s *Store) Drop(numbers ...uint64) error { return s.dead.drop(numbers...) }

// Deadletters implements inbox.Deadletters.
func (s *Store) Deadletters(after uint64, limit int) ([]*inbox.Deadletter, error) {
	return s.dead.page(after, limit)
}
