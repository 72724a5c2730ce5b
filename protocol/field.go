package protocol

// A field is one that some kind of message has, or an object in one: a key in JSON, a
// number in protobuf. Keys are matched byte by byte: "Type" is not "type".
type field uint8

const (
	fieldType field = iota
	fieldSeq
	fieldID
	fieldSender
	fieldReceiver
	fieldContent
	fieldAt
	fieldCode
	fieldReason
	fieldTraceparent
	fieldRetry

	fieldToken
	fieldDevice
	fieldCursor
	fieldWindow
	fieldUser
	fieldSession
	fieldHead
	fieldLimits
	fieldGap
	fieldEpoch

	fieldFrameBytes
	fieldUserIDBytes
	fieldMessageIDBytes
	fieldInFlight
	fieldSessions
	fieldPingIntervalMS
	fieldMissedPongs
	fieldContentBytes
	fieldWindowBytes
	fieldDevices
	fieldFirst
	fieldLast

	fieldUnknown // All other keys; also the number of the ones above.
)

// maxFieldBytes is the length of the longest name of a field.
const maxFieldBytes = len("message_id_bytes")

var fieldNames = [fieldUnknown]string{
	fieldType:           "type",
	fieldSeq:            "seq",
	fieldID:             "id",
	fieldSender:         "sender",
	fieldReceiver:       "receiver",
	fieldContent:        "content",
	fieldAt:             "at",
	fieldCode:           "code",
	fieldReason:         "reason",
	fieldTraceparent:    "traceparent",
	fieldRetry:          "retry",
	fieldToken:          "token",
	fieldDevice:         "device",
	fieldCursor:         "cursor",
	fieldWindow:         "window",
	fieldUser:           "user",
	fieldSession:        "session",
	fieldHead:           "head",
	fieldLimits:         "limits",
	fieldGap:            "gap",
	fieldEpoch:          "epoch",
	fieldFrameBytes:     "frame_bytes",
	fieldUserIDBytes:    "user_id_bytes",
	fieldMessageIDBytes: "message_id_bytes",
	fieldInFlight:       "in_flight",
	fieldSessions:       "sessions",
	fieldPingIntervalMS: "ping_interval_ms",
	fieldMissedPongs:    "missed_pongs",
	fieldContentBytes:   "content_bytes",
	fieldWindowBytes:    "window_bytes",
	fieldDevices:        "devices",
	fieldFirst:          "first",
	fieldLast:           "last",
}

// fieldOf is the field that a key names, which is a string of the given shape.
// The switch is a search by length and then by content, and does not allocate.
func fieldOf(key []byte, is shape) field {
	if is == shapeEscaped {
		return fieldOfEscaped(key)
	}
	switch string(key) {
	case "type":
		return fieldType
	case "seq":
		return fieldSeq
	case "id":
		return fieldID
	case "sender":
		return fieldSender
	case "receiver":
		return fieldReceiver
	case "content":
		return fieldContent
	case "at":
		return fieldAt
	case "code":
		return fieldCode
	case "reason":
		return fieldReason
	case "traceparent":
		return fieldTraceparent
	case "retry":
		return fieldRetry
	case "token":
		return fieldToken
	case "device":
		return fieldDevice
	case "cursor":
		return fieldCursor
	case "window":
		return fieldWindow
	case "user":
		return fieldUser
	case "session":
		return fieldSession
	case "head":
		return fieldHead
	case "limits":
		return fieldLimits
	case "gap":
		return fieldGap
	case "epoch":
		return fieldEpoch
	case "first":
		return fieldFirst
	case "last":
		return fieldLast
	}
	return fieldOfLimit(key)
}

// fieldOfLimit is the field of the limits of CONNECT that a key names.
func fieldOfLimit(key []byte) field {
	switch string(key) {
	case "frame_bytes":
		return fieldFrameBytes
	case "user_id_bytes":
		return fieldUserIDBytes
	case "message_id_bytes":
		return fieldMessageIDBytes
	case "in_flight":
		return fieldInFlight
	case "sessions":
		return fieldSessions
	case "ping_interval_ms":
		return fieldPingIntervalMS
	case "missed_pongs":
		return fieldMissedPongs
	case "content_bytes":
		return fieldContentBytes
	case "window_bytes":
		return fieldWindowBytes
	case "devices":
		return fieldDevices
	}
	return fieldUnknown
}

// fieldOfEscaped is the field that a key with escapes names.
func fieldOfEscaped(key []byte) field {
	var buffer [maxFieldBytes]byte
	if unescapedLen(key) > len(buffer) {
		return fieldUnknown
	}
	return fieldOf(appendUnescaped(buffer[:0], key), shapeString)
}
