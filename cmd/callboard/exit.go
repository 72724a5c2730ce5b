package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"callboard/cmd/callboard/bench"
	"callboard/cmd/callboard/config"
	"callboard/protocol"
	"callboard/transport/client"
)

// exitStatus is what the process ends with. The numbers are a contract with scripts: a
// meaning may be added, and none is changed.
type exitStatus int

const (
	exitOK          exitStatus = 0
	exitFailed      exitStatus = 1
	exitUsage       exitStatus = 2
	exitNotFound    exitStatus = 3
	exitRefused     exitStatus = 4
	exitUnavailable exitStatus = 5
	exitNotAllowed  exitStatus = 6
	exitInterrupted exitStatus = 130
)

// exitRows explain them, for 'callboard help exit-codes'.
var exitRows = []struct {
	status  exitStatus
	meaning string
	next    string
}{
	{exitOK, "done", ""},
	{exitFailed, "something else went wrong, or a check found a fault", "read stderr and the log of the service"},
	{exitUsage, "the command line, or a value on it, is wrong", "see the --help of the command"},
	{exitNotFound, "there is no such user, session, file or inbox", "look for it with 'callboard user list' and 'callboard session list'"},
	{exitRefused, "it was understood and refused: a conflict, or a limit", "the code on stderr says which; change what is asked for"},
	{exitUnavailable, "nobody listens there, there was no answer, or the service takes nothing at the moment", "try again after a pause"},
	{exitNotAllowed, "there is no token, it is wrong, or its role is too low", "give the right one: --data, --token-file or " + config.TokenVariable},
	{exitInterrupted, "SIGINT or SIGTERM came before it was done", ""},
}

// exitError is an error with the status that the process ends with.
type exitError struct {
	status exitStatus
	err    error
}

func (e *exitError) Error() string { return e.err.Error() }

func (e *exitError) Unwrap() error { return e.err }

// exits gives an error its status.
func exits(status exitStatus, err error) error { return &exitError{status, err} }

// misused is the error of who gave a command something that it cannot take.
func misused(format string, args ...any) error {
	return exits(exitUsage, fmt.Errorf(format, args...))
}

// statusOf is the status that an error ends the process with.
func statusOf(err error) exitStatus {
	if err == nil {
		return exitOK
	}
	if known, ok := errors.AsType[*exitError](err); ok {
		return known.status
	}
	if _, ok := errors.AsType[*bench.ConfigError](err); ok {
		return exitUsage
	}
	if code := codeOf(err); code != "" {
		return statusOfCode(code)
	}
	if failed, ok := errors.AsType[*connect.Error](err); ok {
		return statusOfConnect(failed.Code())
	}
	switch {
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return exitUnavailable
	}
	return exitFailed
}

// codeOf is the word for what the service said to a user's client; empty if it said
// nothing.
func codeOf(err error) (code protocol.ErrorCode) {
	if closed, ok := errors.AsType[*client.ClosedError](err); ok {
		code = protocol.ErrorCode(closed.Reason) // the word, where a close code stands for several
		if advice(code) == "" {
			code = closed.Code.Word()
		}
	}
	if refused, ok := errors.AsType[*client.RefusedError](err); ok {
		code = refused.Code
	}
	if failed, ok := errors.AsType[*client.SendError](err); ok && failed.Code != "" {
		code = failed.Code
	}
	return code
}

// statusOfCode is the status of what was refused with a code. Codes that are not named
// are refusals like any other.
func statusOfCode(code protocol.ErrorCode) exitStatus {
	switch code {
	case protocol.CodeInternal:
		return exitFailed
	case protocol.CodeInvalidMessage, protocol.CodeInvalidUserID, protocol.CodeInvalidUTF8, protocol.CodeBadRequest, "invalid_argument":
		return exitUsage
	case protocol.CodeNotFound:
		return exitNotFound
	case protocol.CodeUnavailable, protocol.CodeDraining, protocol.CodeStorageFull, protocol.CodeTooManyConnections, "timeout", "too_many_failures":
		return exitUnavailable
	case protocol.CodeOriginNotAllowed, "unauthenticated", "permission_denied":
		return exitNotAllowed
	}
	return exitRefused
}

// statusOfConnect is the status of an answer without a code of ours.
func statusOfConnect(code connect.Code) exitStatus {
	switch code {
	case connect.CodeInvalidArgument:
		return exitUsage
	case connect.CodeNotFound:
		return exitNotFound
	case connect.CodeAlreadyExists, connect.CodeFailedPrecondition, connect.CodeAborted, connect.CodeResourceExhausted:
		return exitRefused
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded:
		return exitUnavailable
	case connect.CodeUnauthenticated, connect.CodePermissionDenied:
		return exitNotAllowed
	case connect.CodeCanceled:
		return exitInterrupted
	}
	return exitFailed
}

// newExitCodes is help that is no help of a command.
func newExitCodes() *cobra.Command {
	var long strings.Builder
	long.WriteString("What the process ends with. Scripts may rely on it.\n")
	for _, row := range exitRows {
		fmt.Fprintf(&long, "\n%5d  %s", row.status, row.meaning)
		if row.next != "" {
			fmt.Fprintf(&long, "\n       to do: %s", row.next)
		}
	}
	return &cobra.Command{
		Use:     "exit-codes",
		Short:   "What the exit status of a command says",
		Long:    long.String(),
		Example: "  callboard help exit-codes",
		Args:    cobra.NoArgs,
	}
}
