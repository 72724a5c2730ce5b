package protocol

import "math/bits"

// One bit or one byte in each of the eight bytes of a word.
const (
	eachByte = 0x0101010101010101
	eachHigh = 0x80 * eachByte
)

// plain finds the end of the part of s, from i on, that stands for itself in a
// JSON string: the index of the first quote, backslash or control character, or
// len(s). The second result is true if all of the part is ASCII.
//
// It looks at eight bytes at once: most text has nothing to escape, and this loop
// is what a long text costs.
func plain[T text](s T, i int) (end int, ascii bool) {
	var seen uint64
	for ; i+8 <= len(s); i += 8 {
		w := word(s, i)
		if ends := endsPlain(w); ends != 0 {
			seen |= w & (ends - 1) &^ ends // The bits below the lowest of ends.
			return i + bits.TrailingZeros64(ends)/8, seen&eachHigh == 0
		}
		seen |= w
	}
	for ; i < len(s); i++ {
		c := s[i]
		if c == '"' || c == '\\' || c < ' ' {
			break
		}
		seen |= uint64(c)
	}
	return i, seen&eachHigh == 0
}

// word is the eight bytes of s from i on, the first the lowest. The compiler
// makes one load of it.
func word[T text](s T, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// endsPlain has the high bit of each byte of w set that is a quote, a backslash
// or a control character. Only the lowest set bit is to be trusted: the borrow
// of a subtraction that hit may mark the next byte too. (Sean Eron Anderson, Bit
// Twiddling Hacks, "Determine if a word has a byte less than n".)
func endsPlain(w uint64) uint64 {
	quote := (w ^ '"'*eachByte) - eachByte
	backslash := (w ^ '\\'*eachByte) - eachByte
	control := w - ' '*eachByte
	return (quote | backslash | control) &^ w & eachHigh
}
