package protocol

import "unicode/utf8"

// appendString appends s as a JSON string. It escapes what JSON makes it: the
// quote, the backslash and the control characters below U+0020, by their short
// forms where they have one. A byte that is not UTF-8 becomes U+FFFD.
//
// U+2028 and U+2029 stay as they are: since ECMAScript 2019 they may stand in a
// string, and frames are parsed, not run. So do < > and &: what a page shows it
// has to escape for the place where it shows it.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for {
		end, ascii := plain(s, 0)
		if ascii {
			dst = append(dst, s[:end]...)
		} else {
			dst = appendValid(dst, s[:end])
		}
		if end == len(s) {
			return append(dst, '"')
		}
		dst = appendEscape(dst, s[end])
		s = s[end+1:]
	}
}

// appendValid appends s with U+FFFD for each byte that is not UTF-8.
func appendValid(dst []byte, s string) []byte {
	if utf8.ValidString(s) {
		return append(dst, s...)
	}
	for _, r := range s {
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// appendEscape appends the escape of a character that needs one.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
}

// escapedLen is the number of bytes between the quotes of s as a JSON string. A short
// one is not looked at: the number is then the most that it can be.
func escapedLen[T text](s T) int {
	if 6*len(s) <= MaxContentBytes {
		return 6 * len(s)
	}
	n := len(s)
	for i := 0; ; i++ {
		i, _ = plain(s, i)
		if i == len(s) {
			return n
		}
		switch s[i] {
		case '"', '\\', '\b', '\f', '\n', '\r', '\t':
			n++
		default:
			n += 5
		}
	}
}
