package mailbox

import (
	"context"
	"runtime/pprof"
	"sync"
	"sync/atomic"

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
	idle   []*worker         // guarded by mu; the last one in is the first one out
	all    []*worker         // guarded by mu
	seats  []context.Context // guarded by mu; their labels, see stack.go
	empty  []int             // guarded by mu; seats that nobody has
	closed bool              // guarded by mu
	watch  watch             // guarded by mu

	clock atomic.Int64 // moved by tick; read for every message
}

type worker struct {
	since
	next   chan *Mailbox
	labels context.Context //nolint:containedctx // a set of labels has no other form
	seat   int
	at     int      // in all; guarded by mu of Workers
	on     *Mailbox // likewise; nil: it has nothing to do
	told   Stuck    // likewise; what was told of it, if it was stuck and has not got on
}

var _ actor.Dispatcher = (*Workers)(nil)

// Schedule implements actor.Dispatcher. Our mailboxes call wake instead.
func (*Workers) Schedule(fn func()) { go fn() }

// Throughput implements actor.Dispatcher. Our mailboxes do not ask.
func (*Workers) Throughput() int { return yieldAfter }

// wake has the mailbox run on a worker.
func (w *Workers) wake(m *Mailbox) {
	if w == nil {
		go m.run(&since{clock: new(atomic.Int64)})
		return
	}
	w.mu.Lock()
	w.tickLater()
	if n := len(w.idle); n > 0 {
		worker := w.idle[n-1]
		w.idle = w.idle[:n-1]
		worker.on = m
		worker.began.Store(w.clock.Load())
		w.mu.Unlock()
		worker.next <- m // has room for one, and gets one
		return
	}
	worker := w.hire()
	worker.on = m
	worker.began.Store(w.clock.Load())
	w.mu.Unlock()
	go w.work(worker, m)
}

// hire makes a worker. The caller holds mu.
func (w *Workers) hire() *worker {
	worker := &worker{next: make(chan *Mailbox, 1), at: len(w.all)}
	worker.clock = &w.clock
	if w.watch.limit > 0 {
		worker.seat, worker.labels = w.seatOf()
	}
	w.all = append(w.all, worker)
	return worker
}

func (w *Workers) work(self *worker, m *Mailbox) {
	if self.labels != nil {
		pprof.SetGoroutineLabels(self.labels)
	}
	for m.run(&self.since); w.rest(self); m.run(&self.since) {
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
	self.on = nil
	if self.told.Actor != "" {
		w.watch.freed = append(w.watch.freed, self.told)
		self.told = Stuck{}
	}
	if w.closed || len(w.idle) == maxIdle {
		w.dismiss(self)
		return false
	}
	w.idle = append(w.idle, self)
	return true
}

// dismiss forgets a worker. The caller holds mu.
func (w *Workers) dismiss(worker *worker) {
	last := w.all[len(w.all)-1]
	w.all[worker.at], last.at = last, worker.at
	w.all[len(w.all)-1] = nil
	w.all = w.all[:len(w.all)-1]
	if worker.labels != nil {
		w.empty = append(w.empty, worker.seat)
	}
}

// Close ends the workers that have nothing to do, and the others when they have
// done it. Mailboxes go on working, each on a fresh goroutine. Nobody is told any more.
func (w *Workers) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, worker := range w.idle {
		w.dismiss(worker)
		close(worker.next)
	}
	w.idle = nil
}
