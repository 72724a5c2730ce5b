// Package transport brings users' sockets to the actors: the HTTP server, the
// WebSocket handshake, the frames.
//
// A connection speaks one of two dialects, the seed's or version 1, and that in one of
// two codecs, JSON or protobuf: what the client asks for in Sec-WebSocket-Protocol.
//
// A connection has two owners. The reader goroutine takes frames off the socket
// and passes messages on by the [actors.Link]; the session actor writes, by the
// [actors.Conn] that a socket is. Neither waits for the other: the reader holds no
// lock and the session waits for no network. A third goroutine exists only while
// a peer reads more slowly than it is sent to, and writes what is left.
//
// At rest a connection has a goroutine with a 2 KB stack and no buffer at all.
//
// Every goroutine of this package belongs to the [Server], whose Wait returns
// when all have ended.
package transport
