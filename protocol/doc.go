// Package protocol is the contract between Callboard and its clients: which
// messages there are, how they look on the wire, what an id may be, which limits
// hold, and which codes say what went wrong. Client, server and tools all speak
// through it, and it knows none of them.
//
// A client connects to /ws/{id} and exchanges JSON text frames, one message in
// each:
//
//	{"type":1,"receiver":2,"content":"hello"}             SEND, from user 1
//	{"type":2,"sender":1,"receiver":2,"content":"hello"}  RECEIVE, to user 2
//
// The messages are generated from callboard.proto; the same values that a frame
// is decoded into travel between the actors. [DecodeJSON] and [AppendJSON] are
// written by hand for them, with these guarantees:
//
//   - No frame makes the decoder panic. It takes time linear in the length of the
//     frame and allocates what it returns, which is no longer than the frame.
//   - What it refuses, it refuses with a code and with a reason that names field
//     and fault, in a [FrameError].
//   - Apart from a list of stricter rules it accepts and yields what
//     encoding/json does.
//   - What the encoder writes is valid JSON in valid UTF-8, and the decoder gets
//     the same message back from it.
//
// The limits are in limits.go, the codes in codes.go. DESIGN.md has the wire
// protocol in full and the reasons for it. The frames in testdata say the same to
// implementations in other languages.
//
// Everything in the package may be used by many goroutines at once, as long as
// nobody changes a message that another one has.
package protocol

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate
