package actors

// Dialect is what a client speaks; it decides what a session tells it.
type Dialect uint8

const (
	// Seed is the dialect of a client that asks for no subprotocol: it is sent RECEIVE
	// and ERROR, is told nothing of CONNECT and SENT, and does not acknowledge. What
	// has been written to its socket counts as delivered.
	Seed Dialect = iota

	// V1 is version 1 of the protocol: CONNECT first, SENT for each message that is
	// kept, ACK for what has arrived.
	V1
)
