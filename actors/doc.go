// Package actors is Callboard's service: who is connected, what waits for whom, and
// how a message gets from one user to another. Every user is an actor, every socket
// is an actor, and nothing is shared between them but the messages they send each
// other. The package knows no socket, no HTTP and no disk: transport brings the
// sockets as a [Conn], an [inbox.Store] keeps the messages, and [System] is the only
// way in.
//
// # The tree
//
//	registry                 owns the ring: which user belongs to which shard, and changes it
//	└─ shard 0..N-1          a slice of the map of users: user -> actor and sessions.
//	   └─ user <id>          The shard is the parent of its users and the only road to them
//	gateway                  parent of the sessions of this node's sockets, their heartbeat
//	└─ session <n>           one for each socket: its only writer; its mailbox is the send queue
//	doorkeeper               who may not connect: keeps it, and has others read it
//	coroner                  messages that users' actors fail on: keeps them aside
//	journal                  group commit: all that users keep on a disk goes through it
//
// # One message
//
//	alice's socket                                                  bob's socket
//	1 reader goroutine: frame -> protocol.Send, a credit taken            ▲
//	2   └─ shard of bob: finds or starts bob's user                       │
//	3        └─ user bob: gives it the next number of the inbox           │
//	4             └─ journal: commits once for all that waited            │
//	5                ├─ SENT to alice's session (which gives the credit   │
//	6                │  back)                                             │
//	7                └─ user bob: RECEIVE to those of bob's sessions      │
//	8                     that have room in their window                  │
//	9                       └─ session: writes into the Conn's buffer; ───┘
//	                           flushes when its mailbox has drained
//
// Without a disk there is no journal, and bob's user does its part on the spot. What
// has no room waits in the inbox, and is read from there as ACKs come. The sender's
// own actor is not on the road. Closing a user takes the same road: whoever asks ->
// shard -> each session -> close frame. A client's own CLOSE ends its session alone,
// when all that it had sent has been answered.
//
// Each of these steps is a [Hop] that a [Trace] of either user brings; what happens to
// sessions and actors is an [Event] that a [Watch] brings.
//
// # Invariants
//
// Each names a test that shows it.
//
//  1. One road. Everything for a user passes that user's shard; nobody else
//     keeps a user's address, but for the journal while it owes an answer. So an idle
//     user can leave without losing mail (entry.go has the states):
//     TestMailThatArrivesWhileAUserLeavesIsNotLost.
//  2. One writer. Only a user's actor numbers the messages of the user's inbox, and
//     the next actor begins when the journal has answered for all that the last one
//     handed over: TestCrashOfAUserLosesNoCommitInFlight.
//  3. One recovery path. However a user's actor ends, its shard starts the next one,
//     which reads the inbox anew, hands over the mail that was held, and the sessions
//     attach again and say how far they are (recovery.go): TestCrashOnAnyMessageLeavesTheUserReachable.
//  4. Confirmed means kept. SENT leaves only after the commit that holds the message,
//     and RECEIVE too; what a failed commit had numbered is void (journal.go):
//     TestNothingIsConfirmedOrDeliveredBeforeItsCommit.
//  5. The inbox is the queue. At most a window of messages, and of bytes, is on its
//     way to a session; the rest waits in the inbox. A slow device costs disk, not
//     memory (delivery.go): TestDeviceThatNeverAcknowledgesHoldsNobodyUp.
//  6. Back-pressure ends at the socket. Each message that a reader passes on takes a
//     credit and its answer gives it back; without a credit the reader does not read.
//     An ACK takes none: each one that says something new was paid for by a message:
//     TestSenderWithoutCreditsWaitsForAnswers.
//  7. One reader and one writer for each socket: the reader goroutine and the
//     session: TestSessionWritesNoMessageTwice.
//  8. No lock, no goroutine, no sleep, no waiting on a future inside this
//     package; TestNoLockNoGoroutineNoSleepNoFutureInsideActors reads the source for that. The mailbox, a
//     package of its own, has the one lock that hands messages over. A user waits for
//     the disk when it reads, and the journal when it commits: each holds up nobody
//     that does not wait for the same.
//  9. One road while the road moves. The number of shards changes while messages flow:
//     nobody is on two shards, and what one sender has sent on the old road goes before
//     what it sends on the new one (moving.go, arriving.go, scaling.go; DESIGN.md has
//     the protocol): TestOrderOfASenderHoldsWhileUsersMove.
package actors
