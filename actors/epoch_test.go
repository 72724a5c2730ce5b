package actors

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// A cursor belongs to a numbering. One of another numbering says nothing of what the device
// has of this one, so nothing is passed over because of it.
func TestCursorOfAnotherEpochPassesNothingOver(t *testing.T) {
	for _, test := range []struct {
		name   string
		device string
		cursor uint64
		epoch  uint32
		begins uint64
	}{
		{"the same epoch", "phone", 5, fakeEpoch, 5},
		{"the same epoch, beyond the head", "phone", 9, fakeEpoch, 6},
		{"none said", "phone", 5, 0, 5},
		{"another, of a device whose record is lower", "phone", 5, 8, 4},
		{"another, beyond the head", "phone", 1 << 60, 8, 4},
		{"another, of a device whose record is higher", "phone", 2, 8, 2},
		{"another, of a device that is not known", "tablet", 5, 8, 0},
		{"another, of the device that others share", "", 5, 8, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, Config{}, func(w *world) {
				w.mail("bob", 6)
				for _, device := range []string{"phone", ""} {
					before := w.device("bob", device)
					before.ack(4)
					before.hangUp()
				}
				synctest.Wait()

				bob := w.v1("bob", &protocol.Connect{Device: test.device, Cursor: &test.cursor, Epoch: test.epoch})

				welcome := bob.welcome()
				if got := bob.seqs(); !slices.Equal(got, upTo(test.begins+1, 6)) || welcome.GetCursor() != test.begins {
					t.Errorf("the device got %v after %v", got, welcome)
				}
				if welcome.Epoch != fakeEpoch || welcome.Gap != nil {
					t.Errorf("CONNECT says %v", welcome)
				}
				w.mail("bob", 1)
				if got := bob.seqs(); !slices.Equal(got, upTo(test.begins+1, 7)) {
					t.Errorf("then the device got %v", got)
				}
			})
		})
	}
}

// The inbox was begun anew and has grown past the cursor before the device is back, which is
// what its number alone cannot show.
func TestInboxThatBeganAnewIsDeliveredFromItsBeginning(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 20)

		bob := w.v1("bob", &protocol.Connect{Device: "phone", Cursor: new(uint64(12)), Epoch: fakeEpoch + 1})

		if got := bob.seqs(); !slices.Equal(got, upTo(1, 20)) || bob.welcome().Epoch != fakeEpoch {
			t.Errorf("the device got %v after %v", got, bob.welcome())
		}
		bob.ack(20)
		if got := w.store.cursor("bob", "phone"); got != 20 {
			t.Errorf("the store has %d", got)
		}
	})
}

func TestCursorOfAnotherEpochIsToldWhatIsGone(t *testing.T) {
	for begins, device := range []string{"", "phone"} { // phone has the first
		t.Run(fmt.Sprintf("device %q", device), func(t *testing.T) {
			inBubble(t, Config{IdleAfter: time.Second}, func(w *world) {
				w.mail("bob", 6)
				before := w.device("bob", "phone")
				before.ack(1)
				before.hangUp()
				time.Sleep(time.Minute)
				w.store.trim("bob", 3)

				bob := w.v1("bob", &protocol.Connect{Device: device, Cursor: new(uint64(5)), Epoch: 8})

				gap := bob.welcome().Gap
				if gap.GetFirst() != uint64(begins)+1 || gap.GetLast() != 3 || bob.welcome().GetCursor() != 3 {
					t.Errorf("CONNECT says %v", bob.welcome())
				}
				if got := bob.seqs(); !slices.Equal(got, upTo(4, 6)) {
					t.Errorf("the device got %v", got)
				}
			})
		})
	}
}

// Restored and renewed: the record of the device is as old as the copy, the epoch is new.
func TestRestoredInboxGoesOnWhereItsOwnRecordSays(t *testing.T) {
	inBubble(t, Config{IdleAfter: time.Second}, func(w *world) {
		w.mail("bob", 10)
		before := w.device("bob", "phone")
		before.ack(7)
		before.hangUp()
		time.Sleep(time.Minute) // bob's actor leaves
		w.store.renews(8)
		w.mail("bob", 30) // past where the client was

		bob := w.v1("bob", &protocol.Connect{Device: "phone", Cursor: new(uint64(25)), Epoch: fakeEpoch})

		if got := bob.seqs(); !slices.Equal(got, upTo(8, 40)) || bob.welcome().Epoch != 8 {
			t.Errorf("the device got %v after %v", got, bob.welcome())
		}
	})
}
