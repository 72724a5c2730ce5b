package protocol

import "strconv"

// A CloseCode is the number in a WebSocket close frame, and in a CLOSE. Its word
// and its meaning are in the table in codes.go.
type CloseCode uint16

// The codes of RFC 6455, 7.4.1, that Callboard uses, 1013 of the IANA registry,
// and eight of its own from the range for applications.
const (
	CloseNormal          CloseCode = 1000
	CloseGoingAway       CloseCode = 1001
	CloseProtocolError   CloseCode = 1002
	CloseUnsupportedData CloseCode = 1003
	CloseInvalidPayload  CloseCode = 1007
	ClosePolicyViolation CloseCode = 1008
	CloseTooBig          CloseCode = 1009
	CloseInternal        CloseCode = 1011
	CloseTryAgainLater   CloseCode = 1013

	CloseSlowConsumer     CloseCode = 4001
	CloseHeartbeatTimeout CloseCode = 4002
	CloseByOperator       CloseCode = 4003
	CloseReplaced         CloseCode = 4004
	CloseBlocked          CloseCode = 4005
	CloseUnauthorized     CloseCode = 4006
	CloseTokenExpired     CloseCode = 4007
	CloseRateLimited      CloseCode = 4008
)

// Valid reports whether a peer may put the code into a close frame: the
// registered ones, and the ranges for libraries and applications (RFC 6455,
// 7.4). 1004 to 1006 and 1015 are never sent.
func (c CloseCode) Valid() bool {
	switch {
	case 1000 <= c && c <= 1003, 1007 <= c && c <= 1014, 3000 <= c && c <= 4999:
		return true
	}
	return false
}

// Word is the reason that belongs to the code, the same word that ERROR frames
// and metrics use. It is empty for a code that is not in the table.
func (c CloseCode) Word() ErrorCode {
	for i := range codes {
		if codes[i].Close == c && c != 0 {
			return codes[i].Code
		}
	}
	return ""
}

// Reconnect reports whether a client that was closed with c should come back,
// after a short, random and growing pause. A code that is not in the table, or
// a connection that ended without one, is taken for trouble on the way: yes.
func (c CloseCode) Reconnect() bool {
	for i := range codes {
		if codes[i].Close == c && c != 0 {
			return codes[i].Reconnect
		}
	}
	return true
}

// String is the number with its word, for logs: "4001 slow_consumer".
func (c CloseCode) String() string {
	number := strconv.FormatUint(uint64(c), 10)
	if word := c.Word(); word != "" {
		return number + " " + string(word)
	}
	return number
}
