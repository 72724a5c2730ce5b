package client

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// Frames of every form of header, one behind the other in one buffer, read as
// RFC 6455, 5.2 has them.
func TestFramesHaveTheirShortestHeader(t *testing.T) {
	var frames []byte
	var payloads [][]byte
	for _, length := range []int{0, 1, 7, 8, 125, 126, 127, 1<<16 - 1, 1 << 16, 1<<16 + 9} {
		payload := bytes.Repeat([]byte("callboard"), length/9+1)[:length]
		payloads = append(payloads, payload)
		b := append(beginFrame(frames), payload...)
		frames = finishFrame(b, len(b)-length, 2)
	}
	for _, want := range payloads {
		if frames[0] != 0x82 || frames[1]&0x80 == 0 {
			t.Fatalf("a frame of %d bytes begins with %x", len(want), frames[:2])
		}
		length, header := int(frames[1]&0x7f), 2
		switch length {
		case 126:
			length, header = int(binary.BigEndian.Uint16(frames[2:])), 4
			if length < 126 {
				t.Errorf("%d bytes have a long header", length)
			}
		case 127:
			length, header = int(binary.BigEndian.Uint64(frames[2:])), 10
			if length < 1<<16 {
				t.Errorf("%d bytes have a long header", length)
			}
		}
		mask, payload := frames[header:header+4], frames[header+4:header+4+length]
		for i := range payload {
			payload[i] ^= mask[i%4]
		}
		if !bytes.Equal(payload, want) {
			t.Fatalf("%d bytes are %d others", len(want), length)
		}
		frames = frames[header+4+length:]
	}
	if len(frames) > 0 {
		t.Errorf("%d bytes too many", len(frames))
	}
}
