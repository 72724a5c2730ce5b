package transport

import (
	"bytes"
	"context"
	"testing"

	"callboard/actors"
	"callboard/actors/inbox/memory"
	"callboard/protocol"
)

// nowhere is an actors.Conn whose peer takes everything at once.
type nowhere struct{}

func (nowhere) Write(protocol.Message) int { return 0 }
func (nowhere) Control(actors.Control) int { return 0 }
func (nowhere) Flush(l *actors.Link) bool  { return true }
func (nowhere) Close()                     {}
func (s *socket) held() (n int)            { return cap(s.rest) + cap(s.message) }

// FuzzReader hands any bytes to the reader in any dialect, whole and in two pieces: it
// never panics, comes to the same end both times, and holds no more than a frame and
// the message that it belongs to.
func FuzzReader(f *testing.F) {
	for _, v := range violations {
		f.Add(v.bytes, uint16(1), false, false)
	}
	f.Add(sequence(clientFrame(opText, send("2", "x")), clientFrame(opPing, "p")), uint16(9), false, false)
	f.Add(sequence(fragment(false, opText, "{"), fragment(true, opContinuation, "}"), clientFrame(opClose, "")), uint16(3), false, false)
	f.Add(sequence(clientFrame(opText, `{"type":0}`), clientFrame(opText, `{"type":5,"seq":1}`)), uint16(3), true, false)
	f.Add(sequence(clientFrame(opBinary, "\x0a\x00"), clientFrame(opBinary, "\x0a\x00"), clientFrame(opBinary, "\x22\x00")), uint16(20), true, true)
	system, err := actors.New(actors.Config{MaxSessionsPerUser: 1 << 20, Store: memory.New(memory.Config{})}) // the last ones may still be going
	must(f, err)
	f.Cleanup(func() { must(f, system.Stop(context.Background())) })
	f.Fuzz(func(t *testing.T, b []byte, at uint16, v1, binary bool) {
		dialect, codec := actors.Seed, protocol.Seed
		if v1 {
			dialect = actors.V1
		}
		if v1 && binary {
			codec = protocol.Proto
		}
		split := min(int(at), len(b))
		whole := reads(t, system, dialect, codec, b)
		pieces := reads(t, system, dialect, codec, b[:split], b[split:])
		if whole.greeted != pieces.greeted || whole.closing != pieces.closing || whole.lost != pieces.lost || whole.opcode != pieces.opcode ||
			!bytes.Equal(whole.message, pieces.message) || !whole.lost && !bytes.Equal(whole.rest, pieces.rest) {
			t.Errorf("% x: whole %+v, in pieces %+v", b[:min(len(b), 64)], whole, pieces)
		}
		if most := 4 * (len(b) + 64); whole.held() > most || pieces.held() > most {
			t.Errorf("%d bytes: %d and %d are held", len(b), whole.held(), pieces.held())
		}
	})
}

// reads has a new session's reader work the pieces off.
func reads(t *testing.T, system *actors.System, dialect actors.Dialect, codec protocol.Codec, pieces ...[]byte) *socket {
	t.Helper()
	link, err := system.Connect(t.Context(), "1", dialect, nowhere{})
	must(t, err)
	defer link.Gone(0)
	s := &socket{link: link, codec: codec, server: new(Server), traffic: new(traffic), maxFrame: protocol.MaxFrameBytes}
	for _, piece := range pieces {
		if len(piece) > 0 && !s.received(bytes.Clone(piece)) {
			break
		}
	}
	return s
}
