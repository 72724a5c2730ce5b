package protocol

import "slices"

// An ErrorCode is the one word for something that went wrong. An ERROR frame
// has it as its code, the body of a refused HTTP request too, a close frame as
// its reason, and the metrics as a label. Clients may rely on it; the words
// beside it are for people and may change.
type ErrorCode string

// The words, each explained in the table below: answers to a frame, answers to an
// HTTP request, and reasons of a close. Some are more than one of these.
const (
	CodeInvalidMessage ErrorCode = "invalid_message"
	CodeUnknownType    ErrorCode = "unknown_type"
	CodeInvalidUserID  ErrorCode = "invalid_user_id"
	CodeSenderMismatch ErrorCode = "sender_mismatch"
	CodeUnavailable    ErrorCode = "unavailable"
	CodeInternal       ErrorCode = "internal"
	CodePoisoned       ErrorCode = "poisoned"
	CodeConflict       ErrorCode = "conflict"
	CodeInboxFull      ErrorCode = "inbox_full"
	CodeStorageFull    ErrorCode = "storage_full"
	CodeGap            ErrorCode = "gap"
	CodeRateLimited    ErrorCode = "rate_limited"

	CodeBadRequest         ErrorCode = "bad_request"
	CodeOriginNotAllowed   ErrorCode = "origin_not_allowed"
	CodeNotFound           ErrorCode = "not_found"
	CodeMethodNotAllowed   ErrorCode = "method_not_allowed"
	CodeUpgradeRequired    ErrorCode = "upgrade_required"
	CodeTooManyConnections ErrorCode = "too_many_connections"
	CodeTooManySessions    ErrorCode = "too_many_sessions"
	CodeTooManyDevices     ErrorCode = "too_many_devices"
	CodeTooManyAttempts    ErrorCode = "too_many_attempts"
	CodeUnknownSubprotocol ErrorCode = "unknown_subprotocol"
	CodeUserMismatch       ErrorCode = "user_mismatch"

	CodeNormal           ErrorCode = "normal"
	CodeDraining         ErrorCode = "draining"
	CodeProtocolError    ErrorCode = "protocol_error"
	CodeUnsupportedData  ErrorCode = "unsupported_data"
	CodeInvalidUTF8      ErrorCode = "invalid_utf8"
	CodePolicyViolation  ErrorCode = "policy_violation"
	CodeTooLarge         ErrorCode = "too_large"
	CodeSlowConsumer     ErrorCode = "slow_consumer"
	CodeHeartbeatTimeout ErrorCode = "heartbeat_timeout"
	CodeClosedByOperator ErrorCode = "closed_by_operator"
	CodeReplaced         ErrorCode = "replaced"
	CodeBlocked          ErrorCode = "blocked"
	CodeUnauthorized     ErrorCode = "unauthorized"
	CodeTokenExpired     ErrorCode = "token_expired"
)

// A CodeRow explains one code: what it means, and what a client does about it.
type CodeRow struct {
	Code ErrorCode

	// Close is the close code that the word is the reason of; 0 if the word
	// belongs to no close code of its own.
	Close CloseCode

	// Reconnect is whether a client that was closed with Close comes back, after
	// a short, random and growing pause.
	Reconnect bool

	Meaning string // What happened.
	Action  string // What the client does, or the person who wrote it.
}

// Codes is the table of all codes. The caller owns the slice.
func Codes() []CodeRow { return slices.Clone(codes[:]) }

var codes = [...]CodeRow{
	// Answers to a frame. The session goes on.
	{
		Code:    CodeInvalidMessage,
		Meaning: "The frame is not what its codec writes, or a field is missing, repeated or of the wrong kind.",
		Action:  "Mend the client: the reason names the field. The same frame will be refused again.",
	},
	{
		Code:    CodeUnknownType,
		Meaning: "The frame's type is no number that the server knows, or one that clients do not send.",
		Action:  "Mend the client, or find out which version the server speaks.",
	},
	{
		Code:    CodeInvalidUserID,
		Meaning: "A user id is empty, too long, or has a character that ids do not use; or a client connects as `system`.",
		Action:  "Give an id of 1 to 64 letters, digits and . _ - : @ +, and not `system` to connect as.",
	},
	{
		Code:    CodeSenderMismatch,
		Meaning: "The SEND claims another sender than the user who is connected.",
		Action:  "Leave the sender out; the server sets it.",
	},
	{
		Code:      CodeUnavailable,
		Close:     CloseTryAgainLater,
		Reconnect: true,
		Meaning:   "What is needed for the answer does not work at the moment.",
		Action:    "Try again after a growing, random pause.",
	},
	{
		Code:      CodeInternal,
		Close:     CloseInternal,
		Reconnect: true,
		Meaning:   "The server made a mistake over this message or in this session.",
		Action:    "Try again once; an operator finds the cause in the log.",
	},
	{
		Code:    CodePoisoned,
		Meaning: "The server has failed on this message each time it came, and has set it aside for its operator.",
		Action:  "Do not send it again: it would be refused. An operator who has mended the cause sends it on.",
	},
	{
		Code:    CodeConflict,
		Meaning: "The sender sent another message to this receiver under the same id before.",
		Action:  "Give each message an id of its own; only a repetition has the id of the first.",
	},
	{
		Code:    CodeInboxFull,
		Meaning: "The receiver's inbox holds as much as one may that no device of the receiver has fetched.",
		Action:  "Send it again when the receiver has been connected.",
	},
	{
		Code:    CodeStorageFull,
		Meaning: "The disk of the service is full; the message is not confirmed.",
		Action:  "Send it again under the same id after a growing, random pause; an operator has to make room.",
	},
	{
		Code:    CodeGap,
		Meaning: "Retention, or an operator, took messages before this device had them; the field gap has their numbers.",
		Action:  "Tell the user that something is missing; what follows is complete again.",
	},
	{
		Code:      CodeRateLimited,
		Close:     CloseRateLimited,
		Reconnect: true,
		Meaning:   "The session, or the user, has sent more in a time than it may, and did not let itself be slowed down.",
		Action:    "Send nothing for as long as the field retry says, and less at once from then on.",
	},

	// Answers to an HTTP request that does not become a session.
	{
		Code:    CodeBadRequest,
		Meaning: "The request is not one that HTTP or the WebSocket handshake allows.",
		Action:  "Mend the client.",
	},
	{
		Code:    CodeOriginNotAllowed,
		Meaning: "A page of another site asked for the connection.",
		Action:  "Serve the page from the server's own origin, or have the operator allow its origin.",
	},
	{
		Code:    CodeNotFound,
		Meaning: "The path leads nowhere.",
		Action:  "Connect to /ws/{id}.",
	},
	{
		Code:    CodeMethodNotAllowed,
		Meaning: "The path exists, but not for this method.",
		Action:  "Use the method that the Allow header names.",
	},
	{
		Code:    CodeUpgradeRequired,
		Meaning: "The path is for WebSocket, and the request did not ask for an upgrade.",
		Action:  "Connect with a WebSocket client.",
	},
	{
		Code:    CodeTooManyConnections,
		Meaning: "The server has as many connections as it was told to take.",
		Action:  "Try again after the time in the Retry-After header.",
	},
	{
		Code:    CodeTooManySessions,
		Meaning: "The user has as many sessions as one user may have.",
		Action:  "Close another session of the user first.",
	},
	{
		Code:    CodeTooManyDevices,
		Meaning: "The user has as many devices as one user may have, and this one is new.",
		Action:  "Connect under the name of a device that is known; one that stays away for the retention time is forgotten.",
	},
	{
		Code:    CodeTooManyAttempts,
		Meaning: "The address has asked for more connections in a time than one may.",
		Action:  "Try again after the time in the Retry-After header. Who asks on is cut without a word.",
	},
	{
		Code:    CodeUnknownSubprotocol,
		Meaning: "The client asked for a version of the protocol that the server does not speak.",
		Action:  "Offer callboard.v1.json or callboard.v1.proto.",
	},
	{
		Code:    CodeUserMismatch,
		Meaning: "The token is for another user than the path names, or than the session is of.",
		Action:  "Connect as the user whom the token is for, or to /ws, and renew a session with a token for its user.",
	},

	// Reasons of a close.
	{
		Code:    CodeNormal,
		Close:   CloseNormal,
		Meaning: "The session has done what it was for.",
		Action:  "Nothing.",
	},
	{
		Code:      CodeDraining,
		Close:     CloseGoingAway,
		Reconnect: true,
		Meaning:   "The server shuts down, or the client's page goes away.",
		Action:    "Connect again, to whichever server answers.",
	},
	{
		Code:    CodeProtocolError,
		Close:   CloseProtocolError,
		Meaning: "A frame breaks the rules of WebSocket.",
		Action:  "Mend the client's WebSocket library.",
	},
	{
		Code:    CodeUnsupportedData,
		Close:   CloseUnsupportedData,
		Meaning: "A binary frame came where the protocol has text, or the other way round.",
		Action:  "Send JSON in text frames, and protobuf in binary ones.",
	},
	{
		Code:    CodeInvalidUTF8,
		Close:   CloseInvalidPayload,
		Meaning: "A text is not valid UTF-8. A text frame ends the session by it; in a binary one its message is refused.",
		Action:  "Mend the client: the text was cut in the middle of a character, or is in another encoding.",
	},
	{
		Code:    CodePolicyViolation,
		Close:   ClosePolicyViolation,
		Meaning: "The client did what it may not do, and no other code fits.",
		Action:  "Mend the client.",
	},
	{
		Code:    CodeTooLarge,
		Close:   CloseTooBig,
		Meaning: "A frame is longer than MaxFrameBytes and ends the session, or a content is longer than MaxContentBytes and is refused.",
		Action:  "Send less at once.",
	},
	{
		Code:      CodeSlowConsumer,
		Close:     CloseSlowConsumer,
		Reconnect: true,
		Meaning:   "The client did not read fast enough, and too much waited for it.",
		Action:    "Connect again and read without waiting for your own work.",
	},
	{
		Code:      CodeHeartbeatTimeout,
		Close:     CloseHeartbeatTimeout,
		Reconnect: true,
		Meaning:   "The client left its pings unanswered.",
		Action:    "Connect again.",
	},
	{
		Code:    CodeClosedByOperator,
		Close:   CloseByOperator,
		Meaning: "An operator closed the session.",
		Action:  "Ask the operator.",
	},
	{
		Code:    CodeReplaced,
		Close:   CloseReplaced,
		Meaning: "The same device connected again; the newer session takes its place.",
		Action:  "Nothing, or give the two programs two device names.",
	},
	{
		Code:    CodeBlocked,
		Close:   CloseBlocked,
		Meaning: "An operator has blocked the user: its sessions are closed, and a handshake is refused.",
		Action:  "Ask the operator.",
	},
	{
		Code:    CodeUnauthorized,
		Close:   CloseUnauthorized,
		Meaning: "There is no token, or none that holds: forged, revoked, of an issuer or for an audience that the service does not take.",
		Action:  "Sign in, and connect with the token that was issued then.",
	},
	{
		Code:      CodeTokenExpired,
		Close:     CloseTokenExpired,
		Reconnect: true,
		Meaning:   "The token has expired, and no new one came within the grace.",
		Action:    "Get a new token, and connect again with it.",
	},
}
