package actors

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

func TestDeviceGoesOnWhereItLeftOff(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 6)
		bob := w.device("bob", "phone")
		bob.ack(4)
		bob.hangUp()
		synctest.Wait()

		again := w.device("bob", "phone")
		if got := again.seqs(); !slices.Equal(got, upTo(5, 6)) || again.welcome().GetCursor() != 4 || again.welcome().Head != 6 {
			t.Errorf("the device got %v after %v", got, again.welcome())
		}
		other := w.device("bob", "tablet")
		if got := other.seqs(); !slices.Equal(got, upTo(1, 6)) || other.welcome().GetCursor() != 0 {
			t.Errorf("another device got %v after %v", got, other.welcome())
		}
	})
}

func TestClientKnowsBestWhatItHas(t *testing.T) {
	for _, test := range []struct{ cursor, begins, kept uint64 }{
		{0, 0, 0}, {2, 2, 2}, {4, 4, 4}, {5, 5, 5}, {6, 6, 6}, {7, 6, 6}, {1 << 63, 6, 6},
	} {
		t.Run(fmt.Sprint(test.cursor), func(t *testing.T) {
			inBubble(t, Config{}, func(w *world) {
				w.mail("bob", 6)
				before := w.device("bob", "phone")
				before.ack(4)
				before.hangUp()
				synctest.Wait()

				bob := w.v1("bob", &protocol.Connect{Device: "phone", Cursor: &test.cursor})

				if got := bob.seqs(); !slices.Equal(got, upTo(test.begins+1, 6)) || bob.welcome().GetCursor() != test.begins {
					t.Errorf("the device got %v after %v", got, bob.welcome())
				}
				if got := w.store.cursor("bob", "phone"); got != test.kept {
					t.Errorf("the store has %d", got)
				}
				w.mail("bob", 1)
				if got := bob.seqs(); !slices.Equal(got, upTo(test.begins+1, 7)) {
					t.Errorf("then the device got %v", got)
				}
			})
		})
	}
}

func TestNewDeviceBeginsAtTheOldestThatIsKept(t *testing.T) {
	inBubble(t, Config{IdleAfter: time.Second}, func(w *world) {
		w.mail("bob", 5)
		time.Sleep(time.Minute)
		w.store.trim("bob", 3)

		bob := w.device("bob", "phone")

		if got := bob.welcome(); bob.welcome().Gap != nil || got.GetCursor() != 3 || len(bob.codes()) != 0 {
			t.Errorf("a new device was told %v, %v: it misses nothing", got, bob.codes())
		}
		if got := bob.seqs(); !slices.Equal(got, upTo(4, 5)) {
			t.Errorf("the device got %v", got)
		}
		seed := w.connect("bob")
		synctest.Wait()
		if got := seed.seqs(); !slices.Equal(got, upTo(4, 5)) || len(seed.codes()) != 0 {
			t.Errorf("a first session of the seed got %v, was told %v", got, seed.codes())
		}
	})
}

func TestSameDeviceAgainReplacesItsOlderSessionAndNoOther(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		alice := w.device("alice", "phone")
		older, tablet, nameless, seed := w.device("bob", "phone"), w.device("bob", "tablet"), w.device("bob", ""), w.connect("bob")

		newer := w.device("bob", "phone")

		if frame, _ := older.conn.closeFrame(); frame.Code != protocol.CloseReplaced || frame.Reason != string(protocol.CodeReplaced) {
			t.Errorf("the older session got the close frame %+v", frame)
		}
		alice.send("bob", "hello")
		synctest.Wait()
		for name, p := range map[string]*peer{"the newer session": newer, "the other device": tablet, "the nameless one": nameless, "the seed's": seed} {
			if _, closed := p.conn.closeFrame(); closed || !slices.Equal(p.conn.contents(), []string{"hello"}) {
				t.Errorf("%s is closed: %v, and got %q", name, closed, p.conn.contents())
			}
		}
		if got := older.conn.contents(); len(got) != 0 {
			t.Errorf("the older session got %q", got)
		}
		older.answerClose()
		synctest.Wait()
		if info := w.userInfo("bob"); len(info.Sessions) != 4 {
			t.Errorf("bob's sessions are %v", info.Sessions)
		}
	})
}

// A session that attaches late, behind a newer one of its device, is the one to go.
func TestOlderSessionOfADeviceDoesNotReplaceTheNewer(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		older := &peer{w: w, conn: &fakeConn{}}
		older.link, _ = w.system.Connect(w.Context(), "bob", V1, older.conn)
		newer := w.device("bob", "phone")
		older.link.Connect(&protocol.Connect{Device: "phone"})
		synctest.Wait()
		if frame, _ := older.conn.closeFrame(); frame.Code != protocol.CloseReplaced {
			t.Errorf("the older got %+v", frame)
		}
		if _, closed := newer.conn.closeFrame(); closed {
			t.Error("the newer was closed")
		}
		w.mail("bob", 1)
		if got := newer.seqs(); !slices.Equal(got, upTo(1, 1)) {
			t.Errorf("the newer got %v", got)
		}
	})
}

func TestNamelessSessionsShareWhatAllOfThemHave(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 5)
		first, second := w.device("bob", ""), w.device("bob", "")
		w.device("bob", "") // never acknowledges: it is there to send, and has no say
		for _, step := range []struct {
			who         *peer
			ack, shared uint64
		}{{first, 1, 1}, {second, 1, 1}, {first, 3, 1}, {second, 4, 3}, {first, 4, 4}, {first, 5, 4}} {
			if step.who.ack(step.ack); w.store.cursor("bob", "") != step.shared {
				t.Errorf("after ACK %d the cursor is %d, want %d", step.ack, w.store.cursor("bob", ""), step.shared)
			}
		}
		second.hangUp()
		synctest.Wait()
		if got := w.store.cursor("bob", ""); got != 5 {
			t.Errorf("when the one that was behind has gone the cursor is %d, want what the other has", got)
		}
	})
}

func TestDevicesOfAUserAreBounded(t *testing.T) {
	inBubble(t, Config{ForgetDevicesAfter: time.Hour, PingInterval: 24 * time.Hour}, func(w *world) {
		w.mail("bob", 3)
		var devices []*peer
		for i := range protocol.MaxDevices {
			devices = append(devices, w.device("bob", fmt.Sprint("device ", i)))
			devices[i].ack(2)
			time.Sleep(time.Minute)
		}
		refusedNow := func(device string) {
			t.Helper()
			p := w.tryV1("bob", &protocol.Connect{Device: device})
			if frame, _ := p.conn.closeFrame(); frame.Code != protocol.CloseTryAgainLater || frame.Reason != string(protocol.CodeTooManyDevices) {
				t.Errorf("close frame %+v", frame)
			}
			p.answerClose()
			synctest.Wait()
		}
		refusedNow("one too many")
		if w.store.knows("bob", "one too many") {
			t.Error("the refused device has a cursor")
		}
		devices[1].hangUp()
		devices[2].hangUp()
		time.Sleep(30 * time.Minute)
		refusedNow("one too many, still")
		time.Sleep(35 * time.Minute)

		w.device("bob", "new")
		if w.store.knows("bob", "device 1") || !w.store.knows("bob", "device 0") || !w.store.knows("bob", "device 2") {
			t.Error("the one to be forgotten is the one that was not seen for longest, of those that are away")
		}
		if got := len(w.userInfo("bob").Devices); got != protocol.MaxDevices {
			t.Errorf("bob has %d devices", got)
		}
	})
}

func TestCursorsSurviveARestart(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 5)
		w.device("bob", "phone").ack(2)
		w.device("bob", "tablet").ack(5)
		w.device("bob", "").ack(1)

		w.restart()

		for device, want := range map[string][]uint64{"phone": upTo(3, 5), "tablet": nil, "": upTo(2, 5)} {
			if got := w.device("bob", device).seqs(); !slices.Equal(got, want) {
				t.Errorf("after the restart %q got %v, want %v", device, got, want)
			}
		}
		w.mail("bob", 1)
		if got := w.store.entries("bob"); got[5].Message.Seq != 6 {
			t.Errorf("the next number is %d", got[5].Message.Seq)
		}
	})
}

func TestGapIsToldWhenADeviceConnects(t *testing.T) {
	inBubble(t, Config{IdleAfter: time.Second, PingInterval: time.Hour}, func(w *world) {
		w.mail("bob", 10)
		for _, device := range []string{"phone", "tablet", ""} {
			bob := w.device("bob", device)
			bob.ack(2)
			bob.hangUp()
		}
		time.Sleep(time.Minute)
		w.store.trim("bob", 7)

		phone := w.device("bob", "phone")
		if gap := phone.welcome().Gap; gap.GetFirst() != 3 || gap.GetLast() != 7 || phone.welcome().GetCursor() != 7 {
			t.Errorf("the device was told %v", phone.welcome())
		}
		one := uint64(1)
		tablet := w.v1("bob", &protocol.Connect{Device: "tablet", Cursor: &one})
		if gap := tablet.welcome().Gap; gap.GetFirst() != 2 || gap.GetLast() != 7 {
			t.Errorf("the device that says 1 was told %v", tablet.welcome())
		}
		seed := w.connect("bob")
		synctest.Wait()
		if got := seed.codes(); !slices.Equal(got, []protocol.ErrorCode{protocol.CodeGap}) {
			t.Errorf("the session of the seed was told %v", got)
		}
		for _, p := range []*peer{phone, tablet, seed} {
			if got := p.seqs(); !slices.Equal(got, upTo(8, 10)) {
				t.Errorf("a device got %v", got)
			}
		}
	})
}

func TestGapIsToldInMidSession(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 40)
		bob := w.v1("bob", &protocol.Connect{Device: "phone", Window: 2})
		w.store.trim("bob", 30)

		bob.ack(2)

		if got := bob.codes(); !slices.Equal(got, []protocol.ErrorCode{protocol.CodeGap}) {
			t.Errorf("bob was told %v", got)
		}
		if got := bob.seqs(); !slices.Equal(got, []uint64{1, 2, 31, 32}) {
			t.Errorf("bob got %v", got)
		}
		arrived := func() (kinds []string) {
			for _, a := range bob.conn.arrived {
				kinds = append(kinds, fmt.Sprintf("%T", a))
			}
			return kinds
		}()
		if at := slices.Index(arrived, fmt.Sprintf("%T", &protocol.Error{})); at != len(arrived)-3 {
			t.Errorf("the gap is told in place %d of %v", at, arrived)
		}
		bob.ack(32)
		if got := bob.seqs(); !slices.Equal(got[4:], upTo(33, 34)) || len(bob.codes()) != 1 {
			t.Errorf("behind the gap bob got %v, and was told %v", got, bob.codes())
		}
	})
}

func TestGapUpToTheEndIsToldAndWhatComesNextIsDelivered(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 5)
		bob := w.v1("bob", &protocol.Connect{Device: "phone", Window: 1})
		w.store.trim("bob", 5)
		bob.ack(1)
		if got := bob.codes(); !slices.Equal(got, []protocol.ErrorCode{protocol.CodeGap}) {
			t.Errorf("bob was told %v", got)
		}
		w.mail("bob", 1)
		if got := bob.seqs(); !slices.Equal(got, []uint64{1, 6}) {
			t.Errorf("bob got %v", got)
		}
	})
}

// Or else it would be told again at every reconnect until another message comes.
func TestGapCanBeAcknowledged(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.mail("bob", 5)
		bob := w.v1("bob", &protocol.Connect{Device: "phone", Window: 1})
		w.store.trim("bob", 5)
		bob.ack(1)
		bob.ack(5)
		if got := w.store.cursor("bob", "phone"); got != 5 {
			t.Errorf("the cursor is %d, want 5; bob was told %v", got, bob.codes())
		}
	})
}
