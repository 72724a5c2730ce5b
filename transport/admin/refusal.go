package admin

import (
	"context"
	"errors"
	"strings"

	"connectrpc.com/connect"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// Codes of this API besides the protocol's.
const (
	codeNotFound         = protocol.CodeNotFound
	codeInvalidArgument  = protocol.ErrorCode("invalid_argument")
	codeUnauthenticated  = protocol.ErrorCode("unauthenticated")
	codePermissionDenied = protocol.ErrorCode("permission_denied")
	codeTimeout          = protocol.ErrorCode("timeout")

	codeTimeIsUp = protocol.ErrorCode("time_is_up")
	codeScaling  = protocol.ErrorCode("scaling")

	codeNotKept        = protocol.ErrorCode("not_kept")
	codeBackupRuns     = protocol.ErrorCode("backup_runs")
	codeBackupExists   = protocol.ErrorCode("backup_exists")
	codeTooManyBackups = protocol.ErrorCode("too_many_backups")
)

// refusal is an error with what went wrong, the code for programs and what to do.
func refusal(status connect.Code, code protocol.ErrorCode, reason, action string) *connect.Error {
	err := connect.NewError(status, errors.New(reason))
	detail, failed := connect.NewErrorDetail(&adminv1.Refusal{Code: string(code), Action: action})
	if failed == nil { // two strings: it never fails but for UTF-8, which both are
		err.AddDetail(detail)
	}
	return err
}

// actionOf is what to do about an error.
func actionOf(err *connect.Error) string {
	for _, detail := range err.Details() {
		value, failed := detail.Value()
		if refusal, ok := value.(*adminv1.Refusal); failed == nil && ok {
			return refusal.Action
		}
	}
	return "see the log of the service"
}

// invalid refuses an argument.
func invalid(field, fault, action string) *connect.Error {
	return refusal(connect.CodeInvalidArgument, codeInvalidArgument, field+": "+fault, action)
}

// statuses are connect's words for the actors'.
var statuses = map[protocol.ErrorCode]connect.Code{
	protocol.CodeInvalidUserID:  connect.CodeInvalidArgument,
	protocol.CodeInvalidMessage: connect.CodeInvalidArgument,
	protocol.CodeTooLarge:       connect.CodeInvalidArgument,
	protocol.CodePoisoned:       connect.CodeFailedPrecondition,
	protocol.CodeConflict:       connect.CodeAlreadyExists,
	protocol.CodeInboxFull:      connect.CodeResourceExhausted,
	protocol.CodeStorageFull:    connect.CodeResourceExhausted,
	actors.CodeTooManyStreams:   connect.CodeResourceExhausted,
	protocol.CodeUnavailable:    connect.CodeUnavailable,
	protocol.CodeDraining:       connect.CodeUnavailable,
	protocol.CodeInternal:       connect.CodeInternal,
	protocol.CodeNotFound:       connect.CodeNotFound,
	actors.CodeTooManyBlocked:   connect.CodeResourceExhausted,
	actors.CodeDeviceConnected:  connect.CodeFailedPrecondition,
	actors.CodeUnseen:           connect.CodeFailedPrecondition,
}

// actions are what to do about codes that the protocol's table does not have, or has for
// others.
var actions = map[protocol.ErrorCode]string{
	protocol.CodeNotFound:      "look at the spelling; GetUser shows the devices there are",
	actors.CodeTooManyBlocked:  "unblock users who need it no more; ListBlocked shows them",
	actors.CodeDeviceConnected: "close its sessions first, or set force",
	actors.CodeTooManyStreams:  "end another watch or trace first, or try again later",
	actors.CodeUnseen:          "take fewer messages, or set unseen to lose these",
}

// refused is the answer to an error of the actors.
func refused(err error) error {
	if why, ok := errors.AsType[*actors.Error](err); ok {
		status, known := statuses[why.Code]
		if !known {
			status = connect.CodeInternal
		}
		reason, remedy, _ := strings.Cut(why.Reason, "; ")
		if actions[why.Code] != "" || remedy == "" {
			remedy = action(why.Code)
		}
		return refusal(status, why.Code, reason, remedy)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return refusal(connect.CodeDeadlineExceeded, codeTimeout, "there was no answer in time",
			"try again, a send under the same id; if it lasts, GetTree shows what is busy")
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, errors.New("the caller has gone"))
	}
	return refusal(connect.CodeInternal, protocol.CodeInternal, "the service made a mistake", action(protocol.CodeInternal))
}

// action is what the table of codes says to do, or this API's own.
func action(code protocol.ErrorCode) string {
	if what := actions[code]; what != "" {
		return what
	}
	for _, row := range protocol.Codes() {
		if row.Code == code && row.Action != "" {
			return strings.ToLower(row.Action[:1]) + strings.TrimSuffix(row.Action[1:], ".")
		}
	}
	return ""
}

// parseUser reads the user id of a field.
func parseUser(field, id string) (protocol.UserID, error) {
	user, err := protocol.ParseUserID(id)
	if err != nil {
		return "", refusal(connect.CodeInvalidArgument, protocol.CodeInvalidUserID, field+": "+err.Error(), action(protocol.CodeInvalidUserID))
	}
	return user, nil
}
