package actors

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// onDelivery has f called before each delivery; it may panic.
func (w *world) onDelivery(f func(protocol.UserID, *protocol.Receive)) { w.delivery.Store(&f) }

// failDelivery has the user's actor fail on each delivery of a message whose content begins so.
func (w *world) failDelivery(user, content string) {
	w.onDelivery(func(to protocol.UserID, m *protocol.Receive) {
		if string(to) == user && strings.HasPrefix(m.Content, content) {
			panic("crash at delivery")
		}
	})
}

// A message that is kept, and that its receiver's actor fails on when it is delivered, is not
// lost and makes nobody deaf: it is passed over, and said to be.
func TestMessageThatCannotBeDeliveredIsPassedOverAndKeptAside(t *testing.T) {
	for name, in := range map[string]func(*testing.T, Config, func(*world)){"memory": inBubble, "disk": onDisk} {
		for _, dialect := range []string{"v1", "seed", "away"} {
			t.Run(name+" "+dialect, func(t *testing.T) {
				config := Config{MaxInFlight: 8, Intensity: Intensity{Failures: 1, Window: time.Hour, Park: time.Hour, MaxPark: time.Hour}}
				in(t, config, func(w *world) {
					alice := w.device("alice", "phone")
					w.failDelivery("bob", "fatal")
					connect := func() *peer {
						if dialect == "seed" {
							return w.connect("bob")
						}
						return w.tryV1("bob", &protocol.Connect{Device: "phone"})
					}
					var bob *peer
					if dialect != "away" {
						bob = connect()
					}
					for _, content := range []string{"1", "fatal", "2", "fatal too", "3"} {
						alice.sendID("bob", content, content)
						time.Sleep(time.Second)
					}
					if bob == nil {
						bob = connect()
					}
					time.Sleep(2 * time.Second)

					if got := len(alice.confirmed()); got != 5 {
						t.Errorf("alice was told of %d that they are kept, and refused %v", got, alice.refused())
					}
					if got := bob.conn.contents(); !slices.Equal(got, []string{"1", "2", "3"}) || bob.conn.isClosed() {
						t.Errorf("bob got %q, closed: %v", got, bob.conn.isClosed())
					}
					if info := w.userInfo("bob"); info.State != "active" || info.Failures != 0 || info.Head != 5 {
						t.Errorf("bob is %+v", info)
					}
					var gaps []uint64
					for _, e := range of[*protocol.Error](bob.conn) {
						if e.Code == string(protocol.CodeGap) && strings.Contains(e.Reason, "cannot be delivered") {
							gaps = append(gaps, e.Gap.First, e.Gap.Last)
						}
					}
					if !slices.Equal(gaps, []uint64{2, 2, 4, 4}) {
						t.Errorf("bob was told of the gaps %v", gaps)
					}
					letters := w.letters(10)
					if len(letters) != 2 || letters[0].Sender != "alice" || letters[0].Size != len("fatal") || letters[0].Crashes != deadlyCrashes ||
						letters[0].Reason != "message 2 could not be delivered: crash at delivery" {
						t.Errorf("set aside: %+v", letters)
					}
					if got := w.store.contents("bob"); name == "disk" && len(got) != 5 {
						t.Errorf("the inbox has %q", got)
					}

					w.onDelivery(func(protocol.UserID, *protocol.Receive) {}) // the cause is mended
					if _, err := w.system.RetryDeadletter(w.Context(), letters[0].Number); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					if got := bob.conn.contents(); !slices.Equal(got, []string{"1", "2", "3", "fatal"}) || len(w.letters(10)) != 1 {
						t.Errorf("after a retry bob has %q, and %d are set aside", got, len(w.letters(10)))
					}
				})
			})
		}
	}
}

// The message in hand when another, which is kept, turns out to be to blame is not that one: its sender is told.
func TestSendInHandIsAnsweredWhenAnotherMessageIsToBlame(t *testing.T) {
	store := newFakeStore()
	bubble(t, Config{Store: fakeMemory{store}, MaxInFlight: 2 * maxFresh}, store, func(w *world) {
		alice := w.device("alice", "phone")
		fail := true
		w.onDelivery(func(to protocol.UserID, m *protocol.Receive) {
			if to == "bob" && m.Content == "fatal" && fail {
				fail = false
				panic("crash at delivery")
			}
		})
		w.device("bob", "phone")
		alice.sendID("bob", "fatal", "fatal") // fails once, and is delivered
		synctest.Wait()
		w.store.hides(true)
		w.device("bob", "tablet") // is behind
		synctest.Wait()
		w.store.hides(false)
		fail = true

		open := w.holdOn("bob", "gate")
		alice.sendID("bob", "gate", "gate")
		for i := range maxFresh {
			alice.sendID("bob", "hello", fmt.Sprint(i)) // the last of them has the others delivered
		}
		synctest.Wait()
		open()
		synctest.Wait()
		if got := len(w.letters(10)); got != 1 {
			t.Fatalf("%d are set aside, want the fatal one", got)
		}
		if got := alice.refused(); len(got) != 1 || got[fmt.Sprint(maxFresh-1)] != protocol.CodeInternal || len(alice.confirmed()) != maxFresh+1 {
			t.Errorf("%d are kept, refused are %v", len(alice.confirmed()), got)
		}
		if got := alice.link.credits.Load(); got != 2*maxFresh {
			t.Errorf("alice has %d credits of %d", got, 2*maxFresh)
		}
	})
}

// What fails when a message has been delivered is not its fault, or an innocent message would be passed over.
func TestMessageThatWasDeliveredIsNotBlamed(t *testing.T) {
	for name, scenario := range map[string]func(w *world, alice *peer){
		"to a session, and another reads": func(w *world, alice *peer) {
			w.store.hides(true)
			alice.send("bob", "1")
			synctest.Wait()
			w.device("bob", "phone") // and cannot be read to
			w.tryV1("bob", &protocol.Connect{Device: "tablet", Cursor: new(uint64(1))})
			synctest.Wait()
			w.store.hides(false)
			w.store.onRead(failing("bob", 0))
			alice.send("bob", "2") // to the tablet at once
		},
		"and a second read is needed": func(w *world, alice *peer) {
			for _, content := range []string{"1", "2", "3"} {
				alice.send("bob", content)
			}
			synctest.Wait()
			w.system.passOver(spot{"bob", 2})
			w.store.onRead(failing("bob", 2))
			w.tryV1("bob", &protocol.Connect{Device: "phone", Window: 2})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(w *world) {
				watch := w.watch(EventFilter{})
				scenario(w, w.device("alice", "phone"))
				time.Sleep(2 * time.Second)
				if failed := w.one(watch, UserFailed); failed.Reason != "crash of the store" {
					t.Errorf("to blame is %q", failed.Reason)
				}
			})
		})
	}
}

// failing panics once, when a user's inbox is read behind a number.
func failing(user protocol.UserID, after uint64) func(protocol.UserID, uint64) {
	failed := false
	return func(of protocol.UserID, behind uint64) {
		if of == user && behind == after && !failed {
			failed = true
			panic("crash of the store")
		}
	}
}

// One failure at delivery is an accident: the message comes all the same.
func TestMessageThatFailedOnceAtDeliveryIsDelivered(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		alice, bob := w.device("alice", "phone"), w.device("bob", "phone")
		failed := false
		w.onDelivery(func(to protocol.UserID, _ *protocol.Receive) {
			if to == "bob" && !failed {
				failed = true
				panic("crash at delivery")
			}
		})
		alice.send("bob", "1")
		synctest.Wait() // what the actor had not handed over when it failed would be refused
		alice.send("bob", "2")
		time.Sleep(time.Second)
		if got := bob.conn.contents(); !slices.Equal(got, []string{"1", "2"}) || len(w.letters(10)) != 0 {
			t.Errorf("bob got %q, and %d are set aside", got, len(w.letters(10)))
		}
	})
}

// What is passed over is set aside in the end, though the store or the coroner fails meanwhile: devices were told that it is.
func TestWhatIsPassedOverIsSetAsideThoughThatFails(t *testing.T) {
	const panics = 3*triesOnTheSpot + 5
	for name, fails := range map[string]func(w *world) (mend func()){
		"store": func(w *world) func() {
			w.store.breaks(errDisk)
			return func() { w.store.breaks(nil) }
		},
		"coroner": func(w *world) func() {
			failed := w.failFirst("coroner", reflect.TypeFor[*setAside](), panics)
			return func() {
				if n := failed.Load(); n != panics {
					w.Errorf("the coroner failed %d times, want %d", n, panics)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(w *world) {
				alice := w.device("alice", "phone")
				alice.send("bob", "fatal")
				synctest.Wait()
				w.failDelivery("bob", "fatal")
				mend := fails(w)
				watch := w.watch(EventFilter{})
				bob := w.device("bob", "phone")
				time.Sleep(time.Minute)
				if gaps := bob.hints(protocol.CodeGap); len(gaps) != 1 {
					t.Fatalf("bob was told of %v", gaps)
				}
				mend()
				time.Sleep(time.Minute)
				if letters := w.letters(10); len(letters) != 1 || letters[0].Size != len("fatal") {
					t.Errorf("set aside: %+v", letters)
				}
				if n := len(w.eventsOf(watch, MessagePoisoned)); n != 1 || w.tree().Poisoned != 1 {
					t.Errorf("told %d times, counted %d", n, w.tree().Poisoned)
				}
			})
		})
	}
}

// What is gone from the inbox needs not be passed over any more, and makes room for others.
func TestWhatIsGoneIsNotPassedOverAnyMore(t *testing.T) {
	for name, takes := range map[string]func(w *world, upTo uint64){
		"trim": func(w *world, upTo uint64) {
			if _, err := w.trim("bob", upTo, true); err != nil {
				w.Fatal(err)
			}
		},
		"retention": func(w *world, upTo uint64) {
			w.store.trim("bob", upTo)
			w.device("bob", fmt.Sprint("tablet ", upTo)) // has to be looked for where its inbox begins
		},
		"retention, while nobody is there": func(w *world, upTo uint64) {
			time.Sleep(time.Hour)
			w.store.trim("bob", upTo)
			w.device("bob", "phone").hangUp()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(w *world) {
				for _, at := range []spot{{"bob", 2}, {"bob", 4}, {"carol", 1}} {
					w.system.passOver(at)
				}
				w.mail("bob", 5)
				takes(w, 3)
				synctest.Wait()
				if got := *w.system.skipped.Load(); !maps.Equal(got, map[spot]struct{}{{"bob", 4}: {}, {"carol", 1}: {}}) {
					t.Errorf("%v are passed over", got)
				}
				w.system.passed("carol", 1)
				takes(w, 5)
				synctest.Wait()
				if got := w.system.skipped.Load(); got != nil {
					t.Errorf("%v are passed over in the end", *got)
				}
			})
		})
	}
}

// There is a bound on what is passed over; beyond it a user is parked, as for any failure.
func TestWhatIsPassedOverIsBounded(t *testing.T) {
	onDisk(t, Config{Intensity: Intensity{Failures: 1, Window: time.Hour, Park: time.Hour, MaxPark: time.Hour}}, func(w *world) {
		for seq := range maxSkipped {
			if !w.system.passOver(spot{"somebody", uint64(seq)}) {
				t.Fatalf("message %d is one too many", seq)
			}
		}
		alice := w.device("alice", "phone")
		w.device("bob", "phone")
		w.failDelivery("bob", "fatal")
		alice.send("bob", "fatal")
		time.Sleep(time.Minute)
		if info := w.userInfo("bob"); info.State != "parked" {
			t.Errorf("bob is %+v", info)
		}
	})
}
