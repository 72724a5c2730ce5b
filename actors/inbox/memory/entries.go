package memory

import "callboard/actors/inbox"

// entries is a queue of entries that can be read like a slice. Room that was freed in
// front is used again, so that messages that come and go make little garbage. An empty one has none.
type entries struct {
	slots []inbox.Entry // the first are free, and empty
	free  int32
	named int32 // how many of the entries have an id
}

// all is what is in the queue, oldest first, up to the next push or drop.
func (e *entries) all() []inbox.Entry { return e.slots[e.free:] }

func (e *entries) len() int { return len(e.slots) - int(e.free) }

func (e *entries) push(entry inbox.Entry) {
	switch {
	case e.slots == nil:
		e.slots = make([]inbox.Entry, 0, 4)
	case len(e.slots) == cap(e.slots) && int(e.free) >= e.len(): // so that a move pays for as many pushes
		n := copy(e.slots, e.all())
		clear(e.slots[max(n, int(e.free)):])
		e.slots, e.free = e.slots[:n], 0
	}
	e.slots = append(e.slots, entry)
}

// drop takes out the oldest.
func (e *entries) drop(count int) {
	clear(e.all()[:count]) // lets the messages go
	e.free += int32(count)
	if e.len() == 0 {
		*e = entries{}
	}
}
