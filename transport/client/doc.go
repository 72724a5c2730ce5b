// Package client speaks Callboard's protocol for a program that wants to be one
// of its users: connect with [Dial], then [Client.Send] and [Client.Receive].
//
// It speaks the dialect of a connection without a subprotocol, the seed's, and
// guarantees:
//
//   - When Dial returns, the user can be reached: every message sent from then on
//     comes out of Receive, in the order of each sender.
//   - What one goroutine sends leaves in its order. What is refused here, for its
//     length or its text, was not sent in part.
//   - A refused handshake is a [RefusedError], a connection that the server closed
//     a [ClosedError]; both have the protocol's own codes.
//   - Close does the closing handshake, and when it returns the client's goroutine
//     has ended.
//
// It does not guarantee that a message arrives: this dialect confirms none. A SEND
// that the server refuses is answered with an ERROR that has its id, some time
// later, and one that it takes with nothing.
//
// A client whose owner stops calling Receive is a slow reader: what comes next
// waits in front of it, the server's pings too, and in the end the server closes
// the connection.
//
// The package imports protocol alone of ours, so that a program that uses it does
// not carry the server.
package client
