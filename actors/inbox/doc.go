// Package inbox says what Callboard needs of a disk: for each user a log of
// messages, numbered without a gap from 1, and for each of the user's devices a
// cursor, the number of the last message that the device has.
//
// [Store] is the contract. Package memory keeps inboxes in memory, package pebble
// on disk; inboxtest holds any implementation to the contract, crashes included.
//
// Two parts of the service call a Store: the actor of a user, which reads and is
// the only one that numbers that user's messages, and the journal, which is the
// only one that commits, unless the Store is [Immediate].
package inbox
