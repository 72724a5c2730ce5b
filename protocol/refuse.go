package protocol

import "strconv"

// Faults that more than one place finds.
const (
	untyped = "a frame says what it is"
	notUTF8 = "not valid UTF-8"
)

// A FrameError says why a frame was refused.
type FrameError struct {
	Code ErrorCode

	// ID is that of the refused message, if it could be read.
	ID string

	// Field is the field at fault, empty if it is the frame as a whole. One
	// inside of another has both names: limits.sessions.
	Field string

	// Reason is the field and its fault in words, at most MaxReasonBytes. It
	// quotes nothing from the frame, so it may be logged and sent on.
	Reason string
}

// Error is the code and the reason.
func (e *FrameError) Error() string { return string(e.Code) + ": " + e.Reason }

// Message is the ERROR that tells the client.
func (e *FrameError) Message() *Error {
	return &Error{Id: e.ID, Code: string(e.Code), Reason: e.Reason}
}

// tooLarge is the error for a frame of more than limit bytes.
func tooLarge(limit int) *FrameError {
	return &FrameError{
		Code:   CodeTooLarge,
		Reason: "frame: longer than " + strconv.Itoa(limit) + " bytes",
	}
}

// refuse notes a fault of field f, if it is the first.
func (d *decoder) refuse(code ErrorCode, f field, fault string) {
	if d.err == nil {
		name := fieldNames[f]
		d.err = &FrameError{Code: code, Field: name, Reason: name + ": " + fault}
	}
}

// malformed is the error for a frame that is not what its codec makes.
func (d *decoder) malformed(code ErrorCode, fault string) *FrameError {
	d.err = &FrameError{Code: code, Reason: "frame: " + fault}
	d.err.ID = d.refusedID()
	return d.err
}

// refusedID is the id of a message that is refused, empty if it cannot be read.
// It must not be called before the fault is noted in err, where the first stays.
func (d *decoder) refusedID() string {
	return d.messageID("")
}
