// Package inboxtest holds implementations of inbox.Store to their contract.
//
// [Run] is for every Store, [RunBlocklist] for one that is a Blocklist too, [RunDeadletters] likewise. [Crashes] is for one that keeps what it was given through
// power losses and failures of the disk: it drives it with random batches on a [Disk]
// that fails and loses power at random moments, and compares what is there afterwards with
// what may be there.
//
// Each seed of Crashes is a run of its own and always the same as long as nothing runs
// in the background. A failure names its seed; the flags replay it, and try others:
//
//	go test ./actors/inbox/pebble -run Crash -inboxtest.seed 42 -v
//	go test ./actors/inbox/pebble -run Crash -inboxtest.seeds 100000 -timeout 0
package inboxtest
