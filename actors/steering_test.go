package actors

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// steered runs test on a node of four shards and two processors that decides by itself.
func steered(t *testing.T, test func(w *world, cores *atomic.Int32)) {
	t.Helper()
	var cores atomic.Int32
	cores.Store(2)
	config := Config{Shards: 4, AutoScale: true, PingInterval: time.Hour, hooks: hooks{cores: func() int { return int(cores.Load()) }}}
	inBubble(t, config, func(w *world) { test(w, &cores) })
}

// leave leaves the number to the service.
func (w *world) leave() Scaling {
	w.Helper()
	state, err := w.system.AutoScale(w.Context(), "by order")
	if err != nil {
		w.Fatal(err)
	}
	return state
}

func TestAnOperatorsNumberHolds(t *testing.T) {
	for name, number := range map[string]int{"another number": 64, "fewer": 1, "the number there is": 4} {
		t.Run(name, func(t *testing.T) {
			steered(t, func(w *world, cores *atomic.Int32) {
				if got := w.system.Scaling(); got.Steering != Auto {
					t.Errorf("it begins with %+v", got)
				}
				state, err := w.system.Scale(w.Context(), number, "by order")
				if err != nil || state.Steering != Held {
					t.Errorf("the answer is %+v, %v", state, err)
				}
				cores.Store(16)
				time.Sleep(24 * time.Hour)
				if got := w.system.Scaling(); got.To != number || got.Phase != Settled || got.Steering != Held {
					t.Errorf("a day later: %+v", got)
				}
				if state := w.leave(); state.Steering != Auto || state.To != number {
					t.Errorf("left to the service: %+v", state)
				}
				time.Sleep(time.Hour)
				if got := w.system.Scaling(); got.To != 32 || got.Why != "auto: 16 processors" || got.Steering != Auto {
					t.Errorf("an hour later: %+v", got)
				}
			})
		})
	}
}

func TestNumberIsLeftToTheServiceAtRunTime(t *testing.T) {
	inBubble(t, Config{Shards: 4, PingInterval: time.Hour, hooks: hooks{cores: func() int { return 16 }}}, func(w *world) {
		time.Sleep(time.Hour)
		if got := w.scale(5); got.To != 5 || got.Steering != Fixed {
			t.Errorf("a fixed number is %+v", got)
		}
		w.leave()
		for range 10 { // to ask again does not have the pilot begin anew
			time.Sleep(weighEvery - time.Second)
			w.leave()
		}
		if got := w.system.Scaling(); got.To != 32 || got.Steering != Auto {
			t.Errorf("%+v", got)
		}
	})
}

// What the service did before an operator's number is no reason to wait when it is asked again.
func TestServiceBeginsAnewWhenTheNumberIsLeftToIt(t *testing.T) {
	steered(t, func(w *world, cores *atomic.Int32) {
		cores.Store(16)
		time.Sleep(growAfter*weighEvery + time.Second)
		if got := w.system.Scaling(); got.To != 32 {
			t.Fatalf("%+v", got)
		}
		w.scale(4)
		w.leave()
		time.Sleep(growAfter*weighEvery + time.Second)
		if got := w.system.Scaling(); got.To != 32 {
			t.Errorf("%+v", got)
		}
	})
}

// Whatever the pilot has in hand when an operator decides, the operator's number is there in the end.
func TestWhatThePilotHasInHandIsLeftAside(t *testing.T) {
	t.Run("its decision", func(t *testing.T) {
		steered(t, func(w *world, _ *atomic.Int32) {
			w.system.root.Send(w.system.registry, &scale{shards: 4, why: "by order"})
			w.system.root.Send(w.system.registry, &scale{shards: 32, why: "too late", byPilot: true})
			synctest.Wait()
			if got := w.system.Scaling(); got.To != 4 || got.Steering != Held {
				t.Errorf("%+v", got)
			}
		})
	})
	t.Run("a look", func(t *testing.T) {
		steered(t, func(w *world, cores *atomic.Int32) {
			cores.Store(16)
			looks := 0
			w.on(func(actor string, message any) {
				if _, ok := message.(*describeShard); ok && actor == "shard/0" {
					if looks++; looks == growAfter {
						w.system.root.Send(w.system.registry, &scale{shards: 4, why: "by order"})
					}
				}
			})
			time.Sleep(time.Hour)
			if got := w.system.Scaling(); got.To != 4 || got.Steering != Held || looks != growAfter {
				t.Errorf("after %d looks %+v", looks, got)
			}
		})
	})
}

// While users are on the way, who steers may change, and what is refused changes nothing.
func TestSteeringWhileTheNumberChanges(t *testing.T) {
	config := Config{Shards: 1, AutoScale: true, PingInterval: time.Hour, hooks: hooks{maxAway: 1, cores: func() int { return 1 }}}
	inBubble(t, config, func(w *world) {
		for i := range 50 {
			w.connect(name(i))
		}
		var once atomic.Bool
		w.on(func(actor string, message any) {
			if _, ok := message.(*turned); !ok || !once.CompareAndSwap(false, true) {
				return
			}
			for _, msg := range []any{&autoScale{"by order"}, &scale{shards: 9, why: "by another's order"}} {
				w.system.root.Send(w.system.registry, msg)
			}
		})
		if state := w.scale(8); state.To != 8 || state.Steering != Auto || !once.Load() {
			t.Errorf("left to the service on the way: %+v", state)
		}
		once.Store(true)
		if state := w.scale(8); state.Steering != Held {
			t.Errorf("an operator's number on top: %+v", state)
		}
	})
}

func TestNumberIsNotLeftToAServiceThatStops(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.system.root.Send(w.system.registry, &halt{})
		if state, err := w.system.AutoScale(w.Context(), "by order"); !errors.Is(err, ErrDraining) {
			t.Errorf("%+v, %v", state, err)
		}
	})
}
