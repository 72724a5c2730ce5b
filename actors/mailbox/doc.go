// Package mailbox is the mailbox of Callboard's actors: a queue of messages that
// any goroutine may post to and that one goroutine at a time works off.
//
// It differs from the mailboxes of protoactor-go in five ways, each of which
// something above it needs:
//
//   - At rest it holds no buffer. A node with a million idle users pays for what
//     is in motion, not for rings that once were full.
//   - [Owner.Drained] runs on the actor's own goroutine when everything posted has
//     been handled. A session writes its burst with one system call there.
//   - [Mailbox.Rest] gives the parent of a failed actor the messages that the
//     actor had not come to, so that they go to its successor.
//   - A [Gated] one refuses what was addressed by a map that is too old, at the instant
//     it is posted: so users can move from one shard to another under full load.
//   - [Mailbox.PostPriorityMessage] has a message go before all that wait: a user who moves,
//     or whose actor failed, waits for nobody else's mail.
//
// Guarantees: messages of one goroutine are handled in the order it posted them, but for priority;
// every posted message is handled once, or given out by Rest, or dropped because
// the actor was stopped; system messages and those with priority overtake all others; no two
// messages of one mailbox are handled at the same time.
package mailbox
