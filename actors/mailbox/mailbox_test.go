package mailbox_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"callboard/actors/mailbox"
)

// worker stands in for an actor: it records what its mailbox has it handle, and
// fails as protoactor's actors do, by suspending the mailbox.
type worker struct {
	box      *mailbox.Mailbox
	handled  []any
	failures []any
	drained  []int // len(handled) at each Drained

	inside  atomic.Int32
	overlap atomic.Bool // two messages were handled at the same time
	handle  func(message any)
}

func newWorker(workers *mailbox.Workers) *worker {
	w := &worker{}
	w.box = mailbox.New(w)
	w.box.RegisterHandlers(w, workers)
	w.box.Start()
	return w
}

func (w *worker) alone() (leave func()) {
	if w.inside.Add(1) != 1 {
		w.overlap.Store(true)
	}
	return func() { w.inside.Add(-1) }
}

func (w *worker) InvokeSystemMessage(message any) { w.InvokeUserMessage(message) }

func (w *worker) InvokeUserMessage(message any) {
	defer w.alone()()
	if w.handle != nil {
		w.handle(message)
	}
	w.handled = append(w.handled, message)
}

func (w *worker) EscalateFailure(_, message any) {
	w.failures = append(w.failures, message)
	w.box.PostSystemMessage(&actor.SuspendMailbox{})
}

func (w *worker) Drained() {
	defer w.alone()()
	w.drained = append(w.drained, len(w.handled))
}

type (
	system int // a system message
	fatal  int // a user message that the actor fails on
	block  chan struct{}
)

// The mailbox against a model of a few lines: two queues, and a flag.
func TestMailboxDoesAsItsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.SampledFrom([]string{
			"user", "user", "user", "burst", "system", "fatal", "suspend", "resume", "hold", "release", "rest",
		}), 1, 60).Draw(rt, "steps")
		var fault string
		synctest.Test(t, func(*testing.T) { fault = runAgainstModel(steps) })
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}

func runAgainstModel(steps []string) (fault string) {
	workers := &mailbox.Workers{}
	defer workers.Close()
	w := newWorker(workers)
	w.handle = func(message any) {
		switch message := message.(type) {
		case fatal:
			panic("fatal")
		case block:
			<-message
		}
	}

	var want, failed, queue, control []any
	suspended := false
	var held block // the actor hangs in this message
	settle := func() {
		for held == nil {
			switch {
			case len(control) > 0:
				msg := control[0]
				control = control[1:]
				switch msg.(type) {
				case *actor.SuspendMailbox:
					suspended = true
				case *actor.ResumeMailbox:
					suspended = false
				default:
					want = append(want, msg)
				}
			case !suspended && len(queue) > 0:
				msg := queue[0]
				queue = queue[1:]
				switch msg := msg.(type) {
				case fatal:
					failed = append(failed, msg)
					control = append(control, &actor.SuspendMailbox{})
				case block:
					held = msg
				default:
					want = append(want, msg)
				}
			default:
				return
			}
		}
	}
	post := func(msg any) { queue = append(queue, msg); w.box.PostUserMessage(msg) }
	order := func(msg any) { control = append(control, msg); w.box.PostSystemMessage(msg) }
	var blocks []block // not let go
	letGo := func() {
		if held != nil {
			close(held)
			blocks = slices.DeleteFunc(blocks, func(b block) bool { return b == held })
			want = append(want, held)
			held = nil
		}
	}
	defer func() {
		for _, b := range blocks {
			close(b)
		}
	}()
	for i, step := range append(steps, "release", "resume", "release", "resume") {
		switch step {
		case "user":
			post(i)
		case "burst":
			for j := range 100 {
				post(fmt.Sprint(i, ".", j))
			}
		case "system":
			order(system(i))
		case "fatal":
			post(fatal(i))
		case "suspend":
			order(&actor.SuspendMailbox{})
		case "resume":
			order(&actor.ResumeMailbox{})
		case "hold":
			blocks = append(blocks, make(block))
			post(blocks[len(blocks)-1])
		case "release":
			letGo()
		case "rest": // its caller promises that the mailbox is suspended and at rest
			if suspended && held == nil {
				if rest := w.box.Rest(); !slices.Equal(rest, queue) {
					return fmt.Sprintf("step %d: the rest is %v, want %v", i, rest, queue)
				}
				queue = nil
			}
		}
		settle()
		synctest.Wait()
		if !slices.Equal(w.handled, want) {
			return fmt.Sprintf("step %d, %s: handled %v, want %v", i, step, w.handled, want)
		}
		if !slices.Equal(w.failures, failed) {
			return fmt.Sprintf("step %d, %s: failed on %v, want %v", i, step, w.failures, failed)
		}
		if got := w.box.UserMessageCount(); got < len(queue) || held == nil && got != len(queue) {
			return fmt.Sprintf("step %d, %s: %d messages wait, want %d", i, step, got, len(queue))
		}
		if last := len(w.drained) - 1; held == nil && !suspended && len(want) > 0 && (last < 0 || w.drained[last] != len(want)) {
			return fmt.Sprintf("step %d, %s: Drained was called at %v, not behind the last of %d", i, step, w.drained, len(want))
		}
	}
	if w.overlap.Load() {
		return "two messages were handled at the same time"
	}
	return ""
}

func TestMessagesOfEachProducerComeOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const producers, each = 8, 5_000
		type numbered struct{ producer, number int }
		workers := &mailbox.Workers{}
		defer workers.Close()
		w := newWorker(workers)

		for p := range producers {
			go func() {
				for i := range each {
					w.box.PostUserMessage(numbered{p, i})
					if i%100 == 0 {
						w.box.PostSystemMessage(system(i))
					}
					if i%500 == 0 {
						runtime.Gosched()
					}
				}
			}()
		}
		synctest.Wait()

		next, systems := [producers]int{}, 0
		for _, msg := range w.handled {
			switch msg := msg.(type) {
			case numbered:
				if msg.number != next[msg.producer] {
					t.Fatalf("from producer %d came %d, want %d", msg.producer, msg.number, next[msg.producer])
				}
				next[msg.producer]++
			case system:
				systems++
			}
		}
		for p, n := range next {
			if n != each {
				t.Errorf("from producer %d came %d of %d", p, n, each)
			}
		}
		if systems != producers*each/100 {
			t.Errorf("%d system messages, want %d", systems, producers*each/100)
		}
		if w.overlap.Load() {
			t.Error("two messages were handled at the same time")
		}
		if last := w.drained[len(w.drained)-1]; last != len(w.handled) {
			t.Errorf("Drained was last called at %d of %d", last, len(w.handled))
		}
	})
}

// The parent hears of the end while the run of the failed actor is under way.
func TestRestMayBeTakenAsSoonAsTheActorHasTerminated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		workers := &mailbox.Workers{}
		defer workers.Close()
		for round := range 200 {
			w := newWorker(workers)
			var rest []any
			w.handle = func(message any) {
				switch message.(type) {
				case fatal:
					panic("fatal")
				case *actor.Stop:
					go func() { rest = w.box.Rest() }()
					for range 20 { // let it be quicker than this run, without a word between the two
						runtime.Gosched()
					}
				}
			}
			held := make(block)
			first := w.handle
			w.handle = func(message any) {
				if message, ok := message.(block); ok {
					<-message
				}
				first(message)
			}
			w.box.PostUserMessage(held)
			synctest.Wait()
			w.box.PostUserMessage(fatal(round))
			var want []any
			for i := range 100 {
				w.box.PostUserMessage(i)
				want = append(want, i)
			}
			close(held)
			synctest.Wait()
			w.box.PostSystemMessage(&actor.Stop{})
			synctest.Wait()
			if !slices.Equal(rest, want) {
				t.Fatalf("the rest is %v", rest)
			}
		}
	})
}

// An owner that posts to itself when it has drained is not forgotten.
func TestWhatDrainedPostsIsHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		workers := &mailbox.Workers{}
		defer workers.Close()
		var box *mailbox.Mailbox
		posts := 0
		owner := ownerFunc(func() {
			if posts < 10 {
				posts++
				box.PostUserMessage(posts)
			}
		})
		w := &worker{}
		box = mailbox.New(owner)
		box.RegisterHandlers(w, workers)
		box.PostUserMessage(0)
		synctest.Wait()
		if len(w.handled) != 11 {
			t.Errorf("handled %v", w.handled)
		}
	})
}

// A panic in Drained is a failure of the actor.
func TestPanicInDrainedIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		workers := &mailbox.Workers{}
		defer workers.Close()
		w := &worker{}
		w.box = mailbox.New(ownerFunc(func() { panic("fatal") }))
		w.box.RegisterHandlers(w, workers)
		w.box.PostUserMessage(1)
		synctest.Wait()
		w.box.PostUserMessage(2)
		synctest.Wait()
		if rest := w.box.Rest(); len(w.failures) != 1 || w.failures[0] != nil || !slices.Equal(rest, []any{2}) {
			t.Errorf("failed on %v, the rest is %v", w.failures, rest)
		}
	})
}

type ownerFunc func()

func (f ownerFunc) Drained() { f() }
