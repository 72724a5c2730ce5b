package actors

import "callboard/protocol"

// Error is what the service answers when it cannot do what was asked: a code
// that programs test and a reason for people. Two Errors are the same to
// errors.Is when their codes are.
type Error struct {
	Code   protocol.ErrorCode
	Reason string
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Reason }

// Is compares codes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// What callers test for with errors.Is.
var (
	ErrDraining        = &Error{protocol.CodeDraining, "the service is shutting down; connect again in a moment"}
	ErrNotConnected    = &Error{protocol.CodeNotConnected, "the user has no session"}
	ErrTooManySessions = &Error{protocol.CodeTooManySessions, "the user has as many sessions as one may have; close one of them first"}
	ErrUnavailable     = &Error{protocol.CodeUnavailable, "the user's actor failed repeatedly and rests for a moment; try again later"}
	ErrTooManyUsers    = &Error{protocol.CodeUnavailable, "the node holds as many users as it may; try again later"}
	ErrInternal        = &Error{protocol.CodeInternal, "the service failed while it handled this message; it may not have been delivered"}
)

// refusal makes the ERROR frame that answers a send.
func refusal(to *protocol.Send, e *Error) *protocol.Error {
	return &protocol.Error{Id: to.GetId(), Code: string(e.Code), Reason: e.Reason}
}
