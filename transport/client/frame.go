package client

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"sync"
)

// A client's frame begins with 2 bytes, up to 8 more for its length, and 4 of mask
// (RFC 6455, 5.2). beginFrame makes room for the shortest header; what is appended
// up to finishFrame is the payload.
func beginFrame(b []byte) []byte { return append(b, 0, 0, 0, 0, 0, 0) }

const (
	shortHeader = 6
	maskBytes   = 4
)

// finishFrame writes the header of the frame whose payload begins at start, and
// masks the payload.
func finishFrame(b []byte, start, opcode int) []byte {
	length := len(b) - start
	frame := start - shortHeader
	more := 0 // bytes of length beyond the first
	switch {
	case length >= 1<<16:
		more = 8
	case length > 125:
		more = 2
	}
	if more > 0 {
		b = append(b, make([]byte, more)...)
		copy(b[start+more:], b[start:start+length])
	}
	b[frame] = 0x80 | byte(opcode)
	switch more {
	case 0:
		b[frame+1] = 0x80 | byte(length)
	case 2:
		b[frame+1] = 0x80 | 126
		binary.BigEndian.PutUint16(b[frame+2:], uint16(length))
	default:
		b[frame+1] = 0x80 | 127
		binary.BigEndian.PutUint64(b[frame+2:], uint64(length))
	}
	// The runtime's generator is ChaCha8 with a seed of the system's: what a page
	// or a peer has seen of it does not tell what comes (RFC 6455, 10.3).
	mask := rand.Uint32()
	binary.LittleEndian.PutUint32(b[start+more-maskBytes:], mask)
	applyMask(b[start+more:], mask)
	return b
}

// applyMask masks a payload in place. The mask's lowest byte is its first.
func applyMask(b []byte, mask uint32) {
	wide := uint64(mask)<<32 | uint64(mask)
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(mask >> (8 * (i & 3)))
	}
}

// A buffer holds frames on their way out, or one that comes in. Buffers come from
// a pool, so that a connection at rest has none.
type buffer struct{ b []byte }

// keepBuffer is the largest buffer that goes back to the pool, in bytes.
const keepBuffer = 256 << 10

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 2<<10)} }}

func newBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) free() {
	if cap(b.b) <= keepBuffer {
		b.b = b.b[:0]
		buffers.Put(b)
	}
}

// ReadFrom implements io.ReaderFrom. The reader has its own limit.
func (b *buffer) ReadFrom(r io.Reader) (int64, error) {
	before := len(b.b)
	for {
		if len(b.b) == cap(b.b) {
			b.b = append(b.b, 0)[:len(b.b)]
		}
		n, err := r.Read(b.b[len(b.b):cap(b.b)])
		b.b = b.b[:len(b.b)+n]
		if err == io.EOF {
			return int64(len(b.b) - before), nil
		}
		if err != nil {
			return int64(len(b.b) - before), err
		}
	}
}
