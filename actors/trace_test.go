package actors

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// trace traces until the end of the test.
func (w *world) trace(user protocol.UserID, contents bool) *Trace {
	w.Helper()
	trace, err := w.system.Trace(user, contents)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(trace.Stop)
	return trace
}

// hops are those that have come since the last look.
func (w *world) hops(trace *Trace) []Hop {
	w.Helper()
	synctest.Wait()
	hops, missed := waiting(w, trace)
	if missed > 0 {
		w.Errorf("%d hops are missing", missed)
	}
	return hops
}

// kinds are those of the hops since the last look.
func (w *world) kinds(trace *Trace) (kinds []HopKind) {
	w.Helper()
	for _, h := range w.hops(trace) {
		kinds = append(kinds, h.Kind)
	}
	return kinds
}

// only is the only hop of a kind since the last look.
func (w *world) only(trace *Trace, kind HopKind) Hop {
	w.Helper()
	hops := slices.DeleteFunc(w.hops(trace), func(h Hop) bool { return h.Kind != kind })
	if len(hops) != 1 {
		w.Fatalf("%d hops of kind %s, want one: %+v", len(hops), kind, hops)
	}
	return hops[0]
}

func (w *world) wantKinds(trace *Trace, want ...HopKind) {
	w.Helper()
	if got := w.kinds(trace); !slices.Equal(got, want) {
		w.Errorf("the hops are %v, want %v", got, want)
	}
}

// wholeWay are the hops of a message that nothing happens to.
var wholeWay = []HopKind{
	HopRead, HopRouted, HopNumbered, HopKept, HopAnswered, HopHanded, HopWritten, HopAcknowledged,
}

// The receiver is traced, and then the sender, in both dialects and on both stores.
func TestEveryHopOfAMessageIsTraced(t *testing.T) {
	dialects := map[string]func(w *world, user string) *peer{
		"seed": func(w *world, user string) *peer { return w.connect(user) },
		"v1":   func(w *world, user string) *peer { return w.device(user, "phone") },
	}
	for dialect, connect := range dialects {
		for _, user := range []protocol.UserID{"alice", "bob"} {
			t.Run(dialect+"/"+string(user), func(t *testing.T) {
				inBubble(t, Config{}, func(w *world) {
					alice, bob := connect(w, "alice"), connect(w, "bob")
					w.device("carol", "phone")
					trace := w.trace(user, false)

					alice.sendID("bob", "hello", "m1")
					alice.sendID("carol", "nobody's business", "m2")
					bob.sendID("carol", "nobody's business", "m3")
					synctest.Wait()
					bob.ackIfV1(1)
					time.Sleep(time.Second)

					var hops []Hop
					for _, h := range w.hops(trace) {
						if h.Sender != user && h.Receiver != user {
							w.Errorf("a hop of others: %+v", h)
						}
						if h.Sender == "alice" && h.Receiver == "bob" {
							hops = append(hops, h)
						}
					}
					checkWholeWay(w, hops, alice, bob, bob.device())
				})
			})
		}
	}
}

func checkWholeWay(w *world, hops []Hop, alice, bob *peer, device string) {
	w.Helper()
	var kinds []HopKind
	for _, h := range hops {
		kinds = append(kinds, h.Kind)
		if h.ID != "m1" || h.Size != 5 || h.Content != "" || h.Shard != shardOf("bob", 16) || h.At.IsZero() || h.Code != "" {
			w.Errorf("%+v", h)
		}
		if numbered := h.Kind != HopRead && h.Kind != HopRouted; numbered != (h.Seq == 1) {
			w.Errorf("the number is %d in %+v", h.Seq, h)
		}
		switch h.Kind {
		case HopRead:
			if h.Session != alice.number() {
				w.Errorf("read by %+v", h)
			}
		case HopHanded, HopWritten, HopAcknowledged:
			if h.Session != bob.number() || h.Device != device {
				w.Errorf("%+v, want bob's session %d, device %q", h, bob.number(), device)
			}
		default:
			if h.Session != 0 {
				w.Errorf("a hop of no session has one: %+v", h)
			}
		}
	}
	if !slices.Equal(kinds, wholeWay) {
		w.Errorf("the hops are %v, want %v", kinds, wholeWay)
	}
}

// device is what the peer's CONNECT named.
func (p *peer) device() string {
	for _, c := range of[*protocol.Connect](p.conn) {
		return c.Device
	}
	return ""
}

// ackIfV1 acknowledges, if the peer's dialect has a word for it.
func (p *peer) ackIfV1(seq uint64) {
	if p.link.Dialect() == V1 {
		p.ack(seq)
	}
}

func TestEveryKindOfHopIsTraced(t *testing.T) {
	// On the way of another message, or of none.
	elsewhere := map[HopKind]func(w *world){
		HopRefused: func(w *world) {
			w.mail("bob", 40)
			alice, trace := w.device("alice", ""), w.trace("alice", false)
			alice.sendID("bob", "one more", "m1")
			if h := w.only(trace, HopRefused); h.Code != protocol.CodeInboxFull || h.ID != "m1" || h.Receiver != "bob" || h.Reason == "" {
				w.Errorf("%+v", h)
			}
			alice.link.Refuse(&protocol.Error{Id: "m2", Code: string(protocol.CodeSenderMismatch), Reason: "sender: not yours"})
			if h := w.only(trace, HopRefused); h.Code != protocol.CodeSenderMismatch || h.ID != "m2" || h.Shard != -1 || h.Session != alice.number() {
				w.Errorf("%+v", h)
			}
		},
		HopRepeated: func(w *world) {
			alice, trace := w.device("alice", ""), w.trace("bob", false)
			alice.sendID("bob", "hello", "m1")
			synctest.Wait()
			w.kinds(trace)
			alice.sendID("bob", "hello", "m1")
			w.wantKinds(trace, HopRead, HopRouted, HopRepeated, HopAnswered)
			alice.sendID("bob", "another", "m1")
			if h := w.only(trace, HopRefused); h.Code != protocol.CodeConflict {
				w.Errorf("%+v", h)
			}
		},
		HopWaiting: func(w *world) {
			alice, trace := w.connect("alice"), w.trace("bob", false)
			alice.send("bob", "hello")
			if h := w.only(trace, HopWaiting); h.Seq != 1 || !strings.Contains(h.Reason, "has no session") {
				w.Errorf("%+v", h)
			}
			bob := w.v1("bob", &protocol.Connect{Device: "phone", Window: 1})
			w.wantKinds(trace, HopHanded, HopWritten)
			alice.send("bob", "hello")
			if h := w.only(trace, HopWaiting); h.Seq != 2 || !strings.Contains(h.Reason, "has room") {
				w.Errorf("%+v", h)
			}
			bob.ack(1)
			w.wantKinds(trace, HopAcknowledged, HopHanded, HopWritten)
		},
		HopHeld: func(w *world) { // while the actor is being replaced
			alice, trace := w.connect("alice"), w.trace("bob", false)
			w.device("bob", "phone")
			var met, boom = make(chan struct{}), make(chan struct{})
			w.on(func(actor string, message any) {
				if m, ok := message.(*protocol.Send); ok && actor == "bob" && m.Content == "boom" {
					close(met)
					<-boom
					panic("crash on purpose")
				}
			})
			alice.send("bob", "boom")
			<-met
			alice.send("bob", "behind it")
			synctest.Wait()
			close(boom)
			got := w.kinds(trace) // it may be kept before the session is back
			got = slices.DeleteFunc(got, func(k HopKind) bool { return k == HopWaiting })
			if want := []HopKind{HopRead, HopRouted, HopRead, HopRouted, // both are in the mailbox
				HopRefused, HopHeld, HopRouted, HopNumbered, HopKept, HopAnswered, HopHanded, HopWritten}; !slices.Equal(got, want) {
				w.Errorf("%v, want %v", got, want)
			}
		},
		HopDropped: func(w *world) {
			bob, trace := w.device("bob", "phone"), w.trace("bob", false)
			w.mail("bob", 1)
			w.kinds(trace)
			again := of[*protocol.Receive](bob.conn)[0]
			w.system.root.Send(bob.link.pid, again)
			if h := w.only(trace, HopDropped); h.Seq != 1 || h.Session != bob.number() || !strings.Contains(h.Reason, "before") {
				w.Errorf("%+v", h)
			}
			bob.link.Close(protocol.CloseNormal, "")
			synctest.Wait()
			w.system.root.Send(bob.link.pid, again)
			if h := w.only(trace, HopDropped); !strings.Contains(h.Reason, "closing") {
				w.Errorf("%+v", h)
			}
		},
		HopGone: func(w *world) {
			w.mail("bob", 40)
			bob, trace := w.v1("bob", &protocol.Connect{Device: "phone", Window: 2}), w.trace("bob", false)
			w.store.trim("bob", 30)
			bob.ack(2)
			if h := w.only(trace, HopGone); h.Seq != 30 || h.Device != "phone" || h.Session != bob.number() {
				w.Errorf("%+v", h)
			}
			one := uint64(1)
			w.v1("bob", &protocol.Connect{Device: "tablet", Cursor: &one})
			if h := w.only(trace, HopGone); h.Seq != 30 || h.Device != "tablet" {
				w.Errorf("%+v", h)
			}
		},
	}
	for _, kind := range hopKinds {
		t.Run(string(kind.Kind), func(t *testing.T) {
			switch test := elsewhere[kind.Kind]; {
			case test != nil:
				inBubble(t, Config{MaxInboxEntries: 40}, test)
			case !slices.Contains(wholeWay, kind.Kind):
				t.Error("has no test")
			}
		})
	}
}

func TestHeldAndRefusedAreTracedWhereverTheShardKeepsMail(t *testing.T) {
	t.Run("leaving", func(t *testing.T) {
		inBubble(t, Config{IdleAfter: time.Second}, func(w *world) {
			alice, trace := w.connect("alice"), w.trace("bob", false)
			w.on(func(actor string, message any) {
				if _, ok := message.(*mayLeave); ok && actor == "bob" {
					w.on(func(string, any) {})
					alice.send("bob", "meanwhile") // the shard holds it: it waits for the actor's answer
					time.Sleep(time.Millisecond)
				}
			})
			alice.send("bob", "hello")
			synctest.Wait()
			w.kinds(trace)
			time.Sleep(10 * time.Second)
			if got := w.kinds(trace); !slices.Equal(got[:5], []HopKind{HopRead, HopHeld, HopRouted, HopNumbered, HopKept}) {
				w.Errorf("%v", got)
			}
		})
	})
	t.Run("parked", func(t *testing.T) {
		inBubble(t, Config{}, func(w *world) {
			alice := w.connect("alice")
			w.park(alice, "bob")
			trace := w.trace("alice", false)
			alice.send("bob", "hello")
			w.wantKinds(trace, HopRead, HopRefused)
		})
	})
	t.Run("commit failed", func(t *testing.T) {
		inBubble(t, Config{}, func(w *world) {
			alice, trace := w.connect("alice"), w.trace("bob", false)
			w.store.breaks(errDisk)
			alice.send("bob", "hello")
			if h := w.only(trace, HopRefused); h.Code != protocol.CodeUnavailable || h.Seq != 1 {
				w.Errorf("%+v", h)
			}
			w.store.breaks(nil)
			time.Sleep(5 * time.Second)
		})
	})
}

// What was on its way when the actor failed is acknowledged to the next one.
func TestTraceGoesOnWhenTheActorFails(t *testing.T) {
	for _, user := range []protocol.UserID{"alice", "bob"} {
		t.Run(string(user), func(t *testing.T) {
			inBubble(t, Config{}, func(w *world) {
				alice, bob, trace := w.connect("alice"), w.device("bob", "phone"), w.trace(user, false)
				alice.send("bob", "one")
				synctest.Wait()
				w.crashOn("bob", "boom")
				w.connect("eve").send("bob", "boom")
				synctest.Wait()
				w.kinds(trace)

				bob.ack(1)
				alice.send("bob", "two")
				synctest.Wait()
				bob.ack(2)

				var seqs []uint64
				for _, h := range w.hops(trace) {
					if h.Kind == HopAcknowledged {
						seqs = append(seqs, h.Seq)
					}
				}
				if !slices.Equal(seqs, upTo(1, 2)) {
					w.Errorf("acknowledged are %v, want 1 and 2", seqs)
				}
			})
		})
	}
}

func TestTraceWakesNobodyAndGoesOnWhenTheUserComes(t *testing.T) {
	inBubble(t, Config{IdleAfter: time.Second}, func(w *world) {
		trace := w.trace("bob", false)
		synctest.Wait()
		if n := w.users(); n != 0 {
			w.Errorf("%d users have an actor", n)
		}
		for range 2 {
			w.mail("bob", 1)
			w.wantKinds(trace, HopRead, HopRouted, HopNumbered, HopKept, HopAnswered, HopWaiting)
			time.Sleep(time.Minute)
			if n := w.users(); n != 0 {
				w.Errorf("%d users have an actor after a minute", n)
			}
		}
		bob := w.device("bob", "phone")
		bob.ack(2)
		if got := w.kinds(trace); len(got) != 6 {
			w.Errorf("%v", got)
		}
	})
}

func TestContentsAreTracedOnlyIfAskedFor(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, with, without := w.connect("alice"), w.trace("bob", true), w.trace("bob", false)
		w.connect("bob")
		alice.send("bob", "a secret")
		time.Sleep(time.Second)
		told := 0
		for _, h := range w.hops(with) {
			if h.Content == "a secret" {
				told++
			} else if h.Kind != HopAcknowledged {
				w.Errorf("without its content: %+v", h)
			}
		}
		hops := w.hops(without)
		if told != len(wholeWay)-1 || len(hops) != len(wholeWay) {
			w.Errorf("%d hops with the content, %d hops without", told, len(hops))
		}
		for _, h := range hops {
			if strings.Contains(fmt.Sprintf("%+v", h), "secret") || h.Size != 8 {
				w.Errorf("%+v", h)
			}
		}
	})
}

func TestTracesAreBoundedAndLeaveNothingBehind(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, bob := w.connect("alice"), w.device("bob", "phone")
		var traces []*Trace
		for i := range MaxTraces {
			traces = append(traces, w.trace(protocol.UserID(fmt.Sprint("u", i)), false))
		}
		if _, err := w.system.Trace("bob", false); !errors.Is(err, ErrTooManyStreams) {
			w.Errorf("one more: %v", err)
		}
		traces[7].Stop()
		traces[7].Stop()
		traces[7] = w.trace("bob", false)
		alice.send("bob", "hello")
		if got := w.kinds(traces[7]); len(got) != len(wholeWay)-1 {
			w.Errorf("%v", got)
		}
		if got := w.kinds(traces[8]); len(got) != 0 {
			w.Errorf("another's trace has %v", got)
		}
		for _, trace := range traces {
			trace.Stop()
		}
		if w.system.traces.Load() != nil {
			w.Error("something is left of the traces")
		}
		alice.send("bob", "hello")
		synctest.Wait()
		bob.ack(2)
		if got := w.kinds(traces[7]); len(got) != 0 {
			w.Errorf("after its end a trace got %v", got)
		}
	})
}

// A user who is traced and acknowledges nothing costs a bounded memory.
func TestWhatIsFollowedIsBounded(t *testing.T) {
	u := &user{id: "bob", system: &System{}}
	a := &attachment{}
	for seq := range uint64(3 * maxFollowed) {
		u.remember(a, &protocol.Receive{Seq: seq + 1})
	}
	if n := len(*u.followed); n > maxFollowed {
		t.Errorf("%d messages are followed", n)
	}
	if last := (*u.followed)[len(*u.followed)-1]; last.seq != 3*maxFollowed {
		t.Errorf("the newest is %d", last.seq)
	}
}

func TestAckIsToldForWhatItIsAbout(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		phone, laptop, trace := w.device("bob", "phone"), w.device("bob", "laptop"), w.trace("bob", false)
		w.mail("bob", 3)
		w.kinds(trace)
		for _, step := range []struct {
			by   *peer
			seq  uint64
			want []uint64
		}{{phone, 2, []uint64{1, 2}}, {laptop, 1, []uint64{1}}, {phone, 3, []uint64{3}}, {laptop, 3, []uint64{2, 3}}} {
			step.by.ack(step.seq)
			var seqs []uint64
			for _, h := range w.hops(trace) {
				seqs = append(seqs, h.Seq)
				if h.Kind != HopAcknowledged || h.Session != step.by.number() || h.Device != step.by.device() || h.Sender != "post" {
					w.Errorf("%+v", h)
				}
			}
			if !slices.Equal(seqs, step.want) {
				w.Errorf("acknowledged are %v, want %v", seqs, step.want)
			}
		}
	})
}

// A Watch and a Trace that nobody reads, while much is sent: everybody gets everything, and
// each hop is either there or counted.
func TestStalledReadersHoldNobodyUp(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		const messages = 3 * feedLength
		alice, bob := w.connect("alice"), w.connect("bob")
		trace, watch := w.trace("bob", false), w.watch(EventFilter{})
		for i := range messages {
			alice.send("bob", fmt.Sprint(i))
			w.system.HitLimit(protocol.CodeTooLarge, "bob", "", "")
		}
		time.Sleep(time.Second)
		if got := len(bob.conn.contents()); got != messages {
			w.Errorf("bob got %d messages, want %d", got, messages)
		}
		hops, missed := waiting(w, trace)
		all := len(hops) + int(missed) // and one more for each that had to wait for room
		if least := messages * len(wholeWay); len(hops) != feedLength || all < least || all > least+messages {
			w.Errorf("%d hops and %d missed, together they should be %d or a little more", len(hops), missed, least)
		}
		events, missed := waiting(w, watch)
		if len(events) != feedLength || missed != messages-feedLength {
			w.Errorf("%d events and %d missed", len(events), missed)
		}
		alice.send("bob", "one more")
		time.Sleep(time.Second)
		w.wantKinds(trace, wholeWay...)
	})
}

func TestTracedIsToldFromNotTraced(t *testing.T) {
	s := &System{}
	var ids []string
	for i := range 1000 {
		ids = append(ids, fmt.Sprint("user-", i))
	}
	var traces []*Trace
	for _, id := range ids[:MaxTraces] {
		trace := &Trace{user: id, system: s}
		subscribe(&s.traces, trace, trace.mark(), MaxTraces)
		traces = append(traces, trace)
	}
	traces[0].Stop() // the others stay
	for i, id := range ids {
		want := i > 0 && i < MaxTraces
		if s.traced(id, "x", "") != want || s.traced("x", id, "") != want || s.traced("", id, "") != want {
			t.Errorf("%s: want %v", id, want)
		}
	}
	if s.traced("", "", "") {
		t.Error("nobody is traced")
	}
}
