package actors

import (
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	// sampleEvery is how many messages there are for each one whose time is taken, on
	// average. Chance picks them, so that no rhythm of a client's hides from it.
	sampleEvery = 64

	// stopwatches is how many may be timed at once: as a rule those of 8,192 messages
	// under way. With more, some are left out. Each costs the collector a little.
	stopwatches = 128

	// stopwatchTries is how many are looked at for one that is free.
	stopwatchTries = 8
)

// untilSample is how many messages go by before one whose time is taken.
func untilSample() uint16 { return uint16(rand.Uint32N(2*sampleEvery - 1)) }

// stopwatch is an address for the answer to a send whose time is taken: it notes when
// the answer comes, and passes it on to the session. So nothing that has to do with
// time travels with a message. It is no actor: it does its work where the answer is sent.
type stopwatch struct {
	system *System
	pid    *actor.PID

	busy  atomic.Bool   // set by a reader, cleared by the answer
	to    *actor.PID    // the session; whose busy it is may touch it, as since
	since time.Duration // of System.now
}

var _ actor.Process = (*stopwatch)(nil)

// startStopwatches makes them all.
func (s *System) startStopwatches() {
	s.stopwatches = make([]stopwatch, stopwatches)
	for i := range s.stopwatches {
		w := &s.stopwatches[i]
		w.system = s
		w.pid, _ = s.actors.ProcessRegistry.Add(w, "stopwatch/"+strconv.Itoa(i))
	}
}

// stopStopwatches takes them out of the system.
func (s *System) stopStopwatches() {
	for i := range s.stopwatches {
		s.actors.ProcessRegistry.Remove(s.stopwatches[i].pid)
	}
}

// timed is the address to give for the answer to a send of a session: that of a
// stopwatch, or if none is free the session's own.
func (s *System) timed(session *actor.PID) *actor.PID {
	first := rand.Uint32()
	for i := range uint32(stopwatchTries) {
		w := &s.stopwatches[(first+i)%stopwatches]
		if w.busy.CompareAndSwap(false, true) {
			w.to, w.since = session, s.now()
			return w.pid
		}
	}
	return session
}

// SendUserMessage implements actor.Process.
func (w *stopwatch) SendUserMessage(_ *actor.PID, message any) {
	if !w.busy.Load() {
		return // no send has two answers
	}
	to := w.to
	w.system.counts.confirms.add(uint64(w.system.now()-w.since), 1)
	w.to = nil
	w.busy.Store(false)
	w.system.root.Send(to, message)
}

// SendSystemMessage implements actor.Process.
func (w *stopwatch) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (w *stopwatch) Stop(*actor.PID) {}

// tick is a time since the start in steps of 65 us: it takes half the room. 0 is none.
// It comes round after 78 hours.
type tick uint32

func tickOf(now time.Duration) tick { return max(1, tick(now>>16)) }

// since is how long ago an earlier one was.
func (t tick) since(earlier tick) time.Duration { return time.Duration(t-earlier) << 16 }
