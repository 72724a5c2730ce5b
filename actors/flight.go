package actors

import "callboard/protocol"

// flight is what is on its way to a session, oldest first. It is a ring, so that
// messages that come and go make little garbage; an empty one has none.
type flight struct {
	ring  []flying // its length is a power of two
	first uint32   // of the oldest, in ring
	n     uint32
	bytes int
}

// flying is a message on its way. The low half of its number tells it from all
// others: a flight spans far less than the half of what that counts.
type flying struct{ seq, size uint32 }

// leastFlight is the room that a flight begins with: 256 bytes.
const leastFlight = 32

// room is whether one more message may be on its way: their number is bounded and
// so are their bytes, but one always may.
func (f *flight) room(window int) bool {
	return f.n == 0 || int(f.n) < window && f.bytes < protocol.MaxWindowBytes
}

func (f *flight) push(seq uint64, size int) {
	if int(f.n) == len(f.ring) {
		f.grow()
	}
	f.ring[(f.first+f.n)&f.mask()] = flying{uint32(seq), uint32(size)}
	f.n++
	f.bytes += size
}

func (f *flight) grow() {
	larger := make([]flying, max(leastFlight, 2*len(f.ring)))
	for i := range f.n {
		larger[i] = f.ring[(f.first+i)&f.mask()]
	}
	f.ring, f.first = larger, 0
}

// arrived takes out everything up to seq.
func (f *flight) arrived(seq uint64) {
	for f.n > 0 {
		oldest := f.ring[f.first&f.mask()]
		if int32(oldest.seq-uint32(seq)) > 0 {
			return
		}
		f.bytes -= int(oldest.size)
		f.first++
		f.n--
	}
	f.ring = nil
}

func (f *flight) mask() uint32 { return uint32(len(f.ring)) - 1 }
