package protocol

import "google.golang.org/protobuf/encoding/protowire"

// Which field of ours has which number in callboard.proto, by the kind of message.
// The numbers begin at 1.
var (
	protoFields = [...][]field{
		TypeConnect: {
			1: fieldToken, 2: fieldDevice, 3: fieldCursor, 4: fieldWindow, 5: fieldUser, 6: fieldSession,
			7: fieldHead, 8: fieldLimits, 9: fieldGap, 10: fieldEpoch,
		},
		TypeSend:    {1: fieldReceiver, 2: fieldContent, 3: fieldID, 4: fieldSender, 5: fieldTraceparent},
		TypeReceive: {1: fieldSeq, 2: fieldID, 3: fieldSender, 4: fieldReceiver, 5: fieldContent, 6: fieldAt, 7: fieldTraceparent},
		TypeClose:   {1: fieldCode, 2: fieldReason},
		TypeSent:    {1: fieldID, 2: fieldSeq, 3: fieldAt},
		TypeAck:     {1: fieldSeq},
		TypeError:   {1: fieldID, 2: fieldCode, 3: fieldReason, 4: fieldGap, 5: fieldRetry},
	}
	protoLimits = []field{
		1: fieldFrameBytes, 2: fieldUserIDBytes, 3: fieldMessageIDBytes, 4: fieldInFlight, 5: fieldSessions,
		6: fieldPingIntervalMS, 7: fieldMissedPongs, 8: fieldContentBytes, 9: fieldWindowBytes, 10: fieldDevices,
	}
	protoGap = []field{1: fieldFirst, 2: fieldLast}
)

// fieldsOf is the numbers of the fields in f, which holds a message.
func fieldsOf(f field) []field {
	if f == fieldLimits {
		return protoLimits
	}
	return protoGap
}

// notProto is the fault of what protobuf does not have.
const notProto = "not protobuf"

// scanEnvelope reads b, which has to be a Frame, and returns the type of the message
// in it and where that lies; untyped if there is none, and a type that there is not
// if there is one that we do not know.
func scanEnvelope(b []byte) (t Type, inner value, fault string) {
	for i := 0; i < len(b); {
		number, v, end, fault := scanField(b, i)
		switch {
		case fault != "":
			return t, value{start: uint32(end)}, fault
		case int(number) > len(protoFields):
			if inner.shape == shapeAbsent {
				t = Type(number - 1)
			}
		case v.shape != shapeBytes:
			return t, value{start: uint32(i)}, "a message of another wire type"
		case inner.shape != shapeAbsent:
			return t, value{start: uint32(i)}, "more than one message"
		default:
			t, inner = Type(number-1), v
		}
		i = end
	}
	return t, inner, ""
}

// scanFields reads the message b from b[i] on, and notes the values of its known
// fields in m. Like the scan functions for JSON it returns the index where b ends, or
// that of the trouble and the trouble in words; it allocates nothing and takes time
// linear in len(b).
func scanFields(b []byte, i int, known []field, m *members) (int, string) {
	for i < len(b) {
		number, v, end, fault := scanField(b, i)
		if fault != "" {
			return end, fault
		}
		i = end
		if int(number) >= len(known) {
			continue
		}
		f := known[number]
		switch {
		case m[f].shape != shapeAbsent:
			v.shape = shapeRepeated
		case v.shape == shapeBytes && v.start == v.end && !isMessage(f):
			v.shape = shapeNull // A text that is empty is one that is not there.
		}
		m[f] = v
	}
	return i, ""
}

// isMessage reports whether f holds a message, which is there even if it is empty.
func isMessage(f field) bool { return f == fieldLimits || f == fieldGap }

// scanField reads the field that begins at b[i] and returns its number, its value and
// the index behind it, or that of the trouble. A value of wire type bytes is without its
// length. Groups are refused: they would nest, and proto3 does not have them.
func scanField(b []byte, i int) (protowire.Number, value, int, string) {
	number, wire, n := protowire.ConsumeTag(b[i:])
	if n < 0 || number > protowire.MaxValidNumber {
		return 0, value{}, i, notProto
	}
	start := i + n
	var is shape
	switch wire {
	case protowire.VarintType:
		is = shapeVarint
		_, n = protowire.ConsumeVarint(b[start:])
	case protowire.BytesType:
		is = shapeBytes
		var length uint64
		if length, n = protowire.ConsumeVarint(b[start:]); n > 0 {
			if start += n; length > uint64(len(b)-start) {
				return 0, value{}, i, notProto
			}
			n = int(length)
		}
	case protowire.Fixed32Type:
		is = shapeFixed
		_, n = protowire.ConsumeFixed32(b[start:])
	case protowire.Fixed64Type:
		is = shapeFixed
		_, n = protowire.ConsumeFixed64(b[start:])
	default:
		return 0, value{}, i, "a group, which proto3 does not have"
	}
	if n < 0 {
		return 0, value{}, i, notProto
	}
	return number, value{uint32(start), uint32(start + n), is}, start + n, ""
}
