package actors

import (
	"strings"
	"testing"
	"testing/synctest"

	"callboard/protocol"
)

// A session that has much to write at once offers it to the network on the way,
// and does not take its own haste for a slow peer.
func TestLongBurstIsOfferedToTheNetworkEarly(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		const messages, size = 50, 60 << 10 // three times what may wait
		alice, bob := w.connect("alice"), w.connect("bob")
		most, held := 0, make(chan struct{})
		bob.conn.onWrite = func(protocol.Message) {
			<-held // until all of it is in the mailbox
			bob.conn.mu.Lock()
			defer bob.conn.mu.Unlock()
			most = max(most, bob.conn.bytes)
		}
		text := strings.Repeat("x", size)
		for range messages {
			alice.send("bob", text)
		}
		synctest.Wait()
		close(held)
		synctest.Wait()

		if got := len(bob.conn.contents()); got != messages {
			t.Errorf("bob got %d messages, want %d", got, messages)
		}
		if frame, closed := bob.conn.closeFrame(); closed {
			t.Errorf("bob was closed: %v", frame)
		}
		if limit := flushEarly + size; most > limit {
			t.Errorf("%d bytes waited before the network was offered them, want at most %d", most, limit)
		}
	})
}
