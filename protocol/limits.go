package protocol

import "time"

// Sizes. A limit that a client can run into has an error code and a metric
// label of the same word; the table in codes.go has them.
const (
	// MaxFrameBytes is the longest frame that the server reads, in bytes of one
	// message's payload, its fragments together. A longer one closes the
	// connection: too_large.
	MaxFrameBytes = 64 << 10

	// MaxReceiveBytes is the longest frame that a client has to read, in bytes:
	// a RECEIVE has all that its SEND had, and the sender, the place, the time and the
	// traceparent of a trace that the server has begun.
	MaxReceiveBytes = MaxFrameBytes + 1<<10

	// MaxUserIDBytes is the longest user id, in bytes.
	MaxUserIDBytes = 64

	// MaxMessageIDBytes is the longest id that a client can give a message, in
	// bytes of UTF-8.
	MaxMessageIDBytes = 64

	// MaxDeviceBytes is the longest name of a device, in bytes of UTF-8 without
	// control characters.
	MaxDeviceBytes = 64

	// MaxContentBytes is the longest content, in bytes as JSON writes it between the
	// quotes, so that every content can be sent to a client that reads JSON. A
	// SEND with a longer one is refused: too_large. A JSON frame has room for less.
	MaxContentBytes = 64 << 10

	// MaxTokenBytes is the longest token, in bytes of UTF-8.
	MaxTokenBytes = 4 << 10

	// MaxReasonBytes is the longest reason of a close, in bytes of UTF-8: a
	// control frame carries 125, and 2 of them are the code (RFC 6455, 5.5).
	MaxReasonBytes = 123

	// MaxDepth is how deep arrays and objects of a JSON frame may be nested; the
	// frame's own object is the first level. Our fields need two levels; the
	// rest is for what other programs add.
	MaxDepth = 16

	// MaxHeaderBytes is the longest header of an HTTP request, in bytes.
	MaxHeaderBytes = 8 << 10

	// MaxWindowBytes is how many bytes of content, senders and ids, and 32 for each
	// message, are on their way to a session without an ACK when nothing more is sent. The
	// last message may go beyond it.
	MaxWindowBytes = 256 << 10

	// MaxInboxBytes is how many bytes of messages may wait in an inbox that no device
	// of the user has. One more is refused: inbox_full.
	MaxInboxBytes = 256 << 20

	// MaxWaitingBytes is how many encoded bytes may wait in one session for a
	// peer that does not read. One more closes the session: slow_consumer.
	MaxWaitingBytes = 1 << 20
)

// Counts.
const (
	// MaxInFlight is how many SENDs of one session may wait for their answer.
	// With that many the session's reader stops reading, and TCP holds the
	// client back.
	MaxInFlight = 256

	// DefaultWindow is how many messages may be on their way to a session without
	// an ACK if its client does not say.
	DefaultWindow = 64

	// MaxWindow is the most that a client gets for a window.
	MaxWindow = 1024

	// MaxDevices is how many devices of one user have a cursor. One more is refused:
	// too_many_devices, unless one of the others has been away for the retention time.
	MaxDevices = 16

	// MaxInboxEntries is how many messages may wait in an inbox that no device of
	// the user has. One more is refused: inbox_full.
	MaxInboxEntries = 100_000

	// MaxSessionsPerUser is how many sessions one user may have at once. One
	// more is refused: too_many_sessions.
	MaxSessionsPerUser = 32

	// MissedPongs is how many pings in a row may stay unanswered. With the last
	// of them the session is closed: heartbeat_timeout.
	MissedPongs = 2
)

// Times.
const (
	// PingInterval is the time between two pings. It is shorter than the 30 s
	// after which the strictest of the common proxies cut an idle connection.
	PingInterval = 25 * time.Second

	// WriteTimeout is how long one write to a socket may take; a peer that takes
	// longer is a slow_consumer.
	WriteTimeout = 10 * time.Second

	// HandshakeTimeout is how long a client may take from the first byte of its
	// request to the end of the upgrade, and in version 1 from there to its CONNECT.
	HandshakeTimeout = 5 * time.Second

	// CloseTimeout is how long the side that sent a close frame waits for the
	// other's before it closes the socket.
	CloseTimeout = 5 * time.Second
)
