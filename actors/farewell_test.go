package actors

import (
	"testing"
	"testing/synctest"

	"callboard/protocol"
)

// Who sends and closes at once is still told what was refused.
func TestRefusalIsToldBeforeTheCloseFrame(t *testing.T) {
	inBubble(t, Config{MaxInFlight: 8, MaxInboxEntries: 1}, func(w *world) {
		alice := w.connect("alice")
		for range 6 { // the first is kept
			alice.send("nobody", "is there anybody?")
		}
		if !alice.link.Close(protocol.CloseNormal, "") {
			t.Error("the session had ended before its CLOSE")
		}
		synctest.Wait()

		if got := len(alice.codes()); got != 5 {
			t.Errorf("%d refusals were told before the close frame, want 5", got)
		}
		if frame, closed := alice.conn.closeFrame(); !closed || frame.Code != protocol.CloseNormal {
			t.Errorf("close frame %v, %v; want 1000", frame, closed)
		}
	})
}
