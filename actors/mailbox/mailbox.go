package mailbox

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// yieldAfter is the number of messages that a run handles before it lets other
// goroutines on, so that one busy actor does not make the others late.
const yieldAfter = 256

// Owner is told, on the actor's own goroutine, that everything posted so far has
// been handled. What it does is part of the actor's work: it may change the
// actor's state, may send, and a panic in it is a failure of the actor.
type Owner interface {
	Drained()
}

// Mailbox is an [actor.Mailbox]. Use [New], or embed it and call [Mailbox.Init].
//
// Every session and every user has one, so each of its bytes is there twice for a user who is
// connected: TestMailboxIsSmall.
type Mailbox struct {
	mu        sync.Mutex
	posted    queue  // guarded by mu
	system    orders // guarded by mu
	running   bool   // guarded by mu: a run is scheduled or under way
	suspended bool   // guarded by mu

	urgent atomic.Bool  // a system message waits: read between two messages without the lock
	batch  atomic.Int32 // size of the batch at hand, for UserMessageCount

	taken queue // the run's alone: out of posted, not yet handled

	invoker actor.MessageInvoker
	workers *Workers
	owner   Owner // may be nil
}

var _ actor.Mailbox = (*Mailbox)(nil)

// New makes a mailbox. The owner may be nil.
func New(owner Owner) *Mailbox {
	return &Mailbox{owner: owner}
}

// Init sets the owner of an embedded mailbox. Call it before the actor is spawned.
func (m *Mailbox) Init(owner Owner) { m.owner = owner }

// Owner is what Init or New was given.
func (m *Mailbox) Owner() Owner { return m.owner }

// PostUserMessage puts a message behind all that was posted before. Any
// goroutine may call it; it never waits for the actor.
func (m *Mailbox) PostUserMessage(message any) {
	m.mu.Lock()
	m.post(message)
}

// post puts a message into the queue and lets go of the lock, which the caller holds.
func (m *Mailbox) post(message any) {
	m.posted.push(message)
	wake := !m.running && !m.suspended
	if wake {
		m.running = true
	}
	m.mu.Unlock()
	if wake {
		m.workers.wake(m)
	}
}

// PostSystemMessage puts a message of the actor system (start, stop, failure of
// a child, …) before all user messages that are not yet being handled.
func (m *Mailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	m.order(message)
}

// PostPriorityMessage puts a user message where a system message would go: before all that are not
// yet being handled, and behind what has priority already. Only for an actor that survives its own
// panics: one that is suspended would get it all the same, and [Mailbox.Rest] would not have it.
func (m *Mailbox) PostPriorityMessage(message any) { m.PostSystemMessage(&priority{message}) }

// priority is a user message among the system messages.
type priority struct{ message any }

// order puts a message among the system messages and lets go of the lock, which the caller holds.
func (m *Mailbox) order(message any) {
	m.system.push(message)
	m.urgent.Store(true)
	wake := !m.running
	m.running = true
	m.mu.Unlock()
	if wake {
		m.workers.wake(m)
	}
}

// RegisterHandlers is called once by the actor system, before the first message.
// Unless the actor's Props have a *Workers for dispatcher, each run is a fresh
// goroutine.
func (m *Mailbox) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	m.invoker = invoker
	m.workers, _ = dispatcher.(*Workers)
}

// Start does nothing: the mailbox runs when something is posted.
func (m *Mailbox) Start() {}

// UserMessageCount returns how many user messages wait. The batch at hand counts
// whole, so the number may be too high by the part of it that is done.
func (m *Mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int(m.posted.n + m.batch.Load())
}

// Rest takes out the user messages that were never handled, oldest first. Only
// the parent may call it, and only after the actor has failed and terminated:
// the mailbox is suspended then, and nothing else reads it.
func (m *Mailbox) Rest() []any {
	m.mu.Lock()
	defer m.mu.Unlock()
	rest := make([]any, 0, m.taken.n+m.posted.n)
	for _, q := range []*queue{&m.taken, &m.posted} {
		for msg, ok := q.pop(); ok; msg, ok = q.pop() {
			rest = append(rest, msg)
		}
	}
	m.batch.Store(0)
	return rest
}

// run handles messages until none is left or the mailbox is suspended. At most
// one run is under way at a time; the lock orders one before the next.
func (m *Mailbox) run(at *since) {
	for m.step(at) {
	}
}

// step handles what is at hand and says whether there may be more. A panic of
// the actor ends the step: the actor is suspended until its parent has decided.
func (m *Mailbox) step(at *since) (more bool) {
	var current any
	defer func() {
		if reason := recover(); reason != nil {
			m.invoker.EscalateFailure(newFailure(reason), current)
			more = true
		}
	}()
	for handled := 1; ; handled++ {
		at.begin()
		if m.urgent.Load() {
			current = m.nextSystem()
			if first, ok := current.(*priority); ok {
				current = first.message
				m.invoker.InvokeUserMessage(current)
			} else {
				m.handleSystem(current)
			}
			current = nil
			continue
		}
		msg, ok := m.next()
		if !ok {
			return m.rest()
		}
		current = msg
		m.invoker.InvokeUserMessage(msg)
		current = nil
		if handled%yieldAfter == 0 {
			runtime.Gosched()
		}
	}
}

// next is the next user message, if there is one and the mailbox is not suspended.
func (m *Mailbox) next() (any, bool) {
	if !m.suspendedHere() && m.taken.n > 0 { // in this order: taken may be Rest's when suspended
		return m.taken.pop()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.suspended || m.posted.n == 0 {
		return nil, false
	}
	m.taken, m.posted = m.posted, queue{}
	m.batch.Store(m.taken.n)
	return m.taken.pop()
}

// suspendedHere reads the flag without the lock: only the run itself changes it.
func (m *Mailbox) suspendedHere() bool { return m.suspended }

// rest ends the run, unless something came in. Before that it tells the owner;
// what the owner posts to itself, or others post meanwhile, is seen by the check.
func (m *Mailbox) rest() (more bool) {
	if !m.suspended { // or else taken may be Rest's by now
		m.batch.Store(0)
		if m.owner != nil {
			m.owner.Drained()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.system.last != nil || (!m.suspended && m.posted.n > 0) {
		return true
	}
	m.running = false
	return false
}

func (m *Mailbox) nextSystem() any {
	m.mu.Lock()
	defer m.mu.Unlock()
	msg := m.system.pop()
	if m.system.last == nil {
		m.urgent.Store(false)
	}
	return msg
}

func (m *Mailbox) handleSystem(msg any) {
	switch msg.(type) {
	case *actor.SuspendMailbox:
		m.setSuspended(true)
	case *actor.ResumeMailbox:
		m.setSuspended(false)
	default:
		m.invoker.InvokeSystemMessage(msg)
	}
}

func (m *Mailbox) setSuspended(to bool) {
	m.mu.Lock()
	m.suspended = to
	m.batch.Store(m.taken.n)
	m.mu.Unlock()
}
