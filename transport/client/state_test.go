package client

import "testing"

func TestSlowWatcherMissesStatesAndNotTheNewest(t *testing.T) {
	var h history
	for range 3 * maxStates {
		h.add(State{Phase: Connecting})
	}
	h.add(State{Phase: Closed})
	var seen []Phase
	number := uint64(0)
	for {
		s, next, changed := h.after(number)
		if changed != nil {
			h.add(State{})
			<-changed
			break
		}
		number = next
		seen = append(seen, s.Phase)
	}
	if len(seen) != maxStates || seen[maxStates-1] != Closed {
		t.Errorf("seen were %v", seen)
	}
}
