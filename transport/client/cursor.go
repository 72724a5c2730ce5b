package client

// A Cursor is a place in an inbox: behind the message with the number Seq. The zero Cursor
// is the beginning.
//
// A program that keeps its own stores it, both numbers together and with what it received,
// and gives it back as Config.Cursor. A Message has the two of them for the Cursor behind it.
type Cursor struct {
	// Epoch names the numbering that Seq belongs to: the inbox's life, as it were. Where an
	// inbox was begun anew, or was put back from a backup, it is another one, and the same
	// number is another message; then the service delivers from where it knows by itself
	// that this device has been, or from the beginning. 0 if the service did not say it.
	Epoch uint32

	Seq uint64
}
