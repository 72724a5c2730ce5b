package protocol

import (
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// present reports whether the frame has a value for f other than null.
func (d *decoder) present(f field) bool {
	return d.values[f].shape > shapeNull
}

// require refuses a frame without a value for f; why says what f is needed for.
func (d *decoder) require(f field, why string) {
	if !d.present(f) {
		d.refuse(CodeInvalidMessage, f, "missing; "+why)
	}
}

// requireKey is require for a field that may be 0 or empty: protobuf does not
// write it then, and its frame is not refused.
func (d *decoder) requireKey(f field, why string) {
	if !d.binary {
		d.require(f, why)
	}
}

// wrongShape refuses the value of f, which is not what is wanted. A field that
// is absent or null is never wrong.
func (d *decoder) wrongShape(f field, want string) {
	switch is := d.values[f].shape; is {
	case shapeAbsent, shapeNull:
	case shapeRepeated:
		d.refuse(CodeInvalidMessage, f, is.String())
	case shapeVarint, shapeBytes, shapeFixed:
		d.refuse(CodeInvalidMessage, f, is.String()+"; callboard.proto has another type")
	default:
		d.refuse(CodeInvalidMessage, f, is.String()+"; must be "+want)
	}
}

// bytes is the value as it stands in the frame.
func (d *decoder) bytes(v *value) []byte { return d.frame[v.start:v.end] }

// inside is what stands between the quotes of a string.
func (d *decoder) inside(v *value) []byte { return d.frame[v.start+1 : v.end-1] }

// text is the string in f; empty if there is none. It is old itself, if old is
// that string and the frame has it without escapes.
func (d *decoder) text(f field, old string) string {
	if d.err != nil {
		return "" // A text can be long, and nobody will see this one.
	}
	switch v := &d.values[f]; v.shape {
	case shapeString:
		return keep(old, d.inside(v))
	case shapeEscaped:
		return unescaped(d.inside(v))
	case shapeBytes:
		if d.utf8(f) {
			return keep(old, d.bytes(v))
		}
		return ""
	}
	d.wrongShape(f, "a string")
	return ""
}

// utf8 reports whether the bytes in f are UTF-8, and refuses them if not. A JSON
// frame is looked at as a whole.
func (d *decoder) utf8(f field) bool {
	ok := utf8.Valid(d.bytes(&d.values[f]))
	if !ok {
		d.refuse(CodeInvalidUTF8, f, notUTF8)
	}
	return ok
}

// fitJSON refuses the text in f if JSON could not carry it: it may be for somebody
// who reads JSON. In a JSON frame the frame's own limit has seen to it.
func (d *decoder) fitJSON(f field) {
	if v := &d.values[f]; v.shape == shapeBytes && escapedLen(d.bytes(v)) > MaxContentBytes {
		d.refuse(CodeTooLarge, f, "too long; as JSON writes it, it may have 65536 bytes")
	}
}

// notUint64 is the fault of a number where only a uint64 will do.
const notUint64 = "not a whole number from 0 to 18446744073709551615 in plain digits"

// uint64 is the number in f, written in plain digits: 1.0 and 1e3 are none. It
// is 0 if there is none.
func (d *decoder) uint64(f field) uint64 {
	if d.values[f].shape == shapeVarint {
		return d.varint(f)
	}
	digits, ok := d.number(f)
	if !ok {
		return 0
	}
	n, ok := parseUint64(digits)
	if !ok {
		d.refuse(CodeInvalidMessage, f, notUint64)
	}
	return n
}

// uint32 is like uint64, for smaller numbers.
func (d *decoder) uint32(f field) uint32 {
	n, ok := uint64(0), true
	if d.values[f].shape == shapeVarint {
		n = d.varint(f)
	} else if digits, is := d.number(f); is {
		n, ok = parseUint64(digits)
	}
	if !ok || n > math.MaxUint32 {
		d.refuse(CodeInvalidMessage, f, "not a whole number from 0 to 4294967295 in plain digits")
	}
	return uint32(n)
}

// int64 is like uint64, for numbers that may have a sign.
func (d *decoder) int64(f field) int64 {
	if d.values[f].shape == shapeVarint {
		return int64(d.varint(f))
	}
	digits, ok := d.number(f)
	if !ok {
		return 0
	}
	largest, negative := uint64(math.MaxInt64), digits[0] == '-'
	if negative {
		largest, digits = largest+1, digits[1:]
	}
	n, ok := parseUint64(digits)
	if !ok || n > largest {
		d.refuse(CodeInvalidMessage, f, "not a whole number of 64 bits in plain digits")
	}
	if negative {
		return -int64(n)
	}
	return int64(n)
}

// varint is the number in f, which protobuf wrote and the scan has checked.
func (d *decoder) varint(f field) uint64 {
	n, _ := protowire.ConsumeVarint(d.bytes(&d.values[f]))
	return n
}

// number is the number in f as the frame has it; false if there is none.
func (d *decoder) number(f field) ([]byte, bool) {
	v := &d.values[f]
	if v.shape != shapeNumber {
		d.wrongShape(f, "a number")
		return nil, false
	}
	return d.bytes(v), true
}
