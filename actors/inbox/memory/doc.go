// Package memory keeps inboxes in memory: what a service needs that only relays, and
// what a test needs. Everything is gone when the process ends.
//
// A message goes when every known device of its user is past it, so State.Floor follows
// the slowest device by itself, and inboxes of users who are up to date are empty. A
// user without a device keeps everything, up to the limit on all bytes.
//
// Find goes on knowing a message for a while after it went: the newest Remembered of
// each user, as long as those of all users together fit into an eighth of the limit;
// beyond it they are forgotten for the users whose inboxes changed the longest ago.
//
// A user is never forgotten, since heads must not go back. One with nothing waiting and
// nothing remembered costs about 130 bytes and its devices.
package memory
