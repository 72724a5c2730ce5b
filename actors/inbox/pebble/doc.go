// Package pebble keeps inboxes in a directory, with Pebble, a log-structured store that is
// part of the program: there is no server to install.
//
// A Commit is on the disk when it returns.
//
// When the disk fails, nothing is confirmed any more until a Commit has opened anew what the
// disk has. Meanwhile Open, Read and Find go on for all users but those in the batch that failed,
// of whose inboxes nobody knows what became; while the store is being opened they wait, and
// if that fails they return why. The empty batch is a good question to ask now and then.
//
// Retention runs in the background. It takes messages that are too old, whoever has them,
// and those that are too many, if some device of the user has them. A device that was not
// seen for as long as messages are kept, and has nothing left that it could see twice, is forgotten.
//
// DESIGN.md has the key layout, what was measured, and why Pebble stands behind a fence.
package pebble
