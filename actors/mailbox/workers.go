package mailbox

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// maxIdle is the number of workers that are kept without work.
const maxIdle = 64

// Workers is an [actor.Dispatcher] that runs each mailbox on a goroutine of its
// own, as protoactor's does, but uses the goroutines again: a fresh one has to
// grow its stack, copying it, for every message that wakes an actor, and that was
// a quarter of the processor time of a message that travels alone
// (BenchmarkWake). A mailbox that is busy or stuck holds one goroutine and
// nobody else up.
type Workers struct {
	mu     sync.Mutex
	idle   []*worker // guarded by mu; the last one in is the first one out
	closed bool      // guarded by mu
}

type worker struct{ next chan *Mailbox }

var _ actor.Dispatcher = (*Workers)(nil)

// Schedule implements actor.Dispatcher. Our mailboxes call wake instead.
func (*Workers) Schedule(fn func()) { go fn() }

// Throughput implements actor.Dispatcher. Our mailboxes do not ask.
func (*Workers) Throughput() int { return yieldAfter }

// wake has the mailbox run on a worker.
func (w *Workers) wake(m *Mailbox) {
	if w == nil {
		go m.run()
		return
	}
	w.mu.Lock()
	if n := len(w.idle); n > 0 {
		worker := w.idle[n-1]
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		worker.next <- m // has room for one, and gets one
		return
	}
	w.mu.Unlock()
	go w.work(m)
}

func (w *Workers) work(m *Mailbox) {
	self := &worker{next: make(chan *Mailbox, 1)}
	for m.run(); w.rest(self); m.run() {
		next, more := <-self.next
		if !more {
			return
		}
		m = next
	}
}

// rest puts a worker to the idle ones, if it is to stay.
func (w *Workers) rest(self *worker) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.idle) == maxIdle {
		return false
	}
	w.idle = append(w.idle, self)
	return true
}

// Close ends the workers that have nothing to do, and the others when they have
// done it. Mailboxes go on working, each on a fresh goroutine.
func (w *Workers) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, worker := range w.idle {
		close(worker.next)
	}
	w.idle = nil
}
