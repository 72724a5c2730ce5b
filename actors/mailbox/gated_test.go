package mailbox_test

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"callboard/actors/mailbox"
)

// From the turn on nothing is taken that was addressed by an older map, and the turn is
// behind all that was.
func TestGatedMailboxRefusesOldMaps(t *testing.T) {
	workers := &mailbox.Workers{}
	defer workers.Close()
	box := &mailbox.Gated{}
	done := make(chan struct{})
	var handled []any
	box.Init(nil)
	box.RegisterHandlers(&handler{func(message any) {
		if handled = append(handled, message); message == "end" {
			close(done)
		}
	}}, workers)
	type try struct {
		version uint64
		taken   bool
	}
	post := func(tries ...try) {
		for _, try := range tries {
			if got := box.Post(try.version, try.version); got != try.taken {
				t.Errorf("addressed by map %d: taken is %v", try.version, got)
			}
		}
	}
	post(try{1, true}, try{2, true}, try{1, true})
	box.Turn(3, "turn")
	post(try{1, false}, try{2, false}, try{3, true}, try{4, true}, try{mailbox.Sealed - 1, true})
	box.Seal()
	post(try{4, false}, try{mailbox.Sealed - 1, false})
	box.PostUserMessage("end")
	<-done
	want := []any{uint64(1), uint64(2), uint64(1), "turn", uint64(3), uint64(4), uint64(mailbox.Sealed - 1), "end"}
	if !slices.Equal(handled, want) {
		t.Errorf("handled %v, want %v", handled, want)
	}
}

// What has priority goes before all that is not yet being handled, in its own order, and no more is
// taken by an old map than without.
func TestPriorityGoesBeforeWhatWaits(t *testing.T) {
	workers := &mailbox.Workers{}
	defer workers.Close()
	box := &mailbox.Gated{}
	begun, free, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var handled []any
	box.Init(nil)
	box.RegisterHandlers(&handler{func(message any) {
		switch handled = append(handled, message); message {
		case "at hand":
			close(begun)
			<-free
		case "last":
			close(done)
		}
	}}, workers)
	box.Post(1, "at hand")
	<-begun
	box.Post(1, "mail")
	box.Turn(2, "turn")
	if !box.PostPriority(2, "first") || box.PostPriority(1, "old") {
		t.Error("priority changes which maps are right")
	}
	box.PostPriorityMessage("second")
	box.Post(2, "last")
	close(free)
	<-done
	if want := []any{"at hand", "first", "second", "mail", "turn", "last"}; !slices.Equal(handled, want) {
		t.Errorf("handled %v, want %v", handled, want)
	}
}

// The same under load: whatever was refused was posted after the turn, and what was taken
// is before it, unless it was addressed by the new map.
func TestTurnIsBehindEverythingOld(t *testing.T) {
	workers := &mailbox.Workers{}
	defer workers.Close()
	box := &mailbox.Gated{}
	done := make(chan struct{})
	turned, after := false, 0
	box.Init(nil)
	box.RegisterHandlers(&handler{func(message any) {
		switch message {
		case "turn":
			turned = true
		case "old":
			if turned {
				after++
			}
		case "end":
			close(done)
		}
	}}, workers)
	var posters sync.WaitGroup
	var posted, refused atomic.Int64
	for range 4 {
		posters.Go(func() {
			for box.Post(1, "old") {
				posted.Add(1)
				runtime.Gosched()
			}
			refused.Add(1)
		})
	}
	for posted.Load() < 1000 {
		runtime.Gosched()
	}
	box.Turn(2, "turn")
	posters.Wait()
	box.PostUserMessage("end")
	<-done
	if after > 0 || refused.Load() != 4 {
		t.Errorf("%d old messages behind the turn, %d refused", after, refused.Load())
	}
}

// handler stands in for an actor.
type handler struct{ handle func(message any) }

func (h *handler) InvokeSystemMessage(any)       {}
func (h *handler) InvokeUserMessage(message any) { h.handle(message) }
func (h *handler) EscalateFailure(reason, _ any) { panic(reason) }
