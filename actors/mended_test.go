package actors

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// holdOn has the user's actor wait before it handles a send with the content.
func (w *world) holdOn(user, content string) (open func()) {
	held := make(chan struct{})
	w.on(func(actor string, message any) {
		if send, ok := message.(*protocol.Send); ok && actor == user && send.Content == content {
			<-held
		}
	})
	return func() { close(held) }
}

// Every send gets its answer, also one that repeats what is just being answered.
func TestSendRepeatedWhileItsCommitIsAnsweredIsAnsweredToo(t *testing.T) {
	onDisk(t, Config{MaxInFlight: 8}, func(w *world) {
		phone, tablet, mallory := w.device("alice", "phone"), w.device("alice", "tablet"), w.device("mallory", "")
		w.store.hold()
		phone.sendID("bob", "hello", "x")
		synctest.Wait() // its commit is under way
		open := w.holdOn("bob", "gate")
		mallory.send("bob", "gate")
		synctest.Wait()
		tablet.sendID("bob", "hello", "x") // waits behind the gate, before the journal's answer
		synctest.Wait()
		w.store.release()
		synctest.Wait()
		open()
		synctest.Wait()
		if got := tablet.confirmed()["x"]; got != 1 || tablet.link.credits.Load() != 8 {
			t.Errorf("who sent it again was told %d, want 1, and has %d credits of 8", got, tablet.link.credits.Load())
		}
	})
}

// A repetition of what is kept needs no room.
func TestRepetitionOfWhatIsKeptNeedsNoRoom(t *testing.T) {
	inBubble(t, Config{MaxInboxEntries: 1}, func(w *world) {
		alice := w.device("alice", "phone")
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		if got := alice.codes(); len(got) != 0 || len(of[*protocol.Sent](alice.conn)) != 2 {
			t.Errorf("the repetition was refused %v", got)
		}
	})
}

// The same, with a disk that takes nothing but can be read.
func TestRepetitionOfWhatIsKeptNeedsNoDiskThatTakesIt(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		alice := w.device("alice", "phone")
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		w.store.breaks(errDisk)
		alice.sendID("bob", "two", "2")
		synctest.Wait()
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		if got := alice.refused()["1"]; got != "" {
			t.Errorf("the repetition was refused %v", got)
		}
	})
}

// What retention took away does not fill an inbox.
func TestTrimmedInboxHasRoom(t *testing.T) {
	for name, config := range map[string]Config{"entries": {MaxInboxEntries: 2}, "bytes": {MaxInboxBytes: protocol.MaxFrameBytes}} {
		t.Run(name, func(t *testing.T) {
			config.IdleAfter, config.PingInterval = time.Second, time.Hour
			inBubble(t, config, func(w *world) {
				alice := w.device("alice", "phone")
				text := strings.Repeat("x", 40<<10)
				alice.sendID("bob", text[:20<<10], "1")
				alice.sendID("bob", text, "2")
				synctest.Wait() // bob's actor goes on: it has a session that fetches nothing
				w.v1("bob", &protocol.Connect{Device: "phone", Window: 1})
				w.store.trim("bob", 2)
				alice.sendID("bob", text, "3")
				synctest.Wait()
				if got := alice.refused()["3"]; got != "" {
					t.Errorf("into an inbox without an entry: %q", got)
				}
			})
		})
	}
}

// A nameless client that says how far it is has no say for the other sessions.
func TestNamelessClientsCursorDoesNotMoveWhatAllHave(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 6)
		first := w.v1("bob", &protocol.Connect{Window: 3})
		first.ack(2)
		five := uint64(5)
		w.v1("bob", &protocol.Connect{Cursor: &five})
		if got := w.store.cursor("bob", ""); got != 2 {
			t.Errorf("the shared cursor is %d, want 2, which is what all have", got)
		}
	})
}

// After a failure the shared cursor waits for all sessions to be back.
func TestNamelessCursorSurvivesAFailure(t *testing.T) {
	for behind := range 3 { // whichever attaches first
		inBubble(t, Config{}, func(w *world) {
			w.mail("bob", 6)
			sessions := []*peer{w.v1("bob", &protocol.Connect{}), w.v1("bob", &protocol.Connect{}), w.v1("bob", &protocol.Connect{})}
			for _, p := range sessions {
				p.ack(1)
			}
			for i, p := range sessions {
				if i == behind {
					p.ack(2)
				} else {
					p.ack(6)
				}
			}
			w.crash("bob")
			if got := w.store.cursor("bob", ""); got != 2 {
				t.Errorf("the shared cursor is %d, want 2, which is what all have", got)
			}
		})
	}
}

// What the failed actor did not come to note of the nameless device is noted when all
// sessions are back, also if the last one of them is another device's.
func TestNamelessCursorIsCaughtUpWhenAllAreBack(t *testing.T) {
	for _, first := range []bool{true, false} {
		inBubble(t, Config{}, func(w *world) {
			w.mail("bob", 3)
			if first {
				w.connect("bob")
			}
			w.device("bob", "phone")
			w.device("bob", "tablet")
			if !first {
				w.connect("bob")
			}
			var once atomic.Bool
			w.on(func(actor string, message any) {
				if _, ok := message.(*ack); ok && actor == "bob" && once.CompareAndSwap(false, true) {
					panic("crash on purpose")
				}
			})
			time.Sleep(time.Second) // the session has told what was written, and was not heard
			if got := w.store.cursor("bob", ""); got != 3 || !once.Load() {
				t.Errorf("the shared cursor is %d, want 3, which is what was written; failed: %v", got, once.Load())
			}
		})
	}
}

// What retention took does not fill the window of a session that attaches again.
func TestSessionBehindAGapIsNotDeafAfterAFailure(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 5)
		bob := w.v1("bob", &protocol.Connect{Device: "phone", Window: 1})
		w.store.trim("bob", 5)
		bob.ack(1)
		if got := bob.codes(); !slices.Equal(got, []protocol.ErrorCode{protocol.CodeGap}) {
			t.Errorf("bob was told %v", got)
		}
		w.crash("bob")
		w.mail("bob", 1)
		if got := bob.seqs(); !slices.Equal(got, []uint64{1, 6}) {
			t.Errorf("bob got %v, want 1 and 6", got)
		}
	})
}

// The journal sets its clock again after it has failed over a tick: cursors go to the store though no
// message comes that they could go along with.
func TestCursorsAreKeptAfterTheJournalFailedOverItsClock(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		w.mail("bob", 3)
		bob := w.device("bob", "phone")
		var failed atomic.Bool
		w.on(func(actor string, message any) {
			if _, ok := message.(*movesDue); ok && actor == "journal" && failed.CompareAndSwap(false, true) {
				panic("crash on purpose")
			}
		})
		bob.ack(1)
		time.Sleep(time.Second)
		if !failed.Load() {
			t.Fatal("the journal's clock has not ticked")
		}
		bob.ack(2)
		time.Sleep(time.Second)
		if got := w.store.cursor("bob", "phone"); got != 2 {
			t.Errorf("the cursor is %d, want 2", got)
		}
	})
}

// A shard that fails over the end of the node costs its own users what they had not handed over,
// and nobody else.
func TestShardThatFailsToWrapUpLeavesTheOthersTheirTurn(t *testing.T) {
	onDisk(t, Config{Shards: 4}, func(w *world) {
		var phones []*peer
		for i := range 16 {
			w.mail(name(i), 1)
			phones = append(phones, w.device(name(i), "phone"))
		}
		first := w.system.ring.Load().shards[0].pid
		w.on(func(actor string, message any) {
			if _, ok := message.(*wrapUpShard); ok && actor == "shard/0" {
				panic("crash on purpose")
			}
		})
		others := map[int]bool{}
		for i, p := range phones {
			others[i] = !w.system.ring.Load().road(protocol.UserID(name(i))).pid.Equal(first)
			p.link.Ack(1)
		}
		w.restart()
		for i := range phones {
			if got := w.store.cursor(name(i), "phone"); others[i] && got != 1 {
				t.Errorf("the cursor of %s is %d, want 1", name(i), got)
			}
		}
	})
}

// An answer that is tried again, because the registry failed when it had counted it, counts once.
func TestRegistryCountsAnAnswerOnce(t *testing.T) {
	r := &registry{scaling: &rescaling{waits: 2}}
	first, second := &turned{users: 1}, &turned{users: 1}
	for range 2 {
		if r.answered(first) {
			t.Error("one of two answers was taken for all")
		}
	}
	for range 2 {
		if !r.answered(second) {
			t.Error("the last answer was not taken for it")
		}
	}
}

// What a session was sent and has not acknowledged may be gone from the inbox when its user's actor
// fails: it has had that, and nothing is missing.
func TestSessionIsToldOfNoGapWhereItHasHadTheMessages(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 5)
		bob := w.v1("bob", &protocol.Connect{Device: "phone"})
		bob.ack(2)
		w.store.trim("bob", 5)
		w.crash("bob")
		w.mail("bob", 1)
		if got := bob.codes(); len(got) > 0 {
			t.Errorf("bob was told %v", got)
		}
		if got := bob.seqs(); !slices.Equal(got, upTo(1, 6)) {
			t.Errorf("bob got %v, want 1 to 6", got)
		}
	})
}

// The service takes sends again also if looking after the disk fails once.
func TestProbeThatPanicsIsNotTheLast(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		alice := w.device("alice", "phone")
		w.store.breaks(errDisk)
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		w.store.crashes(1)
		time.Sleep(probeEvery + time.Millisecond)
		w.store.breaks(nil)
		time.Sleep(10 * probeEvery)
		if err := w.system.Ready(); err != nil {
			t.Errorf("10 probes later Ready says %v", err)
		}
	})
}

// A commit that panics while the journal looks at a fence takes the fence with it; who waits
// for it is answered all the same.
func TestFenceThatTheJournalFailsOnIsAnswered(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		w.mail("bob", 1)
		bob := w.device("bob", "phone")
		bob.ack(1) // waits in the journal for a message to go along with
		w.store.crashes(1)
		w.crashOn("bob", "fatal")
		alice := w.device("alice", "phone")
		alice.sendID("bob", "fatal", "1")
		synctest.Wait()
		alice.sendID("bob", "hello", "2")
		synctest.Wait()
		if got := bob.conn.contents(); len(got) != 2 || got[1] != "hello" {
			t.Errorf("bob got %q, want the message behind the one that was fatal", got)
		}
		if w.store.tries < 2 {
			t.Error("no commit was tried while the fence waited: the test looks at nothing")
		}
	})
}

// An orderly stop loses no cursor.
func TestCursorThatWaitsForACommitSurvivesAStop(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		w.mail("bob", 5)
		bob, alice := w.device("bob", "phone"), w.device("alice", "phone")
		w.store.hold()
		alice.send("bob", "six")
		synctest.Wait()
		bob.ack(4) // while a commit of bob's is under way
		go func() { time.Sleep(time.Second); w.store.release() }()
		w.restart()
		if got := w.store.cursor("bob", "phone"); got != 4 {
			t.Errorf("after an orderly stop the cursor is %d, want 4", got)
		}
	})
}

// A client that always leaves most of its window unacknowledged is served as
// its room allows.
func TestClientThatAcknowledgesLateIsServedToo(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 20)
		bob := w.v1("bob", &protocol.Connect{Device: "phone", Window: 4})
		for range 20 {
			if n := uint64(len(bob.seqs())); n > 3 {
				bob.ack(n - 3) // it works on three at a time
			}
			time.Sleep(2 * readWait)
		}
		if got := len(bob.seqs()); got != 20 {
			t.Errorf("bob got %d of 20, and has room for one more", got)
		}
	})
}

// What is not known of an inbox counts as full, not as empty.
func TestInboxOfUnknownSizeIsNotTakenForEmpty(t *testing.T) {
	inBubble(t, Config{MaxInboxBytes: protocol.MaxFrameBytes, IdleAfter: time.Second, PingInterval: time.Hour}, func(w *world) {
		alice := w.device("alice", "phone")
		text := strings.Repeat("x", 40<<10)
		alice.sendID("bob", text, "1")
		time.Sleep(time.Minute)
		w.store.hides(true)
		w.connect("bob")
		synctest.Wait()
		w.store.hides(false)
		alice.sendID("bob", text, "2")
		synctest.Wait()
		if got := alice.refused()["2"]; got != protocol.CodeInboxFull {
			t.Errorf("a second message of more than half was answered %q", got)
		}
	})
}

// Everybody is told the same reason when a commit fails.
func TestWhatWasNumberedBehindAFullDiskIsRefusedAsThat(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		alice := w.device("alice", "phone")
		w.store.hold()
		alice.sendID("bob", "one", "1")
		synctest.Wait()
		var once atomic.Bool
		held, gate := make(chan struct{}), make(chan struct{})
		w.on(func(actor string, message any) {
			send, ok := message.(*protocol.Send)
			if ok && actor == "bob" && send.Content == "first gate" && once.CompareAndSwap(false, true) {
				<-gate
			}
			if ok && actor == "bob" && send.Content == "gate" {
				<-held
			}
		})
		alice.sendID("bob", "first gate", "0")
		synctest.Wait()
		alice.sendID("bob", "two", "2")
		alice.sendID("bob", "gate", "3")
		close(gate)
		synctest.Wait()
		w.store.breaks(errDisk)
		w.store.release()
		synctest.Wait()
		close(held)
		synctest.Wait()
		if got := alice.refused(); got["2"] != protocol.CodeUnavailable {
			t.Errorf("alice was refused %v, want unavailable for all", got)
		}
	})
}

// Retention works while a user's actor lives.
func TestFloorIsThatOfNowNotThatOfTheStart(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 5)
		tablet := w.device("bob", "tablet")
		tablet.ack(1)
		w.store.trim("bob", 3)
		phone := w.device("bob", "phone")
		if got := phone.codes(); len(got) != 0 || phone.welcome().GetCursor() != 3 {
			t.Errorf("a new device was told %v and %v", phone.welcome(), got)
		}
		again := w.device("bob", "tablet")
		if got := again.welcome(); got.Gap.GetFirst() != 2 || got.Gap.GetLast() != 3 {
			t.Errorf("a device that misses 2 and 3 was told %v", got)
		}
	})
}

// A device counts as seen as long as it is connected.
func TestDeviceThatWasConnectedUntilNowIsNotForgotten(t *testing.T) {
	inBubble(t, Config{ForgetDevicesAfter: 24 * time.Hour, PingInterval: 1000 * time.Hour}, func(w *world) {
		var devices []*peer
		for i := range protocol.MaxDevices {
			devices = append(devices, w.device("bob", string(rune('a'+i))))
		}
		time.Sleep(48 * time.Hour)
		devices[0].hangUp()
		time.Sleep(time.Minute)
		p := w.tryV1("bob", &protocol.Connect{Device: "new"})
		if frame, _ := p.conn.closeFrame(); frame.Reason != string(protocol.CodeTooManyDevices) {
			t.Errorf("a device that has been away for a minute was forgotten: %+v", frame)
		}
	})
}

// Reads that fail do not hold up cursors.
func TestCursorsAreKeptWhileReadsFail(t *testing.T) {
	inBubble(t, Config{PingInterval: time.Hour}, func(w *world) {
		w.mail("bob", 10)
		phone, tablet := w.v1("bob", &protocol.Connect{Device: "phone", Window: 4}), w.v1("bob", &protocol.Connect{Device: "tablet", Window: 10})
		w.store.hides(true)
		phone.ack(4) // waits for a read
		tablet.ack(7)
		time.Sleep(time.Minute)
		if got := w.store.cursor("bob", "tablet"); got != 7 {
			t.Errorf("after a minute the cursor is %d, want 7", got)
		}
	})
}
