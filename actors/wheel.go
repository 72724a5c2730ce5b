package actors

// idleSlots is the number of slots that the idle time of a user is cut into: a
// quiet user is asked to leave after the idle time or up to an eighth later.
const idleSlots = 9

// wheel is a coarse clock for many: what is added comes out after all slots have
// turned once. It replaces a timer for each. The zero value needs init.
type wheel[T any] struct {
	slots [][]T
	at    int
	n     int
}

func (w *wheel[T]) init(slots int) { w.slots = make([][]T, slots) }

// add puts v where it comes out last.
func (w *wheel[T]) add(v T) {
	i := (w.at + len(w.slots) - 1) % len(w.slots)
	w.slots[i] = append(w.slots[i], v)
	w.n++
}

// turn moves on by one slot and returns what was in it.
func (w *wheel[T]) turn() []T {
	out := w.slots[w.at]
	w.slots[w.at] = nil
	w.at = (w.at + 1) % len(w.slots)
	w.n -= len(out)
	return out
}
