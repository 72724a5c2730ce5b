package mailbox

import (
	"runtime"
	"testing"
)

// The gate closes with the turn's message, not soon after: nothing old comes behind it, however
// long it takes to wake the actor.
func TestTurnClosesTheGateWithItsMessage(t *testing.T) {
	workers := &Workers{}
	box := &Gated{}
	box.RegisterHandlers(deaf{}, workers)
	workers.mu.Lock() // nobody is woken for now
	turned := make(chan struct{})
	go func() {
		defer close(turned)
		box.Turn(2, "turn")
	}()
	for box.UserMessageCount() == 0 {
		runtime.Gosched()
	}
	if box.Post(1, "old") {
		t.Error("the turn is in the queue, and what an old map addressed was taken")
	}
	workers.mu.Unlock()
	<-turned
	workers.Close()
}

// deaf stands in for an actor.
type deaf struct{}

func (deaf) InvokeSystemMessage(any)       {}
func (deaf) InvokeUserMessage(any)         {}
func (deaf) EscalateFailure(reason, _ any) { panic(reason) }
