package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// watch watches until the end of the test.
func (w *world) watch(filter EventFilter) *Watch {
	w.Helper()
	watch, err := w.system.Watch(filter)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(watch.Stop)
	return watch
}

// waiting is all that a feed has at the moment, when all actors are at rest.
func waiting[T any](tb testing.TB, f interface {
	Next(ctx context.Context) (T, uint64, error)
}) (news []T, missed uint64) {
	tb.Helper()
	over, cancel := context.WithCancel(tb.Context())
	cancel()
	for {
		one, left, err := f.Next(over)
		switch {
		case err != nil:
			return news, missed
		case left > 0:
			missed += left
		default:
			news = append(news, one)
		}
	}
}

// events are those that have come since the last look.
func (w *world) events(watch *Watch) []Event {
	w.Helper()
	synctest.Wait()
	events, missed := waiting(w, watch)
	if missed > 0 {
		w.Errorf("%d events are missing", missed)
	}
	return events
}

// eventsOf are those of one kind since the last look.
func (w *world) eventsOf(watch *Watch, kind EventKind) []Event {
	w.Helper()
	return slices.DeleteFunc(w.events(watch), func(e Event) bool { return e.Kind != kind })
}

// one is the only event of a kind since the last look.
func (w *world) one(watch *Watch, kind EventKind) Event {
	w.Helper()
	events := w.eventsOf(watch, kind)
	if len(events) != 1 {
		w.Fatalf("%d events of kind %s, want one: %+v", len(events), kind, events)
	}
	return events[0]
}

// published has a case for each kind of event: what brings it about, and what it says.
var published = map[EventKind]func(w *world){
	SessionOpened: func(w *world) {
		watch := w.watch(EventFilter{})
		bob := w.device("bob", "phone")
		e := w.one(watch, SessionOpened)
		if e.User != "bob" || e.Session != bob.number() || e.Device != "phone" || e.Shard != shardOf("bob", 16) || !e.At.Equal(time.Now()) {
			w.Errorf("%+v", e)
		}
		sam := w.connect("sam")
		if e := w.one(watch, SessionOpened); e.User != "sam" || e.Session != sam.number() || e.Device != "" {
			w.Errorf("%+v", e)
		}
	},
	SessionClosed: func(w *world) {
		bob, sam := w.device("bob", "phone"), w.connect("sam")
		watch := w.watch(EventFilter{})
		_, _ = w.system.CloseUser(w.Context(), "bob", protocol.CloseByOperator, "outdated")
		bob.answer()
		e := w.one(watch, SessionClosed)
		if e.User != "bob" || e.Session != bob.number() || e.Device != "phone" || e.Close != 4003 || e.Code != protocol.CodeClosedByOperator || e.Reason != "outdated" {
			w.Errorf("%+v", e)
		}
		sam.hangUp()
		if e := w.one(watch, SessionClosed); e.User != "sam" || e.Close != closeAbnormal || e.Code != "" || e.Reason == "" {
			w.Errorf("%+v", e)
		}
	},
	UserFailed: func(w *world) {
		alice, watch := w.connect("alice"), w.watch(EventFilter{})
		w.crashOn("bob", "boom")
		alice.send("bob", "boom")
		if e := w.one(watch, UserFailed); e.User != "bob" || e.Code != protocol.CodeInternal || !strings.Contains(e.Reason, "crash on purpose") {
			w.Errorf("%+v", e)
		}
	},
	UserRecovered: func(w *world) {
		alice, watch := w.connect("alice"), w.watch(EventFilter{})
		w.connect("bob")
		w.crashOn("bob", "boom")
		alice.send("bob", "boom")
		if e := w.one(watch, UserRecovered); e.User != "bob" || e.Shard != shardOf("bob", 16) {
			w.Errorf("%+v", e)
		}
		time.Sleep(time.Minute)
		alice.hangUp() // who leaves in peace has not recovered
		time.Sleep(time.Minute)
		if got := w.eventsOf(watch, UserRecovered); len(got) != 0 {
			w.Errorf("%+v", got)
		}
	},
	UserReplaced: func(w *world) {
		watch := w.watch(EventFilter{})
		w.store.breaks(errDisk)
		_, err := w.system.Send(w.Context(), &protocol.Send{Sender: "alice", Receiver: "bob", Content: "x"})
		w.store.breaks(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if e := w.one(watch, UserReplaced); err == nil || e.User != "bob" || e.Reason == "" {
			w.Errorf("%+v", e)
		}
	},
	UserParked: func(w *world) {
		alice, watch := w.connect("alice"), w.watch(EventFilter{})
		w.park(alice, "bob")
		if e := w.one(watch, UserParked); e.User != "bob" || e.Code != protocol.CodeUnavailable || !strings.Contains(e.Reason, "4 failures") {
			w.Errorf("%+v", e)
		}
	},
	UserUnparked: func(w *world) {
		alice, watch := w.connect("alice"), w.watch(EventFilter{})
		w.park(alice, "bob")
		if got := w.eventsOf(watch, UserUnparked); len(got) != 0 {
			w.Errorf("before its time: %+v", got)
		}
		time.Sleep(time.Second)
		if e := w.one(watch, UserUnparked); e.User != "bob" {
			w.Errorf("%+v", e)
		}
	},
	MessagePoisoned: func(w *world) {
		alice, watch := w.device("alice", "phone"), w.watch(EventFilter{})
		w.crashOn("bob", "fatal")
		for range 2 {
			alice.sendID("bob", "fatal", "1")
			synctest.Wait()
		}
		if e := w.one(watch, MessagePoisoned); e.User != "bob" || e.Code != protocol.CodePoisoned || e.Reason != "crash on purpose: fatal" {
			w.Errorf("%+v", e)
		}
	},
	ActorStuck: func(w *world) {
		alice, watch, free := w.connect("alice"), w.watch(EventFilter{}), hang[*protocol.Send](w, "bob")
		alice.send("bob", "hello")
		time.Sleep(6 * time.Second)
		free()
		if e := w.one(watch, ActorStuck); e.User != "bob" || e.Code != protocol.CodeUnavailable || !strings.Contains(e.Reason, "actors.") {
			w.Errorf("%+v", e)
		}
	},
	ActorGotOn: func(w *world) {
		alice, watch, free := w.connect("alice"), w.watch(EventFilter{}), hang[*protocol.Send](w, "bob")
		alice.send("bob", "hello")
		time.Sleep(6 * time.Second)
		free()
		time.Sleep(time.Second)
		if e := w.one(watch, ActorGotOn); e.User != "bob" {
			w.Errorf("%+v", e)
		}
	},
	UserBlocked: func(w *world) {
		watch := w.watch(EventFilter{})
		w.block("bob", time.Minute)
		want := "by otto, until " + time.Now().Add(time.Minute).UTC().Format(time.RFC3339) + ": spam"
		if e := w.one(watch, UserBlocked); e.User != "bob" || e.Code != protocol.CodeBlocked || e.Reason != want {
			w.Errorf("%+v, want %q", e, want)
		}
	},
	UserUnblocked: func(w *world) {
		watch := w.watch(EventFilter{})
		w.block("bob", 0)
		w.unblock("bob")
		w.unblock("bob") // who is not blocked
		if e := w.one(watch, UserUnblocked); e.User != "bob" || !strings.Contains(e.Reason, "operator") {
			w.Errorf("%+v", e)
		}
		w.block("eve", time.Minute)
		time.Sleep(2 * time.Minute)
		if e := w.one(watch, UserUnblocked); e.User != "eve" || !strings.Contains(e.Reason, "by itself") {
			w.Errorf("%+v", e)
		}
	},
	InboxTrimmed: func(w *world) {
		watch := w.watch(EventFilter{})
		w.mail("bob", 3)
		for range 2 { // the second time there is nothing to remove
			if _, err := w.system.TrimInbox(w.Context(), "bob", 2, true); err != nil {
				w.Fatal(err)
			}
		}
		if e := w.one(watch, InboxTrimmed); e.User != "bob" || e.Reason != "2 messages removed, up to 2; no device has had 2 of them" {
			w.Errorf("%+v", e)
		}
	},
	DeviceForgotten: func(w *world) {
		watch := w.watch(EventFilter{})
		w.mail("bob", 3)
		w.device("bob", "phone").ack(2)
		if _, err := w.system.ForgetDevice(w.Context(), "bob", "phone", true); err != nil {
			w.Fatal(err)
		}
		if e := w.one(watch, DeviceForgotten); e.User != "bob" || e.Device != "phone" || e.Reason != "it had the messages up to 2" {
			w.Errorf("%+v", e)
		}
	},
	ActorFailed: func(w *world) {
		watch, bob := w.watch(EventFilter{}), w.connect("bob")
		bob.conn.onWrite = func(protocol.Message) { panic("crash on purpose: the session") }
		w.mail("bob", 1)
		if e := w.one(watch, ActorFailed); e.Code != protocol.CodeInternal || e.Shard != -1 || !strings.Contains(e.Reason, "gateway/") {
			w.Errorf("%+v", e)
		}
		w.system.root.Send(w.system.ring.Load().road("bob").pid, &attach{user: "bob"}) // without a session: the shard survives it
		if e := w.one(watch, ActorFailed); !strings.Contains(e.Reason, "registry/") {
			w.Errorf("%+v", e)
		}
	},
	LimitHit: func(w *world) { // each limit has its case in limitsHit
		if len(limitsHit) == 0 {
			w.Error("there is no limit")
		}
	},
	StoreFailed: func(w *world) {
		if w.system.journal == nil {
			return // without a journal there is StoreTrouble
		}
		watch := w.watch(EventFilter{})
		w.store.breaks(inbox.ErrFull)
		_, _ = w.system.Send(w.Context(), &protocol.Send{Sender: "alice", Receiver: "bob", Content: "x"})
		if e := w.one(watch, StoreFailed); e.Code != protocol.CodeStorageFull || e.Shard != -1 || e.Reason == "" {
			w.Errorf("%+v", e)
		}
		w.store.breaks(nil)
		time.Sleep(5 * time.Second)
	},
	StoreWorks: func(w *world) {
		if w.system.journal == nil {
			return
		}
		watch := w.watch(EventFilter{})
		w.store.breaks(errDisk)
		_, _ = w.system.Send(w.Context(), &protocol.Send{Sender: "alice", Receiver: "bob", Content: "x"})
		time.Sleep(5 * time.Second)
		if got := w.eventsOf(watch, StoreWorks); len(got) != 0 {
			w.Errorf("while it does not: %+v", got)
		}
		w.store.breaks(nil)
		time.Sleep(5 * time.Second)
		w.one(watch, StoreWorks)
	},
	StoreTrouble: func(w *world) {
		watch := w.watch(EventFilter{})
		w.store.stops(errDisk)
		_, _ = w.tryConnect("bob")
		if e := w.one(watch, StoreTrouble); e.User != "bob" || e.Code != protocol.CodeUnavailable || !strings.Contains(e.Reason, "not opened") {
			w.Errorf("%+v", e)
		}
		w.store.stops(nil)
		time.Sleep(5 * time.Second)
		if w.system.journal == nil {
			w.events(watch)
			w.store.breaks(inbox.ErrFull)
			_, _ = w.system.Send(w.Context(), &protocol.Send{Sender: "alice", Receiver: "bob", Content: "x"})
			if e := w.one(watch, StoreTrouble); e.Code != protocol.CodeStorageFull {
				w.Errorf("%+v", e)
			}
			w.store.breaks(nil)
		}
	},
	ShardsChanging: func(w *world) {
		bob := mover(16, 20)
		w.connect(bob)
		watch, open := w.watch(EventFilter{}), gate[*depart](w, bob)
		_, _ = w.system.Scale(w.Context(), 20, "asked for by ada")
		synctest.Wait()
		if e := w.one(watch, ShardsChanging); e.Reason != "from 16 to 20: asked for by ada" || e.Shard != -1 || e.Code != "" {
			w.Errorf("%+v", e)
		}
		_, _ = w.system.Scale(w.Context(), 20, "again") // which begins nothing
		_, _ = w.system.Scale(w.Context(), 21, "refused")
		open()
		time.Sleep(time.Second)
		if got := w.eventsOf(watch, ShardsChanging); len(got) != 0 {
			w.Errorf("%+v", got)
		}
	},
	ShardsChanged: func(w *world) {
		bob := mover(16, 3)
		w.connect(bob)
		watch, open := w.watch(EventFilter{}), gate[*depart](w, bob)
		_, _ = w.system.Scale(w.Context(), 3, "asked for by ada")
		time.Sleep(time.Second)
		if got := w.eventsOf(watch, ShardsChanged); len(got) != 0 {
			w.Errorf("with bob on the way: %+v", got)
		}
		open()
		time.Sleep(time.Second)
		if e := w.one(watch, ShardsChanged); e.Reason != "from 16 to 3: asked for by ada" || e.Shard != -1 {
			w.Errorf("%+v", e)
		}
		if e := w.scale(3); e.To != 3 || len(w.eventsOf(watch, ShardsChanged)) != 0 {
			w.Errorf("the number there is: %+v", e)
		}
	},
	ShardsAuto: func(w *world) {
		watch := w.watch(EventFilter{})
		w.leave()
		if e := w.one(watch, ShardsAuto); e.Reason != "by order" || e.Shard != -1 || e.Code != "" {
			w.Errorf("%+v", e)
		}
		w.leave()
		if got := w.eventsOf(watch, ShardsAuto); len(got) != 0 {
			w.Errorf("it was left to the service already: %+v", got)
		}
	},
	ShardsHeld: func(w *world) {
		watch := w.watch(EventFilter{})
		w.scale(16)
		if got := w.eventsOf(watch, ShardsHeld); len(got) != 0 {
			w.Errorf("it was not left to the service: %+v", got)
		}
		w.leave()
		_, _ = w.system.Scale(w.Context(), 16, "asked for by ada")
		if e := w.one(watch, ShardsHeld); e.Reason != "asked for by ada" || e.Shard != -1 || e.Code != "" {
			w.Errorf("%+v", e)
		}
	},
	DrainBegun: func(w *world) {
		w.connect("bob")
		watch := w.watch(EventFilter{})
		_, _ = w.system.StartDrain(w.Context(), time.Minute)
		if e := w.one(watch, DrainBegun); e.Code != protocol.CodeDraining || !strings.Contains(e.Reason, "1 sessions") || e.Shard != -1 {
			w.Errorf("%+v", e)
		}
	},
	DrainEnded: func(w *world) {
		bob, watch := w.connect("bob"), w.watch(EventFilter{})
		_, _ = w.system.StartDrain(w.Context(), time.Millisecond)
		time.Sleep(time.Second)
		if got := w.eventsOf(watch, DrainEnded); len(got) != 0 {
			w.Errorf("with a session left: %+v", got)
		}
		bob.answer()
		time.Sleep(time.Second)
		w.one(watch, DrainEnded)
		_ = w.system.Drain(w.Context(), time.Millisecond)
		if got := w.eventsOf(watch, DrainEnded); len(got) != 0 {
			w.Errorf("a second time: %+v", got)
		}
	},
}

// limitsHit has a case for each limit: what runs into it, and whom it is about.
var limitsHit = map[protocol.ErrorCode]func(w *world) (user protocol.UserID){
	protocol.CodeInboxFull: func(w *world) protocol.UserID {
		w.mail("bob", 2)
		w.connect("alice").send("bob", "one more")
		return "bob"
	},
	protocol.CodeTooManySessions: func(w *world) protocol.UserID {
		for range 4 {
			_, _ = w.tryConnect("bob")
		}
		return "bob"
	},
	protocol.CodeTooManyDevices: func(w *world) protocol.UserID {
		for i := range protocol.MaxDevices {
			w.device("bob", fmt.Sprint("d", i)).hangUp()
			synctest.Wait()
		}
		w.tryV1("bob", &protocol.Connect{Device: "one more"})
		return "bob"
	},
	LimitUsers: func(w *world) protocol.UserID {
		other := protocol.UserID("")
		for i := 0; other == ""; i++ {
			if id := protocol.UserID(fmt.Sprint("u", i)); shardOf(id, 16) == shardOf("bob", 16) {
				other = id
			}
		}
		for range 2 {
			w.connect("bob")
		}
		_, _ = w.system.Send(w.Context(), &protocol.Send{Sender: "alice", Receiver: string(other), Content: "x"})
		return other
	},
	protocol.CodeSlowConsumer: func(w *world) protocol.UserID {
		bob := w.connect("bob")
		bob.conn.stall()
		w.mail("bob", 1)
		bob.conn.release(errDeadline)
		return "bob"
	},
	protocol.CodeHeartbeatTimeout: func(w *world) protocol.UserID {
		w.connect("bob")
		time.Sleep(time.Minute * 3)
		return "bob"
	},
	LimitHandshake: func(w *world) protocol.UserID {
		if _, err := w.system.Connect(w.Context(), "bob", V1, &fakeConn{}); err != nil {
			w.Fatal(err)
		}
		time.Sleep(2 * protocol.HandshakeTimeout)
		return "bob"
	},
	CodeTooManyBlocked: func(w *world) protocol.UserID {
		for _, user := range []protocol.UserID{"alice", "bob"} {
			_, _ = w.system.Block(w.Context(), Block{User: user})
		}
		return "bob"
	},
	CodeTooManyStreams: func(w *world) protocol.UserID {
		for range MaxTraces {
			trace, err := w.system.Trace("bob", false)
			if err != nil {
				w.Fatal(err)
			}
			defer trace.Stop()
		}
		_, _ = w.system.Trace("bob", false)
		return "bob"
	},
	protocol.CodeTooLarge: func(w *world) protocol.UserID {
		w.connect("bob").link.Refuse(&protocol.Error{Code: string(protocol.CodeTooLarge), Reason: "content: too long"})
		return "bob"
	},
}

func TestEveryKindOfEventIsPublished(t *testing.T) {
	for _, kind := range eventKinds {
		t.Run(string(kind.Kind), func(t *testing.T) {
			if published[kind.Kind] == nil {
				t.Fatal("has no test")
			}
			inBubble(t, Config{PingInterval: time.Hour, CloseTimeout: time.Hour}, published[kind.Kind])
		})
	}
	if len(published) != len(eventKinds) {
		t.Errorf("%d kinds have a test, and %d have a meaning", len(published), len(eventKinds))
	}
}

func TestEveryLimitThatIsHitIsAnEvent(t *testing.T) {
	for _, code := range slices.Sorted(maps.Keys(limitsHit)) {
		t.Run(string(code), func(t *testing.T) {
			inBubble(t, Config{MaxBlocked: 1, MaxSessionsPerUser: 3, MaxInboxEntries: 2, MaxUsers: 1, PingInterval: time.Minute}, func(w *world) {
				watch := w.watch(EventFilter{Kinds: []EventKind{LimitHit}})
				user := limitsHit[code](w)
				if e := w.one(watch, LimitHit); e.User != user || e.Code != code || e.Reason == "" || e.Shard != shardOf(user, 16) {
					w.Errorf("%+v, want %s of %s", e, code, user)
				}
				for limit, n := range w.system.Metrics().Limits {
					if want := map[protocol.ErrorCode]uint64{code: 1}[limit]; n != want && limit != LimitInFlight {
						w.Errorf("%s is counted %d times, want %d", limit, n, want)
					}
				}
			})
		})
	}
	t.Run("frame", func(t *testing.T) {
		inBubble(t, Config{}, func(w *world) {
			bob, watch := w.connect("bob"), w.watch(EventFilter{Kinds: []EventKind{LimitHit}})
			bob.link.Fail(protocol.CloseTooBig, string(protocol.CodeTooLarge))
			if e := w.one(watch, LimitHit); e.Session != bob.number() || e.Code != protocol.CodeTooLarge {
				w.Errorf("%+v", e)
			}
			if m := w.system.Metrics(); m.Frames[protocol.CodeTooLarge] != 1 || m.Limits[protocol.CodeTooLarge] != 1 {
				w.Errorf("counted are %d frames and %d limits", m.Frames[protocol.CodeTooLarge], m.Limits[protocol.CodeTooLarge])
			}
		})
	})
}

func TestWatchLetsThroughWhatItIsAskedFor(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		filters := map[string]EventFilter{
			"all":    {},
			"kinds":  {Kinds: []EventKind{SessionClosed, UserFailed}},
			"prefix": {UserPrefix: "eu-"},
			"word":   {Codes: []string{"closed_by_operator"}},
			"number": {Codes: []string{"1006", "4003"}},
			"none":   {Codes: []string{""}},
		}
		watches := map[string]*Watch{}
		for name, filter := range filters {
			watches[name] = w.watch(filter)
		}
		w.connect("eu-1").hangUp()
		w.connect("us-1")
		synctest.Wait()
		_, _ = w.system.CloseUser(w.Context(), "us-1", protocol.CloseByOperator, "")
		time.Sleep(time.Minute)
		want := map[string]int{"all": 4, "kinds": 2, "prefix": 2, "word": 1, "number": 2, "none": 0}
		for name, watch := range watches {
			if got := w.events(watch); len(got) != want[name] {
				w.Errorf("%s let through %d, want %d: %+v", name, len(got), want[name], got)
			}
		}
	})
}

func TestWatchesAreBoundedAndLeaveNothingBehind(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		var watches []*Watch
		for range MaxWatches {
			watches = append(watches, w.watch(EventFilter{}))
		}
		if _, err := w.system.Watch(EventFilter{}); !errors.Is(err, ErrTooManyStreams) {
			w.Errorf("one more: %v", err)
		}
		if e := w.one(watches[0], LimitHit); e.Code != CodeTooManyStreams {
			w.Errorf("%+v", e)
		}
		watches[3].Stop()
		watches[3].Stop()
		watches[3] = w.watch(EventFilter{})
		for _, watch := range watches {
			watch.Stop()
		}
		if w.system.watches.Load() != nil || w.system.watched() {
			w.Error("something is left of the watches")
		}
		w.connect("bob")
		if got := w.events(watches[0]); len(got) != 0 {
			w.Errorf("after its end a watch got %+v", got)
		}
	})
}

// Nobody waits for a reader who does not read, and the reader learns how much is missing
// and where.
func TestStalledWatchIsToldWhatItMissed(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		watch := w.watch(EventFilter{Kinds: []EventKind{SessionClosed}})
		const more = 77
		for range feedLength + more {
			w.connect("bob").hangUp()
			synctest.Wait()
		}
		for i := range feedLength { // what came first is there
			e, missed, err := watch.Next(w.Context())
			if err != nil || missed != 0 || e.Session != uint64(i+1) {
				w.Fatalf("event %d is %+v, %d missed: %v", i, e, missed, err)
			}
			if i == 9 { // there is room again, and the next one says what is missing before it
				w.connect("bob").hangUp()
				synctest.Wait()
			}
		}
		e, missed, err := watch.Next(w.Context())
		if err != nil || missed != more || e.Kind != "" {
			w.Fatalf("%+v, %d missed, want %d: %v", e, missed, more, err)
		}
		if e, missed, err = watch.Next(w.Context()); err != nil || missed != 0 || e.Session != feedLength+more+1 {
			w.Errorf("behind what is missing there is %+v, %d missed: %v", e, missed, err)
		}
		if m := w.system.Metrics(); m.MissedEvents != more || m.MissedHops != 0 || m.Watches != 1 || m.Traces != 0 {
			w.Errorf("counted are %d and %d missed of %d watches and %d traces", m.MissedEvents, m.MissedHops, m.Watches, m.Traces)
		}
	})
}

// What is missing at the end is told though nothing comes behind it.
func TestMissedAtTheEndIsTold(t *testing.T) {
	lost := new(atomic.Uint64)
	var f feed[int]
	f.open(nil, lost)
	for i := range feedLength + 5 {
		f.put(&i)
	}
	news, missed := waiting(t, &f)
	if len(news) != feedLength || missed != 5 {
		t.Errorf("%d news and %d missed, want %d and 5", len(news), missed, feedLength)
	}
	if news, missed := waiting(t, &f); len(news) != 0 || missed != 0 {
		t.Errorf("then %d and %d", len(news), missed)
	}
	if lost.Load() != 5 {
		t.Errorf("%d are counted, want 5", lost.Load())
	}
}

// Several put while one reads, sleeps and is woken: each of them is told or counted, once and in
// the order of who put it.
func TestFeedTellsOrCountsEverything(t *testing.T) {
	const writers, each = 4, 50_000
	type line struct{ writer, number int }
	var f feed[line]
	f.open(nil, new(atomic.Uint64))
	ctx, done := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for n := range each {
				f.put(&line{w, n})
				if n%500 == 0 {
					runtime.Gosched() // so that the reader sleeps now and then
				}
			}
		})
	}
	go func() { writing.Wait(); done() }()
	told, left, next := 0, 0, [writers]int{}
	for {
		one, missed, err := f.Next(ctx)
		switch {
		case err != nil && told+left == writers*each:
			return
		case err != nil:
			t.Fatalf("%d are told and %d counted of %d: %v", told, left, writers*each, err)
		case missed > 0:
			left += int(missed)
		case one.number < next[one.writer]:
			t.Fatalf("%d of writer %d comes behind %d", one.number, one.writer, next[one.writer]-1)
		default:
			told++
			next[one.writer] = one.number + 1
		}
	}
}

func TestWatchEndsWithTheSystem(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.connect("bob")
		watch := w.watch(EventFilter{Kinds: []EventKind{SessionClosed}})
		w.stop()
		if e, _, err := watch.Next(w.Context()); err != nil || e.User != "bob" {
			w.Errorf("what had happened before is not told: %+v, %v", e, err)
		}
		if _, _, err := watch.Next(w.Context()); !errors.Is(err, ErrDraining) {
			w.Errorf("the end is %v", err)
		}
	})
}

// answer sends the close frame back that is on its way.
func (p *peer) answer() {
	p.w.Helper()
	synctest.Wait()
	p.answerClose()
	synctest.Wait()
}

// park has a user fail until it is parked.
func (w *world) park(by *peer, user string) {
	w.Helper()
	w.connect(user)
	w.crashOn(user, "boom")
	for i := range 4 {
		by.send(user, fmt.Sprint("boom ", i))
		synctest.Wait()
	}
}
