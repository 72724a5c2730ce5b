package protocol

import (
	"errors"
	"math"
	"unicode/utf8"
)

// A UserID names a user, and so an actor and an inbox. A value made by
// ParseUserID is valid; equal ids are equal strings, and "007" is not "7".
type UserID string

// ParseUserID accepts 1 to MaxUserIDBytes bytes of ASCII letters, digits and
// the six signs . _ - : @ +. So an id needs no escaping in a path, in a log line
// or in a key of the inbox. The error says what is wrong and does not repeat s.
func ParseUserID(s string) (UserID, error) {
	if fault := userIDFault(s); fault != "" {
		return "", errors.New("user id: " + fault)
	}
	return UserID(s), nil
}

// System is the sender of messages that no user has sent: the service's own and its
// operators'. Nobody connects as it, so nobody can pass for it. It is a receiver like any
// other, whose inbox only operators read.
const System UserID = "system"

// ParseClientID accepts the id that a client connects as: what ParseUserID does, but for System.
func ParseClientID(s string) (UserID, error) {
	if s == string(System) {
		return "", errors.New("user id: system is the sender of the service's own messages, and nobody connects as it; take another id")
	}
	return ParseUserID(s)
}

// Numeric reports whether the id is the decimal form of a uint64, without
// leading zeros. Such an id travels as a number in JSON, as it did in the seed.
func (id UserID) Numeric() bool { return isUint64(string(id)) }

// ParseMessageID accepts 1 to MaxMessageIDBytes bytes of valid UTF-8 without
// control characters, and returns s. The id is the sender's own: together with
// the sender it names a message for ever. The error says what is wrong and does
// not repeat s.
func ParseMessageID(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", errors.New("message id: " + notUTF8)
	}
	if fault := messageIDFault(s); fault != "" {
		return "", errors.New("message id: " + fault)
	}
	return s, nil
}

// ParseDevice accepts the name of a device, up to MaxDeviceBytes bytes of valid UTF-8
// without control characters, and returns s. The empty name is that of the device
// that all sessions without a name share. The error says what is wrong and does not
// repeat s.
func ParseDevice(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", errors.New("device: " + notUTF8)
	}
	if fault := deviceFault(s); fault != "" {
		return "", errors.New("device: " + fault)
	}
	return s, nil
}

// text is what a frame holds and what a program holds: the rules for ids are
// the same for both, and looking at a frame allocates nothing.
type text interface{ ~string | ~[]byte }

// userIDFault says why id is no user id, or nothing if it is one.
func userIDFault[T text](id T) string {
	switch {
	case len(id) == 0:
		return "empty; an id has 1 to 64 bytes"
	case len(id) > MaxUserIDBytes:
		return "too long; an id has 1 to 64 bytes"
	}
	for i := range len(id) {
		if !isUserIDByte(id[i]) {
			return "a character that ids do not use; they use letters, digits and . _ - : @ +"
		}
	}
	return ""
}

func isUserIDByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '.', '_', '-', ':', '@', '+':
		return true
	}
	return false
}

// messageIDFault says why id is no message id, or nothing if it is one. The
// caller has seen to it that id is valid UTF-8.
func messageIDFault[T text](id T) string {
	switch {
	case len(id) == 0:
		return "empty; leave it out or give it 1 to 64 bytes"
	case len(id) > MaxMessageIDBytes:
		return "too long; an id has 1 to 64 bytes"
	}
	return controlFault(id)
}

// deviceFault says why name names no device, or nothing if it does. The caller has
// seen to it that name is valid UTF-8.
func deviceFault[T text](name T) string {
	if len(name) > MaxDeviceBytes {
		return "too long; a device's name has at most 64 bytes"
	}
	return controlFault(name)
}

// controlFault says whether s has a control character.
func controlFault[T text](s T) string {
	for i := range len(s) {
		c := s[i]
		// In UTF-8 the control characters U+0080 to U+009F are C2 and one byte.
		if c < ' ' || c == 0x7f || c == 0xc2 && i+1 < len(s) && s[i+1] <= 0x9f {
			return "a control character"
		}
	}
	return ""
}

// isUint64 reports whether s is the decimal form of a uint64, in the one
// spelling that has no leading zeros.
func isUint64[T text](s T) bool {
	_, ok := parseUint64(s)
	return ok && (s[0] != '0' || len(s) == 1)
}

// parseUint64 is the value of the decimal digits s; false if there are none,
// something else is among them or the value does not fit.
func parseUint64[T text](s T) (uint64, bool) {
	const cutoff = math.MaxUint64 / 10
	var n uint64
	for i := range len(s) {
		d := uint64(s[i]) - '0'
		if d > 9 || n > cutoff || n == cutoff && d > math.MaxUint64%10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(s) > 0
}
