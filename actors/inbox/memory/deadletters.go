package memory

import (
	"maps"
	"slices"
	"sync"

	"callboard/actors/inbox"
)

var _ inbox.Deadletters = (*Store)(nil)

// deadletters are the messages that were set aside. Who calls SetAside bounds them.
type deadletters struct {
	sync.Mutex
	letters map[uint64]*inbox.Deadletter
}

// SetAside implements inbox.Deadletters.
func (s *Store) SetAside(letter *inbox.Deadletter, drop ...uint64) error {
	return s.changeLetters(func(letters map[uint64]*inbox.Deadletter) {
		for _, number := range drop {
			delete(letters, number)
		}
		kept := *letter
		letters[letter.Number] = &kept
	})
}

// Drop implements inbox.Deadletters.
func (s *Store) Drop(numbers ...uint64) error {
	return s.changeLetters(func(letters map[uint64]*inbox.Deadletter) {
		for _, number := range numbers {
			delete(letters, number)
		}
	})
}

func (s *Store) changeLetters(change func(map[uint64]*inbox.Deadletter)) error {
	s.dead.Lock()
	defer s.dead.Unlock()
	if s.closed.Load() {
		return inbox.ErrClosed
	}
	if s.dead.letters == nil {
		s.dead.letters = map[uint64]*inbox.Deadletter{}
	}
	change(s.dead.letters)
	return nil
}

// Deadletters implements inbox.Deadletters.
func (s *Store) Deadletters(after uint64, limit int) (found []*inbox.Deadletter, err error) {
	s.dead.Lock()
	defer s.dead.Unlock()
	if s.closed.Load() {
		return nil, inbox.ErrClosed
	}
	for _, number := range slices.Sorted(maps.Keys(s.dead.letters)) {
		if number > after && len(found) < limit {
			found = append(found, s.dead.letters[number])
		}
	}
	return found, nil
}
