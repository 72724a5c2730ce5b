package inbox

import "callboard/protocol"

// Deadletters is a Store that also keeps messages that were set aside. One at a time
// calls its methods; others may call those of Store and Blocklist meanwhile.
//
// What Deadletters returns is the caller's to keep and nobody's to change.
type Deadletters interface {
	// SetAside keeps a letter under its number, in place of the one that had it, and
	// drops others: both or neither. When it returns nil that survives kill -9 and
	// power loss. After an error nobody knows whether it is so until a Commit or another
	// change succeeds; until then Deadletters returns an error.
	SetAside(letter *Deadletter, drop ...uint64) error

	// Drop removes letters, all of them or none, as surely as SetAside keeps one. A
	// number that no letter has is passed over.
	Drop(numbers ...uint64) error

	// Deadletters returns the letters with numbers greater than after, in their order:
	// at most limit, and no less if there are as many.
	Deadletters(after uint64, limit int) ([]*Deadletter, error)
}

// Deadletter is a message that was set aside, because whoever handled it failed on it.
type Deadletter struct {
	Number uint64 // not 0
	At     int64  // when it was set aside: milliseconds since 1970-01-01 UTC

	Sender, Receiver protocol.UserID
	ID               string // the sender's; may be empty
	Content          string

	Crashes uint64 // how often its receiver's actor had failed on it then
	Reason  string // of the last failure
	Stack   string // of the goroutine that failed
}

// Size is what a letter counts, in bytes: its strings, and a flat sum for all the rest.
func (l *Deadletter) Size() int {
	return len(l.Sender) + len(l.Receiver) + len(l.ID) + len(l.Content) + len(l.Reason) + len(l.Stack) + entryOverhead
}
