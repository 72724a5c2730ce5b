// Package client is for programs that are users of Callboard: connect with [Dial],
// send with [Client.Send], receive with [Client.Messages]. A [Client] looks after
// the connection; the program sees messages and confirmations.
//
// A Client guarantees:
//
//   - Confirmed means kept. When Send returns a [Receipt], the message is in the
//     receiver's inbox, on disk. What is not confirmed is written again on the next
//     connection, under the same id and in the original order, and the service keeps
//     it once.
//   - In order. What one goroutine sends is kept in the order of its calls, but for
//     what is refused.
//   - Seen once. Messages yields each message once, in the order of the inbox, over
//     any number of connections. A program that ends before it has acknowledged a
//     message gets it again, on the same device: across programs it is at least once.
//   - Said plainly. What was refused is a [SendError] with the service's code; what
//     was removed before this device had it is a [GapError] in its place; why the
//     connection is away is in [Client.State].
//   - It keeps to the service's rates: when it is told to wait it writes nothing until then.
//   - It comes back by itself: after a random, growing pause, or the one that the
//     server asks for, unless the service says that it should not. Then every call
//     says why, with a [ClosedError] or a [RefusedError].
//   - Bounded. The outbox, the messages that wait to be received, the pause, and the
//     silence of a server each have a limit with a name in [Config]; every call that
//     waits takes a context.
//   - When Close returns, the Client's goroutines have ended. There are two while it is
//     connected, and one more while it gets a new token; one otherwise.
//   - Where the service wants tokens, each connection gets a new one from Config.Token,
//     and a session is renewed before its token expires. A service that takes none ends
//     the Client (unauthorized); one that says token_expired has it come back with a new one.
//
// What Send has in its outbox is in memory: a program that must not lose what it has
// not confirmed keeps it itself, and sends it again [WithID].
//
// A message is acknowledged when the program is done with it (see [Client.Messages]).
// The service hears of it when nothing else is in the queue, when a quarter of the
// window is done, or after Config.AckDelay, whichever comes first; and before Close
// returns.
//
// Below the Client is [Conn], one connection in any dialect, for programs that do
// these things in their own way: load generators, bridges, tests.
//
// The package imports protocol alone of ours, so that a program that uses it does
// not carry the server. It runs in synctest bubbles, on connections in memory given
// by Config.NetDial.
package client
