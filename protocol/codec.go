package protocol

// The subprotocols of WebSocket that the server speaks, as Sec-WebSocket-Protocol has
// them. A client that offers neither speaks the seed's dialect.
const (
	SubprotocolJSON  = "callboard.v1.json"
	SubprotocolProto = "callboard.v1.proto"

	// SubprotocolPrefix is what the names of all versions and codecs begin with.
	SubprotocolPrefix = "callboard."
)

// A Codec is one of the two forms that messages have on the wire. They say the same:
// a message that one can carry the other can too.
type Codec uint8

// The codecs.
const (
	JSON  Codec = iota // Text frames, as in DecodeJSON.
	Proto              // Binary frames, as in DecodeProto.
)

// CodecOf is the codec of a subprotocol; false if there is no such subprotocol.
func CodecOf(subprotocol string) (Codec, bool) {
	switch subprotocol {
	case SubprotocolJSON:
		return JSON, true
	case SubprotocolProto:
		return Proto, true
	}
	return 0, false
}

// Append is AppendJSON or AppendProto.
func (c Codec) Append(dst []byte, m Message) []byte {
	if c == Proto {
		return AppendProto(dst, m)
	}
	return AppendJSON(dst, m)
}

// Decode is DecodeJSON or DecodeProto.
func (c Codec) Decode(frame []byte, send *Send) (Message, error) {
	if c == Proto {
		return DecodeProto(frame, send)
	}
	return DecodeJSON(frame, send)
}

// String is the subprotocol in which the codec is spoken.
func (c Codec) String() string {
	if c == Proto {
		return SubprotocolProto
	}
	return SubprotocolJSON
}
