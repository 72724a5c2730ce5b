package actors

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// The same send again is answered with the first place, whenever it comes.
func TestRepeatedSendHasThePlaceOfTheFirst(t *testing.T) {
	for name, between := range map[string]func(w *world){
		"at once":                      func(*world) {},
		"when it is kept":              func(*world) { synctest.Wait() },
		"when the user's actor left":   func(*world) { time.Sleep(time.Minute) },
		"when the user's actor failed": func(w *world) { synctest.Wait(); w.crash("bob") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{IdleAfter: time.Second, PingInterval: time.Hour, MaxInFlight: 8}, func(w *world) {
				w.mail("bob", 3)
				alice := w.device("alice", "phone")
				alice.sendID("bob", "hello", "x")
				between(w)
				alice.sendID("bob", "hello", "x")
				synctest.Wait()

				if got := alice.confirmed(); !maps.Equal(got, map[string]uint64{"x": 4}) || len(of[*protocol.Sent](alice.conn)) != 2 {
					t.Errorf("alice was confirmed %v in %v", got, of[*protocol.Sent](alice.conn))
				}
				sent := of[*protocol.Sent](alice.conn)
				if len(sent) != 2 {
					w.Fatalf("alice was told %v", sent)
				}
				if sent[0].At != sent[1].At {
					t.Errorf("the first was taken at %d and the repetition at %d", sent[0].At, sent[1].At)
				}
				alice.sendID("bob", "something else", "x")
				synctest.Wait()
				if got := alice.refused(); got["x"] != protocol.CodeConflict || len(alice.codes()) != 1 {
					t.Errorf("another content under the same id was answered %v", got)
				}
				if got := alice.link.credits.Load(); got != 8 {
					t.Errorf("alice has %d credits of 8", got)
				}
				if got := w.device("bob", "phone").conn.contents(); !slices.Equal(got, []string{"1", "2", "3", "hello"}) {
					t.Errorf("bob got %q", got)
				}
			})
		})
	}
}

// crash has the user's actor fail once; the user is sent a message for it that is
// refused.
func (w *world) crash(user string) {
	w.Helper()
	w.crashOn(user, "crash, please")
	w.crashes++ // or else it would be one message, and poison
	text := fmt.Sprint("crash, please ", w.crashes)
	if _, err := w.system.Send(w.Context(), &protocol.Send{Sender: "mallory", Receiver: user, Content: text}); !isCode(err, ErrInternal) {
		w.Errorf("the actor did not fail: %v", err)
	}
	synctest.Wait()
	w.on(func(string, any) {})
}

func TestRepeatedSendIsKnownAfterARestart(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 1)
		w.device("alice", "phone").sendID("bob", "hello", "x")
		synctest.Wait()

		w.restart()

		alice := w.device("alice", "phone")
		alice.sendID("bob", "hello", "x")
		alice.sendID("bob", "other", "x")
		synctest.Wait()
		if got := alice.confirmed(); !maps.Equal(got, map[string]uint64{"x": 2}) || alice.refused()["x"] != protocol.CodeConflict {
			t.Errorf("alice was confirmed %v and refused %v", got, alice.refused())
		}
		if got := w.store.contents("bob"); !slices.Equal(got, []string{"1", "hello"}) {
			t.Errorf("bob's inbox has %q", got)
		}
	})
}

func TestIdBelongsToItsSenderAndItsReceiver(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice, sam := w.device("alice", "phone"), w.device("sam", "phone")
		w.store.hold() // pending, and later kept
		done := make(chan struct{})
		for range 2 {
			go func() {
				alice.sendID("bob", "from alice", "x")
				alice.sendID("carol", "to carol", "x")
				sam.sendID("bob", "from sam", "x")
				close(done)
			}()
			synctest.Wait()
			<-done
			done = make(chan struct{})
			if w.store.held != nil {
				w.store.release()
			}
			synctest.Wait()
		}
		if got := w.store.contents("bob"); !slices.Equal(got, []string{"from alice", "from sam"}) || !slices.Equal(w.store.contents("carol"), []string{"to carol"}) {
			t.Errorf("bob's inbox has %q, carol's %q", got, w.store.contents("carol"))
		}
		if len(alice.codes())+len(sam.codes()) != 0 || len(of[*protocol.Sent](alice.conn)) != 4 || len(of[*protocol.Sent](sam.conn)) != 2 {
			t.Errorf("refused: alice %v, sam %v", alice.codes(), sam.codes())
		}
	})
}

func TestSendsWithoutAnIdAreNoRepetitions(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice := w.device("alice", "phone")
		for range 3 {
			alice.send("bob", "the same")
		}
		synctest.Wait()
		if got := w.store.contents("bob"); len(got) != 3 || len(of[*protocol.Sent](alice.conn)) != 3 {
			t.Errorf("bob's inbox has %q", got)
		}
	})
}

func TestInboxIsBoundedInEntriesUntilAnyDeviceHasFetchedThem(t *testing.T) {
	inBubble(t, Config{MaxInboxEntries: 3, IdleAfter: time.Second, PingInterval: time.Hour}, func(w *world) {
		alice := w.device("alice", "phone")
		full := func(ids ...string) {
			t.Helper()
			for _, id := range ids {
				alice.sendID("bob", id, id)
				synctest.Wait()
				if got := alice.refused()[id]; got != protocol.CodeInboxFull {
					t.Errorf("%s was answered %q, want inbox_full; confirmed %v", id, got, alice.confirmed())
				}
			}
		}
		room := func(ids ...string) {
			t.Helper()
			for _, id := range ids {
				alice.sendID("bob", id, id)
				synctest.Wait()
				if alice.confirmed()[id] == 0 {
					t.Errorf("%s was refused %q", id, alice.refused()[id])
				}
			}
		}
		room("1", "2", "3")
		full("4", "5")
		time.Sleep(time.Minute) // bob's actor has left
		full("6")
		bob, tablet := w.device("bob", "phone"), w.device("bob", "tablet")
		full("7") // sent is not fetched
		bob.ack(2)
		room("8", "9")
		full("10")
		tablet.ack(3)
		room("11")
		full("12")
		if got := bob.seqs(); !slices.Equal(got, upTo(1, 6)) {
			t.Errorf("bob got %v", got)
		}
	})
}

func TestInboxIsBoundedInBytesUntilAnyDeviceHasFetchedThem(t *testing.T) {
	inBubble(t, Config{MaxInboxBytes: protocol.MaxFrameBytes, IdleAfter: time.Second, PingInterval: time.Hour}, func(w *world) {
		alice := w.device("alice", "phone")
		text := strings.Repeat("x", protocol.MaxFrameBytes/4-100)
		send := func(id string) bool {
			alice.sendID("bob", text, id)
			synctest.Wait()
			if got := alice.refused()[id]; got != "" && got != protocol.CodeInboxFull {
				t.Errorf("%s was refused %q", id, got)
			}
			return alice.confirmed()[id] != 0
		}
		for _, id := range []string{"1", "2", "3", "4"} {
			if !send(id) {
				t.Errorf("%s was refused %q", id, alice.refused()[id])
			}
		}
		if send("5") {
			t.Error("a fifth quarter was taken")
		}
		time.Sleep(time.Minute)
		if send("6") {
			t.Error("with a new actor a fifth quarter was taken")
		}
		bob := w.device("bob", "phone")
		bob.ack(1)
		if !send("7") || send("8") {
			t.Errorf("with room for one: 7 was refused %q, 8 %q", alice.refused()["7"], alice.refused()["8"])
		}
		bob.ack(4)
		if !send("9") || !send("10") || !send("11") || send("12") {
			t.Error("with room for three")
		}
		w.crash("bob")
		if send("13") {
			t.Error("after a failure there is room")
		}
		bob.ack(8)
		if !send("14") {
			t.Error("all was fetched and there is no room")
		}
	})
}

func TestConflictIsSeenWhileTheFirstWaitsForItsCommit(t *testing.T) {
	onDisk(t, Config{MaxInFlight: 8}, func(w *world) {
		alice := w.device("alice", "phone")
		w.store.hold()
		alice.sendID("bob", "hello", "x")
		alice.sendID("bob", "something else", "x")
		synctest.Wait()
		if got := alice.refused(); !maps.Equal(got, map[string]protocol.ErrorCode{"x": protocol.CodeConflict}) || len(alice.confirmed()) != 0 {
			t.Errorf("before the commit alice was refused %v and confirmed %v", got, alice.confirmed())
		}
		w.store.release()
		synctest.Wait()
		if got := w.store.contents("bob"); !slices.Equal(got, []string{"hello"}) || alice.confirmed()["x"] != 1 || alice.link.credits.Load() != 8 {
			t.Errorf("bob's inbox has %q, alice was confirmed %v and has %d credits of 8", got, alice.confirmed(), alice.link.credits.Load())
		}
	})
}
