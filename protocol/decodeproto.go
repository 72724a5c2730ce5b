package protocol

import "strconv"

// DecodeProto decodes the binary frame of one message: a Frame of callboard.proto.
// It promises what [DecodeJSON] does, send included, and refuses what that refuses,
// with the same codes and fields. Besides it refuses a SEND that no JSON frame could
// carry, because its content grows too long by escapes.
//
// Fields that callboard.proto does not have are ignored, but for groups. A field that
// is 0 or empty counts as absent, as protobuf has it. A known field that is there
// twice or of another wire type is refused.
func DecodeProto(frame []byte, send *Send) (Message, error) {
	if len(frame) > MaxReceiveBytes {
		return nil, tooLarge(MaxReceiveBytes)
	}
	d := decoder{frame: frame, binary: true}
	t, inner, fault := scanEnvelope(frame)
	if fault != "" {
		return nil, d.malformed(CodeInvalidMessage, fault+", at byte "+strconv.Itoa(int(inner.start)))
	}
	switch {
	case len(frame) == 0:
		d.refuse(CodeInvalidMessage, fieldType, "missing; "+untyped)
	case inner.shape != shapeAbsent:
		i, fault := scanFields(frame[:inner.end], int(inner.start), protoFields[t], &d.values)
		if fault != "" {
			return nil, d.malformed(CodeInvalidMessage, fault+", at byte "+strconv.Itoa(i))
		}
	}
	return d.finish(d.message(t, send))
}
