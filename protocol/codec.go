package protocol

// The subprotocols of WebSocket that the server speaks, as Sec-WebSocket-Protocol has
// them. A client that offers neither speaks the seed's dialect.
const (
	SubprotocolJSON  = "callboard.v1.json"
	SubprotocolProto = "callboard.v1.proto"

	// SubprotocolPrefix is what the names of all versions and codecs begin with.
	SubprotocolPrefix = "callboard."

	// SubprotocolToken is what an offer begins with that is no subprotocol but a token:
	// a page in a browser has no other place for one. It is never chosen.
	SubprotocolToken = "callboard.token."
)

// A Codec is one of the forms that messages have on the wire. JSON and Proto say the
// same: a message that one can carry the other can too.
type Codec uint8

// The codecs.
const (
	JSON  Codec = iota // Text frames, as in DecodeJSON.
	Proto              // Binary frames, as in DecodeProto.
	Seed               // Text frames of the seed's dialect, as in AppendSeed.
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

// Append is AppendJSON, AppendProto or AppendSeed.
func (c Codec) Append(dst []byte, m Message) []byte {
	switch c {
	case Proto:
		return AppendProto(dst, m)
	case Seed:
		return AppendSeed(dst, m)
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

// String is the subprotocol in which the codec is spoken, and "seed" where there is
// none.
func (c Codec) String() string {
	return [...]string{SubprotocolJSON, SubprotocolProto, "seed"}[c]
}
