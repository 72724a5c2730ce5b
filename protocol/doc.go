// Package protocol is the contract between Callboard and its clients: which
// messages there are, how they look on the wire, what an id may be, which limits
// hold, and which codes say what went wrong. Client, server and tools all speak
// through it, and it knows none of them.
//
// A client connects to /ws/{id} and exchanges messages, one in each frame. In JSON:
//
//	{"type":1,"id":"m-1","receiver":2,"content":"hello"}                  SEND, from user 1
//	{"type":4,"id":"m-1","seq":7,"at":1700000000123}                      SENT, to user 1
//	{"type":2,"seq":7,"id":"m-1","sender":1,"receiver":2,"content":"hello","at":1700000000123}  RECEIVE, to user 2
//
// The messages are generated from callboard.proto; the same values that a frame
// is decoded into travel between the actors. There are two codecs: [JSON] for text
// frames, [Proto] for binary ones. [DecodeJSON], [AppendJSON], [DecodeProto] and
// [AppendProto] are written by hand, with these guarantees:
//
//   - No frame makes the decoder panic. It takes time linear in the length of the
//     frame and allocates what it returns, which is no longer than the frame.
//   - What it refuses, it refuses with a code and with a reason that names field
//     and fault, in a [FrameError].
//   - Both decoders refuse the same messages, with the same words.
//   - Apart from a list of stricter rules they accept and yield what encoding/json
//     and protobuf's generated code do.
//   - What the encoders write is valid in valid UTF-8, and the decoders get the same
//     message back from it.
//
// The limits are in limits.go, the codes in codes.go. DESIGN.md is the specification
// of the protocol, with the reasons for the codec. The frames and transcripts in
// testdata say the same to implementations in other languages.
//
// Everything in the package may be used by many goroutines at once, as long as
// nobody changes a message that another one has.
package protocol

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate
