package protocol

import "strings"

// TraceparentBytes is the length of a traceparent: 00-, 32 digits of the trace, 16 of the
// span, and 2 of flags (W3C Trace Context, 3.2).
const TraceparentBytes = 55

// IsTraceparent reports whether s names a span as version 00 of W3C Trace Context writes
// it. There is no other version; what is none is to be taken for no traceparent at all,
// never for a fault of the message.
func IsTraceparent[text string | []byte](s text) bool {
	if len(s) != TraceparentBytes || s[0] != '0' || s[1] != '0' || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	trace, known := hexadecimal(s, 3, 35)
	span, alsoKnown := hexadecimal(s, 36, 52)
	_, flagged := hexadecimal(s, 53, 55)
	return known && alsoKnown && flagged && trace && span
}

// Sampled reports whether the trace of a traceparent is one that is recorded where it
// began: the lowest of its flags says so. What is no traceparent is not.
func Sampled(traceparent string) bool {
	if len(traceparent) != TraceparentBytes {
		return false
	}
	return strings.IndexByte("13579bdf", traceparent[TraceparentBytes-1]) >= 0
}

// hexadecimal reports whether s[from:to] is lower-case hexadecimal digits, and whether one of
// them is not 0.
func hexadecimal[text string | []byte](s text, from, to int) (some, ok bool) {
	for i := from; i < to; i++ {
		switch c := s[i]; {
		case c == '0':
		case '1' <= c && c <= '9', 'a' <= c && c <= 'f':
			some = true
		default:
			return false, false
		}
	}
	return some, true
}

// traceparent is the traceparent of the message; empty if there is none, or something else
// in its place.
func (d *decoder) traceparent() string {
	v := &d.values[fieldTraceparent]
	if v.shape == shapeAbsent || d.err != nil {
		return ""
	}
	var s []byte
	var buffer [TraceparentBytes]byte
	switch v.shape {
	case shapeString:
		s = d.inside(v)
	case shapeEscaped:
		s = short(buffer[:0], d.inside(v))
	case shapeBytes:
		if d.utf8(fieldTraceparent) {
			s = d.bytes(v)
		}
	default:
		d.wrongShape(fieldTraceparent, "a string")
	}
	if !IsTraceparent(s) {
		return ""
	}
	return string(s)
}
