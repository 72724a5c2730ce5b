package protocol

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// unescaped is what the inside of a string that has been scanned stands for,
// in one allocation of just its size. Making short ones on the stack saves going
// through them to know the size.
func unescaped(s []byte) string {
	var buffer [256]byte
	if len(s) <= len(buffer) {
		return string(appendUnescaped(buffer[:0], s))
	}
	var b strings.Builder
	b.Grow(unescapedLen(s))
	for u := (unescaper{rest: s}); u.more(); {
		b.Write(u.next())
	}
	return b.String()
}

// appendUnescaped appends to dst what s stands for.
func appendUnescaped(dst, s []byte) []byte {
	for u := (unescaper{rest: s}); u.more(); {
		dst = append(dst, u.next()...)
	}
	return dst
}

// unescapedLen is the number of bytes that s stands for.
func unescapedLen(s []byte) int {
	n := 0
	for u := (unescaper{rest: s}); u.more(); {
		n += len(u.next())
	}
	return n
}

// An unescaper goes through the inside of a string that has been scanned, so
// that all of its escapes are whole, in pieces: what stands for itself, and one
// escape at a time.
type unescaper struct {
	rest   []byte
	buffer [utf8.UTFMax]byte
}

func (u *unescaper) more() bool { return len(u.rest) > 0 }

// next is the next piece, to be used before the one after it.
func (u *unescaper) next() []byte {
	if u.rest[0] != '\\' {
		end, _ := plain(u.rest, 0)
		piece := u.rest[:end]
		u.rest = u.rest[end:]
		return piece
	}
	r, n := escape(u.rest)
	u.rest = u.rest[n:]
	return utf8.AppendRune(u.buffer[:0], r)
}

// escape is the character of the escape that s begins with, and the length of
// the escape: of both halves, if it is a surrogate pair. A half without its
// other stands for no character and becomes U+FFFD.
func escape(s []byte) (rune, int) {
	switch s[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r, _ := codeUnit(s)
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if low, ok := codeUnit(s[6:]); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, 12
			}
		}
		return utf8.RuneError, 6
	}
	return rune(s[1]), 2
}

// codeUnit is the UTF-16 code unit of the escape \uXXXX that s begins with;
// false if it begins with something else.
func codeUnit(s []byte) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range s[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
