package actors

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

const (
	tracedParent   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	otherParent    = "00-11111111111111111111111111111111-2222222222222222-01"
	unwantedParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

// recorder is a Tracer that remembers.
type recorder struct {
	mu    sync.Mutex
	begin string
	hops  []Hop
}

func (r *recorder) Begin() string                   { return r.begin }
func (r *recorder) Follows(traceparent string) bool { return protocol.Sampled(traceparent) }
func (r *recorder) Hop(hop Hop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hops = append(r.hops, hop)
}

// take returns what has come since the last time.
func (r *recorder) take() (hops []Hop, kinds []HopKind) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	hops, r.hops = r.hops, nil
	for _, h := range hops {
		kinds = append(kinds, h.Kind)
	}
	return hops, kinds
}

func (p *peer) sendIn(traceparent, to, content, id string) {
	next := p.link.Next()
	next.Traceparent = traceparent
	p.sendID(to, content, id)
}

// traceparents are those of what has arrived.
func (p *peer) traceparents() (all []string) {
	for _, m := range of[*protocol.Receive](p.conn) {
		all = append(all, m.Traceparent)
	}
	return all
}

func TestTracerIsToldOfEveryHopOfWhatItFollowsAndOfNothingElse(t *testing.T) {
	r := &recorder{}
	inBubble(t, Config{Tracer: r}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")

		alice.sendIn(unwantedParent, "bob", "hello", "m0")
		alice.sendIn("", "bob", "hello", "m1")
		alice.sendIn(tracedParent, "bob", "hello", "m2")
		synctest.Wait()
		bob.ack(3)

		hops, kinds := r.take()
		if !slices.Equal(kinds, wholeWay) {
			t.Errorf("the hops are %v, want %v", kinds, wholeWay)
		}
		last := time.Time{}
		for _, h := range hops {
			if h.ID != "m2" || h.Traceparent != tracedParent || h.Content != "" || h.Begun || h.At.Before(last) || h.Size != 5 {
				t.Errorf("%+v", h)
			}
			last = h.At
		}
		if got := bob.traceparents(); !slices.Equal(got, []string{unwantedParent, "", tracedParent}) {
			t.Errorf("bob has %q", got)
		}
	})
}

// A message is in its trace whenever it is delivered: later, after a restart, and again.
func TestTraceparentIsCarriedThroughToWhoeverComesLater(t *testing.T) {
	inBubble(t, Config{}, func(w *world) { // nobody records anything
		w.device("alice", "phone").sendIn(tracedParent, "bob", "hello", "m1")
		if _, err := w.system.Send(w.Context(), &protocol.Send{Sender: "post", Receiver: "bob", Traceparent: otherParent}); err != nil {
			t.Fatal(err)
		}
		w.mail("bob", 100) // more than a tail holds

		bob := w.device("bob", "phone")
		synctest.Wait()
		if got := bob.traceparents(); len(got) < 2 || !slices.Equal(got[:3], []string{tracedParent, otherParent, ""}) {
			t.Errorf("later bob has %q", got)
		}
		w.restart()
		bob = w.device("bob", "laptop")
		synctest.Wait()
		if got := bob.traceparents(); len(got) < 2 || !slices.Equal(got[:3], []string{tracedParent, otherParent, ""}) {
			t.Errorf("after a restart bob has %q", got)
		}
	})
}

func TestDeliveryAfterARestartIsPartOfTheTrace(t *testing.T) {
	r := &recorder{}
	inBubble(t, Config{Tracer: r}, func(w *world) {
		w.device("alice", "phone").sendIn(tracedParent, "bob", "hello", "m1")
		_, kinds := r.take()
		if want := []HopKind{HopRead, HopRouted, HopNumbered, HopKept, HopAnswered, HopWaiting}; !slices.Equal(kinds, want) {
			t.Errorf("while bob is away: %v, want %v", kinds, want)
		}

		w.restart()
		bob := w.device("bob", "phone")
		synctest.Wait()
		bob.ack(1)

		hops, kinds := r.take()
		if want := []HopKind{HopHanded, HopWritten, HopAcknowledged}; !slices.Equal(kinds, want) {
			t.Fatalf("after the restart: %v, want %v", kinds, want)
		}
		if h := hops[2]; h.Traceparent != tracedParent || h.Seq != 1 || h.Session != bob.number() || h.ID != "m1" {
			t.Errorf("%+v", h)
		}
	})
}

func TestRepetitionInAnotherTraceIsTheSameMessage(t *testing.T) {
	r := &recorder{}
	inBubble(t, Config{Tracer: r}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		alice.sendIn(unwantedParent, "bob", "hello", "m1")
		synctest.Wait()

		alice.sendIn(tracedParent, "bob", "hello", "m1")

		_, kinds := r.take()
		if want := []HopKind{HopRead, HopRouted, HopRepeated}; !slices.Equal(kinds, want) {
			t.Errorf("the hops of the repetition are %v, want %v", kinds, want)
		}
		if codes := alice.codes(); len(codes) > 0 || alice.confirmed()["m1"] != 1 {
			t.Errorf("alice is told %v, %v", codes, alice.confirmed())
		}
		if got := bob.traceparents(); !slices.Equal(got, []string{unwantedParent}) {
			t.Errorf("bob has %q", got)
		}
	})
}

func TestTraceIsBegunWithAMessageThatHasNone(t *testing.T) {
	r := &recorder{begin: otherParent}
	inBubble(t, Config{Tracer: r}, func(w *world) {
		alice, bob := w.connect("alice"), w.device("bob", "phone") // alice speaks the seed's dialect
		alice.send("bob", "hello")
		hops, _ := r.take()
		if len(hops) == 0 || !hops[0].Begun || hops[0].Traceparent != otherParent {
			t.Fatalf("%+v", hops)
		}
		alice.sendIn(tracedParent, "bob", "hello", "")
		if hops, _ = r.take(); len(hops) == 0 || hops[0].Begun {
			t.Errorf("a trace was begun for a message that has one: %+v", hops)
		}
		msg := &protocol.Send{Sender: "post", Receiver: "bob", Id: "m9"}
		if _, err := w.system.Send(w.Context(), msg); err != nil || msg.Traceparent != "" {
			t.Errorf("%v, %v", msg, err)
		}
		synctest.Wait()
		if got := bob.traceparents(); !slices.Equal(got, []string{otherParent, tracedParent, otherParent}) {
			t.Errorf("bob has %q", got)
		}
	})
}

func TestTracerIsToldOfRefusals(t *testing.T) {
	r := &recorder{}
	inBubble(t, Config{Tracer: r, Intensity: Intensity{Failures: 10}}, func(w *world) {
		alice := w.device("alice", "phone")
		w.crashOn("bob", "crash, please")
		alice.sendIn(tracedParent, "bob", "crash, please", "m1")
		hops, kinds := r.take()
		if want := []HopKind{HopRead, HopRouted, HopRefused}; !slices.Equal(kinds, want) {
			t.Fatalf("the hops are %v, want %v", kinds, want)
		}
		if h := hops[2]; h.Code != protocol.CodeInternal || h.Traceparent != tracedParent {
			t.Errorf("%+v", h)
		}
	})
	onDisk(t, Config{Tracer: r}, func(w *world) { // numbered, and not kept
		alice := w.device("alice", "phone")
		w.mail("bob", 1)
		w.store.breaks(errDisk)
		alice.sendIn(tracedParent, "bob", "hello", "m1")
		hops, kinds := r.take()
		if want := []HopKind{HopRead, HopRouted, HopNumbered, HopRefused}; !slices.Equal(kinds, want) {
			t.Fatalf("the hops are %v, want %v", kinds, want)
		}
		if h := hops[3]; h.Code != protocol.CodeUnavailable || h.Traceparent != tracedParent || h.Seq == 0 {
			t.Errorf("%+v", h)
		}
	})
}

func TestTraceparentThatIsNoneIsRefusedFromAProgram(t *testing.T) {
	err := CheckSend(&protocol.Send{Sender: "a", Receiver: "b", Traceparent: strings.ToUpper(tracedParent)})
	if !isCode(err, &Error{Code: protocol.CodeInvalidMessage}) {
		t.Errorf("%v", err)
	}
}

// Both an operator's Trace and the Tracer are told, each of what it follows.
func TestTraceAndTracerDoNotDisturbEachOther(t *testing.T) {
	r := &recorder{}
	inBubble(t, Config{Tracer: r}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		w.device("carol", "phone")
		trace := w.trace("bob", true)
		alice.sendIn(tracedParent, "bob", "hello", "m1")
		alice.sendIn("", "bob", "hello", "m2")
		alice.sendIn(tracedParent, "carol", "hello", "m3")
		synctest.Wait()
		bob.ack(2)
		for _, h := range w.hops(trace) {
			if h.Receiver != "bob" || h.Content != "hello" && h.Kind != HopAcknowledged || h.Shard != shardOf("bob", 16) {
				t.Errorf("the trace has %+v", h)
			}
		}
		hops, _ := r.take()
		for _, h := range hops {
			if h.ID == "m2" || h.Content != "" {
				t.Errorf("the tracer has %+v", h)
			}
		}
		if len(hops) != 2*len(wholeWay)-1 {
			t.Errorf("the tracer has %d hops", len(hops))
		}
	})
}
