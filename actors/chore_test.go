package actors

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

func (w *world) trim(user string, through uint64, unseen bool) (*Trimmed, error) {
	done, err := w.system.TrimInbox(w.Context(), protocol.UserID(user), through, unseen)
	synctest.Wait()
	return done, err
}

func TestForgottenDeviceIsNew(t *testing.T) {
	inBubble(t, Config{IdleAfter: time.Second}, func(w *world) {
		w.mail("bob", 3)
		phone := w.device("bob", "phone")
		phone.ack(2)
		if _, err := w.system.ForgetDevice(w.Context(), "bob", "phone", false); !errors.Is(err, ErrDeviceConnected) {
			t.Errorf("while it is connected: %v", err)
		}
		phone.hangUp()
		time.Sleep(time.Minute) // bob has no actor any more

		done, err := w.system.ForgetDevice(w.Context(), "bob", "phone", false)

		if err != nil || done.Cursor != 2 || done.Sessions != 0 {
			t.Errorf("%+v, %v", done, err)
		}
		if _, kept := w.store.inbox("bob").devices["phone"]; kept {
			t.Error("the store has it still")
		}
		if _, err := w.system.ForgetDevice(w.Context(), "bob", "phone", false); !errors.Is(err, ErrNoDevice) {
			t.Errorf("again: %v", err)
		}
		if got := w.device("bob", "phone").seqs(); !slices.Equal(got, upTo(1, 3)) {
			t.Errorf("it came back and got %v", got)
		}
	})
}

func TestForcedForgettingClosesTheSessions(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 3)
		phone, tablet := w.device("bob", "phone"), w.device("bob", "tablet")
		phone.ack(3)

		done, err := w.system.ForgetDevice(w.Context(), "bob", "phone", true)
		phone.ack(3) // late, and of no effect
		synctest.Wait()

		if err != nil || done.Sessions != 1 || done.Cursor != 3 {
			t.Errorf("%+v, %v", done, err)
		}
		phone.closedAs(protocol.CloseByOperator)
		phone.answerClose()
		w.mail("bob", 1)
		if got := tablet.seqs(); !slices.Equal(got, upTo(1, 4)) {
			t.Errorf("the other device got %v", got)
		}
		if info := w.userInfo("bob"); len(info.Devices) != 1 || info.Devices[0].Name != "tablet" {
			t.Errorf("%+v", info.Devices)
		}
	})
}

func TestTrimTellsWhatWouldBeLost(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 10)
		w.device("bob", "phone").ack(7)
		w.device("bob", "tablet").ack(4)

		if done, err := w.trim("bob", 4, false); err != nil || done.Removed != 4 || done.Floor != 4 || len(done.Unseen) != 0 || done.Nobody != 0 {
			t.Errorf("what all have had: %+v, %v", done, err)
		}
		_, err := w.trim("bob", 9, false)
		why, ok := errors.AsType[*Error](err)
		if !ok || why.Code != CodeUnseen {
			t.Fatalf("what some have not had: %v", err)
		}
		for _, words := range []string{"of the 5 messages", "no device has had 2", `"phone" has not had 2`, `"tablet" has not had 5`} {
			if !strings.Contains(why.Reason, words) {
				t.Errorf("%q does not say %q", why.Reason, words)
			}
		}
		if info := w.userInfo("bob"); info.Floor != 4 {
			t.Errorf("a refused trim took messages up to %d", info.Floor)
		}
		done, err := w.trim("bob", 99, true)
		if err != nil || done.Removed != 6 || done.Floor != 10 || done.Nobody != 3 || len(done.Unseen) != 2 {
			t.Errorf("%+v, %v", done, err)
		}
		if got := w.store.inbox("bob"); got.Floor != 10 || len(got.entries) != 0 {
			t.Errorf("the store has %+v", got)
		}
		if done, err := w.trim("bob", 5, false); err != nil || done.Removed != 0 || done.Floor != 10 {
			t.Errorf("again: %+v, %v", done, err)
		}
	})
}

func TestTrimMakesRoomInAFullInbox(t *testing.T) {
	inBubble(t, Config{MaxInboxEntries: 3}, func(w *world) {
		w.mail("bob", 3)
		send := &protocol.Send{Sender: "post", Receiver: "bob", Content: "one more"}
		if _, err := w.system.Send(w.Context(), send); err == nil {
			t.Fatal("the inbox is not full")
		}
		if _, err := w.trim("bob", 3, false); err == nil || !strings.Contains(err.Error(), "no device has had 3") {
			t.Errorf("unasked: %v", err)
		}
		if _, err := w.trim("bob", 2, true); err != nil {
			t.Fatal(err)
		}
		if sent, err := w.system.Send(w.Context(), send); err != nil {
			t.Errorf("%v, %v", sent, err)
		}
		if got := w.device("bob", "phone").seqs(); !slices.Equal(got, upTo(3, 4)) {
			t.Errorf("bob got %v", got)
		}
	})
}

func TestTrimMakesRoomForBytes(t *testing.T) {
	inBubble(t, Config{MaxInboxBytes: protocol.MaxFrameBytes}, func(w *world) {
		send := &protocol.Send{Sender: "post", Receiver: "bob", Content: strings.Repeat("x", 30_000)}
		for range 2 {
			if _, err := w.system.Send(w.Context(), send); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.system.Send(w.Context(), send); err == nil {
			t.Fatal("the inbox is not full")
		}
		if _, err := w.trim("bob", 1, true); err != nil {
			t.Fatal(err)
		}
		if _, err := w.system.Send(w.Context(), send); err != nil {
			t.Error(err)
		}
	})
}

// Devices that are behind hear of the gap: at once if they are connected, and else with
// their next CONNECT.
func TestTrimIsAGapForWhoIsBehind(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		slow := w.v1("bob", &protocol.Connect{Device: "slow", Window: 2})
		away := w.device("bob", "away")
		away.hangUp()
		w.mail("bob", 8)
		if got := slow.seqs(); !slices.Equal(got, upTo(1, 2)) {
			t.Fatalf("slow got %v", got)
		}

		if _, err := w.trim("bob", 6, true); err != nil {
			t.Fatal(err)
		}

		slow.ack(2)
		if got := slow.seqs(); !slices.Equal(got, []uint64{1, 2, 7, 8}) {
			t.Errorf("slow got %v", got)
		}
		gaps := of[*protocol.Error](slow.conn)
		if len(gaps) != 1 || gaps[0].Gap.GetFirst() != 3 || gaps[0].Gap.GetLast() != 6 {
			t.Errorf("slow was told %v", gaps)
		}
		again := w.device("bob", "away")
		if got := again.seqs(); !slices.Equal(got, upTo(7, 8)) {
			t.Errorf("away got %v", got)
		}
	})
}

func TestIdleSessionIsToldOfTheGapAtOnce(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 4)
		cursor := uint64(0)
		bob := w.v1("bob", &protocol.Connect{Device: "phone", Cursor: &cursor, Window: 1})
		bob.ack(1)
		w.store.hides(true) // it cannot be read on
		bob.ack(2)
		w.store.hides(false)
		if _, err := w.trim("bob", 4, true); err != nil {
			t.Fatal(err)
		}
		if codes := bob.codes(); !slices.Contains(codes, protocol.CodeGap) {
			t.Errorf("bob was told %v", codes)
		}
	})
}

func TestChoreIsAnsweredWhenTheStoreHasIt(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		w.mail("bob", 2)
		w.store.hold()
		answered := make(chan error, 1)
		go func() {
			_, err := w.system.TrimInbox(w.Context(), "bob", 2, true)
			answered <- err
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		select {
		case err := <-answered:
			t.Fatalf("answered before the commit: %v", err)
		default:
		}
		w.store.release()
		if err := <-answered; err != nil {
			t.Error(err)
		}
	})
}

func TestChoreThatIsNotKeptIsRefused(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 2)
		w.device("bob", "phone").hangUp()
		synctest.Wait()
		w.store.breaks(errDisk)
		if _, err := w.trim("bob", 2, true); !errors.Is(err, ErrUnavailableStore) {
			t.Errorf("trim: %v", err)
		}
		w.store.breaks(nil)
		time.Sleep(3 * time.Second)
		if info := w.userInfo("bob"); info.Floor != 0 {
			t.Errorf("the floor is %d", info.Floor)
		}
		if _, err := w.trim("bob", 2, true); err != nil {
			t.Error(err)
		}
	})
}

func TestChoreOfAnActorThatFailsIsAnswered(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 2)
		w.on(func(actor string, message any) {
			if _, ok := message.(*trimInbox); ok && actor == "bob" {
				panic("crash on purpose")
			}
		})
		if _, err := w.trim("bob", 2, true); !errors.Is(err, ErrInternal) {
			t.Errorf("%v", err)
		}
	})
}

func TestChoreWaitsForNoMessages(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		w.mail("bob", 2)
		began := time.Now()
		if _, err := w.trim("bob", 2, true); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited >= movesWait {
			t.Errorf("it took %s", waited)
		}
	})
}

func TestCursorsDoNotComeBackWithAForgottenDevice(t *testing.T) {
	onDisk(t, Config{}, func(w *world) {
		w.mail("bob", 3)
		phone := w.device("bob", "phone")
		phone.link.Ack(3) // its move waits for company
		phone.hangUp()
		synctest.Wait()
		if _, err := w.system.ForgetDevice(w.Context(), "bob", "phone", true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		w.restart()
		if got := w.device("bob", "phone").seqs(); !slices.Equal(got, upTo(1, 3)) {
			t.Errorf("it came back and got %v", got)
		}
	})
}
