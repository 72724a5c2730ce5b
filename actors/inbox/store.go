package inbox

import (
	"errors"

	"callboard/protocol"
)

// Immediate is a Store whose Commit takes no longer than a call, and that many may
// call at once, each for users of its own: the users' actors commit by themselves.
type Immediate interface{ Immediate() }

// Sized is a Store that knows what it takes, in memory or on the disk, in bytes. To ask
// may wait for the disk, but goes through no inbox.
type Sized interface{ Bytes() uint64 }

// Store keeps inboxes. Any goroutine may call it. One at a time calls Commit, and
// one place numbers a user's messages: a Store does not check that, but may be
// asked to afterwards.
//
// What a Store returns is the caller's to keep and nobody's to change.
type Store interface {
	// Open returns what is known of a user's inbox. A user who was never written
	// to has the zero State, but for its Epoch.
	Open(user protocol.UserID) (State, error)

	// Read returns the entries behind the number after, in order and without a
	// gap: at most maxEntries, and no more once maxBytes are reached, but always
	// one if there is any. When retention has taken some of them it begins with the
	// first that is left.
	Read(user protocol.UserID, after uint64, maxEntries, maxBytes int) ([]Entry, error)

	// Find returns the entry that the sender appended under the id, or nil if there
	// is none, or none any more.
	Find(user protocol.UserID, sender, id string) (*protocol.Receive, error)

	// Commit applies a batch as a whole or not at all; the batch is the caller's again
	// afterwards, its messages may be kept. When it returns nil, the
	// batch can be read, and survives kill -9 and power loss. An empty batch changes
	// nothing and asks whether the Store takes messages.
	//
	// After an error nobody knows whether the batch was applied, until Open says it;
	// from then on it stays as Open said. Meanwhile Open and Find of the users in the
	// batch return an error, and Read may return entries of the batch: who reads knows
	// up to which number they are confirmed. No error is ever followed by a Commit that
	// succeeds on top of what the failed one may have left undone: the Store first
	// finds out what the disk has. ErrFull says that there is no room.
	Commit(batch *Batch) error
}

// ErrFull is a Store's for no room on the disk; every other error is one of trouble
// with it. ErrClosed is that of a Store after its end.
var (
	ErrFull   = errors.New("no space left for inboxes")
	ErrClosed = errors.New("the store is closed")
)

// Entry is one message in an inbox.
type Entry struct {
	// Message has Seq, Id, Sender, Receiver, Content and At, and a Traceparent if its sender gave one.
	Message *protocol.Receive

	// Sum is the Size of all messages that were ever put into this inbox, up to
	// and with this one. The difference of two sums is what lies between.
	Sum uint64
}

// Size is what a message counts in a Sum, in bytes: its strings, and a flat sum for
// all the rest.
func Size(m *protocol.Receive) uint64 {
	return uint64(len(m.Id)) + uint64(len(m.Sender)) + uint64(len(m.Content)) + uint64(len(m.Traceparent)) + entryOverhead
}

// entryOverhead is what an entry costs besides its strings, about, in bytes.
const entryOverhead = 32

// State is what is known of a user's inbox.
type State struct {
	Head    uint64   // number of the newest entry, 0 if there never was one
	Sum     uint64   // its Sum
	Floor   uint64   // entries up to it are gone; those from Floor+1 to Head are there
	Devices []Device // by name

	// Epoch names the numbering that all the numbers belong to. It is not 0, and stays as
	// long as numbers mean the same messages: through restarts and failures. Where numbers
	// may be given a second time, because the inboxes were begun anew or put back to an
	// earlier state, it is another one.
	Epoch uint32
}

// Device is one of a user's devices, the nameless one included.
type Device struct {
	Name   string
	Cursor uint64 // number of the last message that it has
	Seen   int64  // when that was last moved: milliseconds since 1970-01-01 UTC
}

// Batch is what one Commit applies. The zero Batch is empty.
type Batch struct {
	Appends []Append
	Moves   []Move
	Trims   []Trim
}

// Append puts an entry behind the newest of a user's inbox.
type Append struct {
	User protocol.UserID
	Entry
}

// Move sets where a device stands, forwards or backwards, or forgets the device.
type Move struct {
	User   protocol.UserID
	Device Device
	Forget bool
}

// Trim removes the entries up to a number, and what Find knew of them.
type Trim struct {
	User protocol.UserID
	UpTo uint64
}

// Reset empties the batch and keeps its room.
func (b *Batch) Reset() {
	clear(b.Appends) // lets the messages go
	b.Appends, b.Moves, b.Trims = b.Appends[:0], b.Moves[:0], b.Trims[:0]
}
