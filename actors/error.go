package actors

import (
	"errors"

	"callboard/actors/inbox"
	"callboard/protocol"
)

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

// Codes that operators meet and clients do not.
const (
	CodeTooManyBlocked  protocol.ErrorCode = "too_many_blocked"
	CodeDeviceConnected protocol.ErrorCode = "device_connected"
	CodeUnseen          protocol.ErrorCode = "unseen"
	CodeTooManyStreams  protocol.ErrorCode = "too_many_streams"
)

// What callers test for with errors.Is.
var (
	ErrDraining        = &Error{protocol.CodeDraining, "the service is shutting down; connect again in a moment"}
	ErrTooManySessions = &Error{protocol.CodeTooManySessions, "the user has as many sessions as one may have; close one of them first"}
	ErrUnavailable     = &Error{protocol.CodeUnavailable, "the user's actor failed repeatedly and rests for a moment; try again later"}
	ErrTooManyUsers    = &Error{protocol.CodeUnavailable, "the node holds as many users as it may; try again later"}
	ErrTooManyDevices  = &Error{protocol.CodeTooManyDevices, "the user has as many devices as one may have; connect under the name of one of them"}
	ErrInternal        = &Error{protocol.CodeInternal, "the service failed while it handled this message; send it again under the same id"}
	ErrPoisoned        = &Error{protocol.CodePoisoned, "the service fails on this message each time, and has set it aside; tell its operator, and do not send it again"}
	ErrConflict        = &Error{protocol.CodeConflict, "id: the sender has sent another message to this receiver under this id; give each message its own"}
	ErrTooManyStreams  = &Error{CodeTooManyStreams, "as many watch this node, or trace on it, as may; end one of those first"}
	ErrStorageFull     = &Error{protocol.CodeStorageFull, "the service has no room to keep messages; try again later"}

	ErrBlocked         = &Error{protocol.CodeBlocked, "an operator has blocked this user; ask the operator"}
	ErrTooManyBlocked  = &Error{CodeTooManyBlocked, "as many users are blocked as may be; unblock some that need it no more"}
	ErrNoBlocklist     = &Error{protocol.CodeUnavailable, "this store keeps no blocks; run the service with one that does"}
	ErrNoDevice        = &Error{protocol.CodeNotFound, "the user has no device of this name"}
	ErrDeviceConnected = &Error{CodeDeviceConnected, "the device is connected; close its sessions first, or force it"}
	ErrNoDeadletter    = &Error{protocol.CodeNotFound, "no message is set aside under this number"}
	ErrTakenOver       = &Error{protocol.CodeUnavailable, "the user has a new actor that waits for its sessions; try again in a moment"}

	// ErrUnavailableStore is the refusal of what needs a store that does not work.
	ErrUnavailableStore = &Error{protocol.CodeUnavailable, "the service cannot reach what it keeps messages in; try again later"}
)

// storageError is the refusal of what the store has not taken.
func storageError(err error) *Error {
	if errors.Is(err, inbox.ErrFull) {
		return ErrStorageFull
	}
	return ErrUnavailableStore
}

// replaceMe is what a user's actor panics with when it is to be replaced by one that
// reads the inbox anew. It is no failure of the actor.
type replaceMe struct{ why error }

// Expected implements mailbox.Expected.
func (*replaceMe) Expected() {}

// errNotKept is why an actor has itself replaced after a commit that failed.
var errNotKept = errors.New("a commit failed, and the numbers given since are void")

// refusal makes the ERROR frame that answers a send.
func refusal(to *protocol.Send, e *Error) *protocol.Error {
	return &protocol.Error{Id: to.GetId(), Code: string(e.Code), Reason: e.Reason}
}
