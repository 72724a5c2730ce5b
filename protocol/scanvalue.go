package protocol

import "unicode/utf8"

// scanValue reads any value of an array or object on the given level of nesting,
// and says what it is.
func scanValue(b []byte, i, depth int) (int, shape, string) {
	switch c := at(b, i); c {
	case '"':
		return scanString(b, i)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		end, fault := scanNumber(b, i)
		return end, shapeNumber, fault
	case '{', '[':
		if depth == MaxDepth {
			return i, shapeAbsent, "nested too deeply"
		}
		if c == '{' {
			end, fault := scanObject(b, i, depth+1, nil)
			return end, shapeObject, fault
		}
		end, fault := scanArray(b, i, depth+1)
		return end, shapeArray, fault
	case 't':
		end, fault := scanLiteral(b, i, "true")
		return end, shapeBool, fault
	case 'f':
		end, fault := scanLiteral(b, i, "false")
		return end, shapeBool, fault
	case 'n':
		end, fault := scanLiteral(b, i, "null")
		return end, shapeNull, fault
	}
	return i, shapeAbsent, "no value where one should be"
}

// scanString reads a string from its first quote to behind its last.
func scanString(b []byte, i int) (int, shape, string) {
	start := i + 1
	i, ascii := plain(b, start)
	if ascii && at(b, i) == '"' {
		return i + 1, shapeString, ""
	}
	is := shapeString
	for at(b, i) == '\\' {
		n := escapeLen(b[i:])
		if n == 0 {
			return i, is, "an escape that JSON does not have"
		}
		is = shapeEscaped
		end, more := plain(b, i+n)
		i, ascii = end, ascii && more
	}
	switch {
	case i == len(b):
		return i, is, "a string that does not end"
	case b[i] != '"':
		return i, is, "a control character in a string"
	case !ascii && !utf8.Valid(b[start:i]):
		return start, is, "a string that is not valid UTF-8"
	}
	return i + 1, is, ""
}

// escapeLen is the length of the escape that b begins with, 0 if it is none.
func escapeLen(b []byte) int {
	switch at(b, 1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := codeUnit(b); ok {
			return 6
		}
	}
	return 0
}

// scanNumber reads a number: its digits without a needless zero before them,
// a fraction and an exponent.
func scanNumber(b []byte, i int) (int, string) {
	const fault = "a number that JSON does not have"
	if b[i] == '-' {
		i++
	}
	switch c := at(b, i); {
	case c == '0':
		i++
	case isDigit(c):
		i = skipDigits(b, i)
	default:
		return i, fault
	}
	if at(b, i) == '.' {
		if i++; !isDigit(at(b, i)) {
			return i, fault
		}
		i = skipDigits(b, i)
	}
	if c := at(b, i); c == 'e' || c == 'E' {
		i++
		if c := at(b, i); c == '+' || c == '-' {
			i++
		}
		if !isDigit(at(b, i)) {
			return i, fault
		}
		i = skipDigits(b, i)
	}
	return i, ""
}

// skipDigits is the index of the first byte from i on that is no digit.
func skipDigits(b []byte, i int) int {
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// scanLiteral reads one of JSON's three words.
func scanLiteral(b []byte, i int, word string) (int, string) {
	if end := i + len(word); end <= len(b) && string(b[i:end]) == word {
		return end, ""
	}
	return i, "a word that JSON does not have"
}
