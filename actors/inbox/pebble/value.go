package pebble

import (
	"encoding/binary"
	"errors"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// entryVersion is the first byte of an entry's value. The others follow as varints: sum,
// at, the lengths of id and sender; then id, sender and content. Number and receiver
// are in the key. In an entry of tracedVersion, which is one with a traceparent, the length of that
// comes behind the other lengths, and the traceparent before the content.
const (
	entryVersion  = 1
	tracedVersion = 2
)

var errCorrupt = errors.New("the value is corrupt")

// entryValueBytes is the length of an entry's value.
func entryValueBytes(e *inbox.Entry) int {
	m := e.Message
	bytes := 1 + uvarintBytes(e.Sum) + uvarintBytes(zigzag(m.At)) +
		uvarintBytes(uint64(len(m.Id))) + uvarintBytes(uint64(len(m.Sender))) +
		len(m.Id) + len(m.Sender) + len(m.Content)
	if m.Traceparent != "" {
		bytes += uvarintBytes(uint64(len(m.Traceparent))) + len(m.Traceparent)
	}
	return bytes
}

// putEntryValue fills a slice of just that length.
func putEntryValue(value []byte, e *inbox.Entry) {
	m := e.Message
	value[0] = entryVersion
	n := 1
	n += binary.PutUvarint(value[n:], e.Sum)
	n += binary.PutUvarint(value[n:], zigzag(m.At))
	n += binary.PutUvarint(value[n:], uint64(len(m.Id)))
	n += binary.PutUvarint(value[n:], uint64(len(m.Sender)))
	if m.Traceparent != "" {
		value[0] = tracedVersion
		n += binary.PutUvarint(value[n:], uint64(len(m.Traceparent)))
	}
	n += copy(value[n:], m.Id)
	n += copy(value[n:], m.Sender)
	n += copy(value[n:], m.Traceparent)
	copy(value[n:], m.Content)
}

// entryHeader is the numbers of an entry's value, and where its strings begin and end.
type entryHeader struct {
	sum uint64
	at  int64

	id, sender, traceparent, content int // where they begin
}

func parseEntryHeader(value []byte) (entryHeader, error) {
	if len(value) == 0 || value[0] != entryVersion && value[0] != tracedVersion {
		return entryHeader{}, errCorrupt
	}
	n := 1
	var fields [5]uint64
	for i := range 3 + int(value[0]) { // one more in a tracedVersion
		field, size := binary.Uvarint(value[n:])
		if size <= 0 {
			return entryHeader{}, errCorrupt
		}
		fields[i], n = field, n+size
	}
	rest := uint64(len(value) - n)
	if fields[2] > rest || fields[3] > rest-fields[2] || fields[4] > rest-fields[2]-fields[3] {
		return entryHeader{}, errCorrupt
	}
	h := entryHeader{sum: fields[0], at: unzigzag(fields[1]), id: n}
	h.sender = h.id + int(fields[2])
	h.traceparent = h.sender + int(fields[3])
	h.content = h.traceparent + int(fields[4])
	return h, nil
}

// decodeEntry copies the value once: the strings of the message share the copy.
func decodeEntry(user protocol.UserID, seq uint64, value []byte) (inbox.Entry, error) {
	h, err := parseEntryHeader(value)
	if err != nil {
		return inbox.Entry{}, err
	}
	text := string(value[h.id:])
	return inbox.Entry{
		Message: &protocol.Receive{
			Seq:         seq,
			Id:          text[:h.sender-h.id],
			Sender:      text[h.sender-h.id : h.traceparent-h.id],
			Receiver:    string(user),
			Content:     text[h.content-h.id:],
			At:          h.at,
			Traceparent: text[h.traceparent-h.id : h.content-h.id],
		},
		Sum: h.sum,
	}, nil
}

// Two numbers are the value of a floor (its number and sum), of a device (its cursor and
// when it was seen), and, the second one being 0, of an id, the commit number and the version.

func pairBytes(a, b uint64) int { return uvarintBytes(a) + uvarintBytes(b) }

func putPair(value []byte, a, b uint64) {
	n := binary.PutUvarint(value, a)
	binary.PutUvarint(value[n:], b)
}

func parsePair(value []byte) (a, b uint64, err error) {
	a, n := binary.Uvarint(value)
	if n <= 0 {
		return 0, 0, errCorrupt
	}
	b, m := binary.Uvarint(value[n:])
	if m <= 0 || n+m != len(value) {
		return 0, 0, errCorrupt
	}
	return a, b, nil
}

func uvarintBytes(x uint64) int {
	n := 1
	for ; x >= 0x80; x >>= 7 {
		n++
	}
	return n
}

func zigzag(x int64) uint64   { return uint64(x)<<1 ^ uint64(x>>63) }
func unzigzag(x uint64) int64 { return int64(x>>1) ^ -int64(x&1) }
