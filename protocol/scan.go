package protocol

// A value is where a field's value lies in a frame, and what it is.
type value struct {
	start, end uint32 // Its bytes are frame[start:end]; a JSON string's have its quotes.
	shape      shape
}

// A shape is what a value is: which JSON, or which of protobuf's wire types.
type shape uint8

const (
	shapeAbsent shape = iota
	shapeNull
	shapeBool
	shapeNumber
	shapeString  // Its bytes stand for themselves.
	shapeEscaped // A string with an escape among its bytes.
	shapeObject
	shapeArray
	shapeVarint
	shapeBytes
	shapeFixed
	shapeRepeated // The field is there more than once, and the value is none of them.
)

// String is what a value of this shape is, for reasons.
func (s shape) String() string {
	return [...]string{
		"absent", "null", "a boolean", "a number", "a string", "a string", "an object", "an array",
		"a varint", "bytes", "a number of fixed size", "there more than once",
	}[s]
}

// members are the values of an object's known fields. They are small enough for
// the stack, and a frame is short enough for their indexes.
type members [fieldUnknown]value

// The scan functions read what begins at b[i] and return the index behind it.
// Where b is not as it should be they return the index of the trouble, and the
// trouble in words. They accept the JSON of RFC 8259, in valid UTF-8 and no
// deeper than MaxDepth, allocate nothing and take time linear in len(b).

// scanFrame reads b, which has to be one object and nothing else, and notes the
// values of its known fields in m.
func scanFrame(b []byte, m *members) (int, string) {
	c, i := next(b, 0)
	if c != '{' {
		return i, "not an object"
	}
	i, fault := scanObject(b, i, 1, m)
	if fault != "" {
		return i, fault
	}
	if _, i = next(b, i); i < len(b) {
		return i, "something behind the object"
	}
	return i, ""
}

// scanObject reads an object on the given level of nesting and notes the values
// of its known fields in m, or none if m is nil.
func scanObject(b []byte, i, depth int, m *members) (int, string) {
	c, i := next(b, i+1)
	if c == '}' {
		return i + 1, ""
	}
	for {
		if c != '"' {
			return i, "no key where one should be"
		}
		keyEnd, keyShape, fault := scanString(b, i)
		if fault != "" {
			return keyEnd, fault
		}
		key := b[i+1 : keyEnd-1]
		if c, i = next(b, keyEnd); c != ':' {
			return i, "no colon behind a key"
		}
		_, start := next(b, i+1)
		end, is, fault := scanValue(b, start, depth)
		if fault != "" {
			return end, fault
		}
		if m != nil {
			if f := fieldOf(key, keyShape); f != fieldUnknown {
				if m[f].shape != shapeAbsent {
					is = shapeRepeated
				}
				m[f] = value{uint32(start), uint32(end), is}
			}
		}
		switch c, i = next(b, end); c {
		case ',':
			c, i = next(b, i+1)
		case '}':
			return i + 1, ""
		default:
			return i, "an object that does not go on with a comma or end"
		}
	}
}

// scanArray reads an array on the given level of nesting.
func scanArray(b []byte, i, depth int) (int, string) {
	c, i := next(b, i+1)
	if c == ']' {
		return i + 1, ""
	}
	for {
		end, _, fault := scanValue(b, i, depth)
		if fault != "" {
			return end, fault
		}
		switch c, i = next(b, end); c {
		case ',':
			_, i = next(b, i+1)
		case ']':
			return i + 1, ""
		default:
			return i, "an array that does not go on with a comma or end"
		}
	}
}

// next is the first byte from b[i] on that is not white space, and its index;
// behind the end it is 0, which JSON has nowhere outside of strings.
func next(b []byte, i int) (byte, int) {
	if i < len(b) && b[i] > ' ' {
		return b[i], i
	}
	return nextBehindSpace(b, i)
}

func nextBehindSpace(b []byte, i int) (byte, int) {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return at(b, i), i
}

// at is b[i], or 0 behind the end.
func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}
