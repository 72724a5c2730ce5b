package mailbox

import "time"

// Working is an actor that has something to do.
type Working struct {
	Actor  string
	Owner  Owner     // of its mailbox; may be nil
	Queued int       // messages behind the one at hand; what of a batch is done counts until all of it is
	Since  time.Time // when the message at hand began, to a tick; zero: since the clock has moved last
}

// lookAtOnce is how many workers are looked at under one lock: whoever has work waits for it
// as long as that takes, some microseconds.
const lookAtOnce = 256

// Working calls see for each actor that has something to do, on the caller's goroutine. It
// asks no actor, so it is answered while they hang. An actor whose mailbox is empty is not
// among them, and neither is one that has failed and waits for its parent. It takes as long as
// there are workers, a few at a time; one that comes or goes meanwhile may be left out, or seen
// twice.
//
// To look moves the clock, so who looks often is told more exactly.
func (w *Workers) Working(see func(Working)) {
	clock := w.clock.Load()
	type one struct {
		box   *Mailbox
		began int64
	}
	some := make([]one, 0, lookAtOnce)
	for from := 0; ; from += lookAtOnce {
		w.mu.Lock()
		if from >= len(w.all) {
			w.clock.Store(time.Now().UnixNano())
			w.mu.Unlock()
			return
		}
		for _, worker := range w.all[from:min(from+lookAtOnce, len(w.all))] {
			if worker.on != nil {
				some = append(some, one{worker.on, worker.began.Load()})
			}
		}
		w.mu.Unlock()
		for _, one := range some {
			found := Working{Actor: one.box.name(), Owner: one.box.owner, Queued: max(0, one.box.UserMessageCount()-1)}
			if one.began < clock {
				found.Since = time.Unix(0, one.began)
			}
			see(found)
		}
		some = some[:0]
	}
}
