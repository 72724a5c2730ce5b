package actors

import "runtime"

// atOnce is how many actors another one wakes in a row before it lets them on.
const atOnce = 64

// letOn lets those on that have been woken, after each few of them. Who wakes forty thousand
// actors in one go, as a heartbeat may, would else have forty thousand goroutines at once: their
// stacks for the moment, and 500 bytes for each for good, for Go keeps what it knows of a
// goroutine to use it again. So a few goroutines do it all. Call it with 0, 1, 2, …
func letOn(woken int) {
	if woken%atOnce == atOnce-1 {
		runtime.Gosched()
	}
}
