// Package actors is Callboard's service: who is connected, and how a message
// gets from one user to another. Every user is an actor, every socket is an
// actor, and nothing is shared between them but the messages they send each
// other. The package knows no socket, no HTTP and no disk: transport brings the
// sockets as a [Conn], and [System] is the only way in.
//
// # The tree
//
//	registry                 owns the ring: which user belongs to which shard
//	└─ shard 0..N-1          a slice of the map of users: user -> actor and sessions.
//	   └─ user <id>          The shard is the parent of its users and the only road to them
//	gateway                  parent of the sessions of this node's sockets, their heartbeat
//	└─ session <n>           one for each socket: its only writer; its mailbox is the send queue
//
// # One message
//
//	alice's socket                                                  bob's socket
//	1 reader goroutine: frame -> protocol.Send, a credit taken            ▲
//	2   └─ shard of bob: finds or starts bob's user                       │
//	3        └─ user bob: RECEIVE to bob's sessions, the answer           │
//	4           to alice's session (which gives the credit back)          │
//	5        └─ session: writes into the Conn's buffer; flushes ──────────┘
//	            when its mailbox has drained
//
// The sender's own actor is not on the road. Closing a user takes the same road:
// whoever asks -> shard -> user -> each session -> close frame. A client's own
// CLOSE ends its session alone, when all that it had sent has been answered.
//
// # Invariants
//
// Each has a test named after it.
//
//  1. One road. Everything for a user passes that user's shard; nobody else
//     keeps a user's address. So an idle user can leave without losing mail
//     (entry.go has the states).
//  2. One writer of a user's inbox, in the whole cluster. (The inbox comes later;
//     its place is user.send.)
//  3. One recovery path. However a user's actor ends, its shard starts the next
//     one, attaches the sessions again and hands over the mail that was held
//     (recovery.go).
//  4. Confirmed means kept. (With the inbox. Today nothing is confirmed to a
//     client, and a refusal is always said.)
//  5. The inbox is the queue. (With the inbox. Today a session holds at most
//     Config.MaxWaitingBytes encoded, and a peer that does not read is closed.)
//  6. Back-pressure ends at the socket. Each message that a reader passes on
//     takes a credit and its answer gives it back; without a credit the reader
//     does not read. (The answer goes when the receiver's sessions have been sent
//     the message, not when they have written it: a session's mailbox is bounded
//     by how fast it works, which waits for no network, and not yet by a number.)
//  7. One reader and one writer for each socket: the reader goroutine and the
//     session.
//  8. No lock, no goroutine, no sleep, no waiting on a future inside this
//     package; architecture_test.go reads the source for that. The mailbox, a
//     package of its own, has the one lock that hands messages over.
package actors
