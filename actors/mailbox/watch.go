package mailbox

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// To see that an actor is stuck in one message must cost next to nothing on the road of a
// message: no clock is read for one, and nothing written. A timer moves a coarse clock on
// while anybody works. A worker that comes to a message looks whether the clock has moved
// since it last did, which is a load and a comparison, and only then notes it. So what it
// has noted is when its message began, or up to a tick before.

const (
	// ticksPerLimit is how fine the clock is.
	ticksPerLimit = 10

	// maxFresh bounds the actors that are told of with their stacks, each time.
	maxFresh = 8
)

// Stuck is an actor that has been in one message for longer than the limit.
type Stuck struct {
	Actor string
	Since time.Time // when the message began, to a tick
	Doing string    // the innermost function of this module that it is in; empty: not looked at
	Stack string    // of its goroutine; only when it is told of for the first time
}

// Found is what a look at the workers has found.
type Found struct {
	Stuck []Stuck // all, who is stuck the longest first
	Fresh []Stuck // those of them that were not told of before, some at a time
	Freed []Stuck // those that were, and have got on
}

// watch is who is told, and what was told. mu of Workers guards it.
type watch struct {
	limit   time.Duration // 0: nobody is
	tell    func(Found)
	ticking bool
	told    bool      // the last time there was somebody
	looked  time.Time // when stacks were taken
	freed   []Stuck
}

// Watch has tell called with the actors that are in one message for longer than the limit:
// ten times within the limit while there are some, and once when there are none any more.
// It is called on a goroutine of its own, never twice at a time. Stacks are taken once
// within the limit at most: a fresh one waits for that. Call Watch once, before actors are
// spawned.
func (w *Workers) Watch(limit time.Duration, tell func(Found)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watch.limit, w.watch.tell = limit, tell
}

// Limit changes the limit of Watch. Who is told of already is not told of again.
func (w *Workers) Limit(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watch.limit = limit
}

// tickLater moves the clock as long as somebody works. The caller holds mu.
func (w *Workers) tickLater() {
	if w.watch.limit > 0 && !w.watch.ticking && !w.closed {
		w.watch.ticking = true
		w.clock.Store(time.Now().UnixNano())
		time.AfterFunc(w.watch.limit/ticksPerLimit, w.tick)
	}
}

func (w *Workers) tick() {
	now := time.Now()
	w.clock.Store(now.UnixNano())
	found, fresh := w.look(now)
	if len(fresh) > 0 {
		found.Fresh = w.stacks(fresh)
	}
	if found != nil {
		w.watch.tell(*found)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watch.ticking = false
	if w.watch.told || len(w.all) > len(w.idle) {
		w.tickLater()
	}
}

// look finds out who is stuck, and who is to be told of for the first time. Found is nil if
// there is nothing to be told. It takes as long as there are workers, which are those that
// have something to do just now.
func (w *Workers) look(now time.Time) (found *Found, fresh []*worker) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, nil
	}
	found = &Found{Freed: w.watch.freed}
	w.watch.freed = nil
	mayTell := now.Sub(w.watch.looked) >= w.watch.limit
	for _, worker := range w.all {
		began := worker.began.Load()
		if worker.told.Actor != "" && began != worker.told.Since.UnixNano() {
			found.Freed = append(found.Freed, worker.told)
			worker.told = Stuck{}
		}
		if worker.on == nil || now.UnixNano()-began < int64(w.watch.limit) {
			continue
		}
		one := worker.told
		if one.Actor == "" {
			one = Stuck{Actor: worker.on.name(), Since: time.Unix(0, began)}
			if mayTell && len(fresh) < maxFresh {
				worker.told = one
				fresh = append(fresh, worker)
			}
		}
		found.Stuck = append(found.Stuck, one)
	}
	if len(fresh) > 0 {
		w.watch.looked = now
	}
	slices.SortFunc(found.Stuck, func(a, b Stuck) int { return a.Since.Compare(b.Since) })
	told := w.watch.told
	if w.watch.told = len(found.Stuck) > 0; !told && !w.watch.told && len(found.Freed) == 0 {
		return nil, nil
	}
	return found, fresh
}

// name is the name of the actor that the mailbox is of.
func (m *Mailbox) name() string {
	if context, ok := m.invoker.(interface{ Self() *actor.PID }); ok {
		return context.Self().GetId()
	}
	return "unknown"
}

// since is a worker's own note of when its message began, as the coarse clock has it.
type since struct {
	clock *atomic.Int64
	seen  int64        // the worker's own
	began atomic.Int64 // the same, for those who look
}

// begin is called before each message.
func (s *since) begin() {
	if now := s.clock.Load(); now != s.seen {
		s.seen = now
		s.began.Store(now)
	}
}
