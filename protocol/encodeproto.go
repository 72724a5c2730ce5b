package protocol

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// AppendProto appends the binary frame of m to dst and returns the longer slice. It
// allocates nothing but the room that dst lacks.
//
// The frame is what protobuf's own encoders make of a Frame with m in it: fields in
// the order of their numbers, none that is 0 or empty. It is valid whatever the strings
// of m hold: a byte that is not UTF-8 becomes U+FFFD.
func AppendProto(dst []byte, m Message) []byte {
	dst, start := beginMessage(dst, protowire.Number(m.Type())+1)
	switch m := m.(type) {
	case *Send:
		dst = appendProtoText(dst, 1, m.Receiver)
		dst = appendProtoText(dst, 2, m.Content)
		dst = appendProtoText(dst, 3, m.Id)
		dst = appendProtoText(dst, 4, m.Sender)
		dst = appendProtoText(dst, 5, m.Traceparent)
	case *Receive:
		dst = appendProtoUint(dst, 1, m.Seq)
		dst = appendProtoText(dst, 2, m.Id)
		dst = appendProtoText(dst, 3, m.Sender)
		dst = appendProtoText(dst, 4, m.Receiver)
		dst = appendProtoText(dst, 5, m.Content)
		dst = appendProtoUint(dst, 6, uint64(m.At))
		dst = appendProtoText(dst, 7, m.Traceparent)
	case *Close:
		dst = appendProtoUint(dst, 1, uint64(m.Code))
		dst = appendProtoText(dst, 2, m.Reason)
	case *Sent:
		dst = appendProtoText(dst, 1, m.Id)
		dst = appendProtoUint(dst, 2, m.Seq)
		dst = appendProtoUint(dst, 3, uint64(m.At))
	case *Ack:
		dst = appendProtoUint(dst, 1, m.Seq)
	case *Error:
		dst = appendProtoText(dst, 1, m.Id)
		dst = appendProtoText(dst, 2, m.Code)
		dst = appendProtoText(dst, 3, m.Reason)
		dst = appendProtoGap(dst, 4, m.Gap)
		dst = appendProtoUint(dst, 5, uint64(m.Retry))
	case *Connect:
		dst = appendProtoConnect(dst, m)
	default:
		panic(fmt.Sprintf("protocol: %T has no frame", m))
	}
	return finishMessage(dst, start)
}

// appendProtoConnect appends the fields of a CONNECT.
func appendProtoConnect(dst []byte, m *Connect) []byte {
	dst = appendProtoText(dst, 1, m.Token)
	dst = appendProtoText(dst, 2, m.Device)
	if m.Cursor != nil {
		dst = appendProtoNumber(dst, 3, *m.Cursor)
	}
	dst = appendProtoUint(dst, 4, uint64(m.Window))
	dst = appendProtoText(dst, 5, m.User)
	dst = appendProtoText(dst, 6, m.Session)
	dst = appendProtoUint(dst, 7, m.Head)
	if l := m.Limits; l != nil {
		var start int
		dst, start = beginMessage(dst, 8)
		dst = appendProtoUint(dst, 1, uint64(l.FrameBytes))
		dst = appendProtoUint(dst, 2, uint64(l.UserIdBytes))
		dst = appendProtoUint(dst, 3, uint64(l.MessageIdBytes))
		dst = appendProtoUint(dst, 4, uint64(l.InFlight))
		dst = appendProtoUint(dst, 5, uint64(l.Sessions))
		dst = appendProtoUint(dst, 6, uint64(l.PingIntervalMs))
		dst = appendProtoUint(dst, 7, uint64(l.MissedPongs))
		dst = appendProtoUint(dst, 8, uint64(l.ContentBytes))
		dst = appendProtoUint(dst, 9, uint64(l.WindowBytes))
		dst = appendProtoUint(dst, 10, uint64(l.Devices))
		dst = finishMessage(dst, start)
	}
	dst = appendProtoGap(dst, 9, m.Gap)
	return appendProtoUint(dst, 10, uint64(m.Epoch))
}

// appendProtoGap appends the gap of a CONNECT or an ERROR, if it has one.
func appendProtoGap(dst []byte, number protowire.Number, g *Gap) []byte {
	if g == nil {
		return dst
	}
	dst, start := beginMessage(dst, number)
	dst = appendProtoUint(dst, 1, g.First)
	dst = appendProtoUint(dst, 2, g.Last)
	return finishMessage(dst, start)
}

// beginMessage appends the tag of a message and the place for a length of one byte.
// What follows up to finishMessage is the message.
func beginMessage(dst []byte, number protowire.Number) (longer []byte, start int) {
	dst = append(appendTag(dst, number, protowire.BytesType), 0)
	return dst, len(dst)
}

// finishMessage writes the length of the message that begins at start. Most are
// shorter than 128 bytes; a longer one is moved, which costs less than finding out
// its length beforehand.
func finishMessage(dst []byte, start int) []byte {
	length := len(dst) - start
	if more := protowire.SizeVarint(uint64(length)) - 1; more > 0 {
		dst = append(dst, make([]byte, more)...)
		copy(dst[start+more:], dst[start:])
	}
	protowire.AppendVarint(dst[:start-1], uint64(length))
	return dst
}

// appendTag appends the tag of one of our fields, whose numbers are below 16.
func appendTag(dst []byte, number protowire.Number, wire protowire.Type) []byte {
	return append(dst, byte(number)<<3|byte(wire))
}

// appendProtoText appends a field that is a string, if it is not empty.
func appendProtoText(dst []byte, number protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	if !utf8.ValidString(s) {
		s = strings.Map(func(r rune) rune { return r }, s)
	}
	return protowire.AppendString(appendTag(dst, number, protowire.BytesType), s)
}

// appendProtoUint appends a field that is a number, if it is not 0.
func appendProtoUint(dst []byte, number protowire.Number, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return appendProtoNumber(dst, number, n)
}

// appendProtoNumber appends a field that is a number.
func appendProtoNumber(dst []byte, number protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(appendTag(dst, number, protowire.VarintType), n)
}
