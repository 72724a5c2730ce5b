package memory

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"callboard/actors/inbox"
)

// shelf is what is kept beside the inboxes, by key. Who puts something there bounds it.
type shelf[K cmp.Ordered, V any] struct {
	sync.Mutex
	items  map[K]*V
	closed bool
}

// change calls do with what there is.
func (s *shelf[K, V]) change(do func(items map[K]*V)) error {
	s.Lock()
	defer s.Unlock()
	if s.closed {
		return inbox.ErrClosed
	}
	if s.items == nil {
		s.items = map[K]*V{}
	}
	do(s.items)
	return nil
}

// put keeps a copy of a value.
func (s *shelf[K, V]) put(key K, value *V, drop ...K) error {
	return s.change(func(items map[K]*V) {
		for _, other := range drop {
			delete(items, other)
		}
		kept := *value
		items[key] = &kept
	})
}

func (s *shelf[K, V]) drop(keys ...K) error {
	return s.change(func(items map[K]*V) {
		for _, key := range keys {
			delete(items, key)
		}
	})
}

// page returns the values behind a key, in the order of theirs. It sorts them all: there are
// few, or it is the start.
func (s *shelf[K, V]) page(after K, limit int) (found []*V, err error) {
	err = s.change(func(items map[K]*V) {
		for _, key := range slices.Sorted(maps.Keys(items)) {
			if key > after && len(found) < limit {
				found = append(found, items[key])
			}
		}
	})
	return found, err
}

func (s *shelf[K, V]) close() {
	s.Lock()
	defer s.Unlock()
	s.items, s.closed = nil, true
}
