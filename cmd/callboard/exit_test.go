package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"connectrpc.com/connect"

	"callboard/cmd/callboard/bench"
	"callboard/protocol"
	"callboard/transport/client"
)

// The numbers are what scripts test: this is the contract.
func TestEveryErrorHasItsExitStatus(t *testing.T) {
	for want, errs := range map[int][]error{
		0: {nil},
		1: {errors.New("x"), connect.NewError(connect.CodeInternal, nil), &client.SendError{Code: protocol.CodeInternal}},
		2: {misused("x"), &bench.ConfigError{Err: errors.New("x")}, connect.NewError(connect.CodeInvalidArgument, nil), &client.RefusedError{Code: protocol.CodeInvalidUserID}},
		3: {connect.NewError(connect.CodeNotFound, nil), &client.RefusedError{Code: protocol.CodeNotFound}},
		4: {
			connect.NewError(connect.CodeAlreadyExists, nil), connect.NewError(connect.CodeFailedPrecondition, nil), &client.SendError{Code: protocol.CodeInboxFull},
			&client.ClosedError{Code: protocol.CloseReplaced}, &client.ClosedError{Code: protocol.CloseByOperator, Reason: "enough"},
		},
		5: {
			connect.NewError(connect.CodeUnavailable, nil), fmt.Errorf("x: %w", syscall.ECONNREFUSED), context.DeadlineExceeded,
			&client.RefusedError{Code: "too_many_failures"}, &client.ClosedError{Code: protocol.CloseGoingAway}, &client.RefusedError{Code: protocol.CodeTooManyConnections},
		},
		6:   {connect.NewError(connect.CodePermissionDenied, nil), connect.NewError(connect.CodeUnauthenticated, nil), &client.RefusedError{Code: protocol.CodeOriginNotAllowed}},
		130: {context.Canceled, connect.NewError(connect.CodeCanceled, nil)},
	} {
		for _, err := range errs {
			if err != nil {
				err = fmt.Errorf("doing it: %w", err)
			}
			if got := int(statusOf(err)); got != want {
				t.Errorf("%v: exit status %d, want %d", err, got, want)
			}
		}
	}
}

func TestExitCodesAreExplained(t *testing.T) {
	var out strings.Builder
	for _, args := range [][]string{{"help", "exit-codes"}, {"exit-codes"}} {
		out.Reset()
		root := newCommand()
		root.SetOut(&out)
		root.SetArgs(args)
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		for _, row := range exitRows {
			if !strings.Contains(out.String(), "  "+strconv.Itoa(int(row.status))+"  "+row.meaning) {
				t.Errorf("%v has no %d:\n%s", args, row.status, &out)
			}
		}
	}
}

// README has the same table.
func TestReadmeHasTheExitCodes(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range exitRows {
		if line := fmt.Sprintf("\n| %d | %s |\n", row.status, row.meaning); !strings.Contains(string(readme), line) {
			t.Errorf("README has no line %q", line)
		}
	}
}
