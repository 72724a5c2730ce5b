// Package inbox says what Callboard needs of a disk: for each user a log of
// messages, numbered without a gap from 1, and for each of the user's devices a
// cursor, the number of the last message that the device has.
//
// [Store] is the contract. Package memory keeps inboxes in memory, package pebble
// on disk; inboxtest holds any implementation to the contract, crashes included.
//
// A [Blocklist] is a Store that keeps besides who may not connect, and [Deadletters] one
// that keeps messages which were set aside.
//
// Messages go when retention says so, and not already when every device has them, but
// for package memory: as long as an entry is there its id is known, so that a
// repetition is not kept twice. A Batch's Trims are an operator's.
//
// Two parts of the service call a Store: the actor of a user, which reads and is
// the only one that numbers that user's messages, and the journal, which is the
// only one that commits, unless the Store is [Immediate]. A third, the doorkeeper, calls
// a Blocklist, and a fourth, the coroner, Deadletters.
package inbox
