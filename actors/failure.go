package actors

import (
	"fmt"

	"callboard/actors/mailbox"
)

// failure is why an actor has failed, as its supervisor is told.
type failure struct {
	reason any // what it panicked with
	stack  string
}

// failureOf takes apart what a mailbox has escalated.
func failureOf(reason any) failure {
	if f, ok := reason.(*mailbox.Failure); ok {
		return failure{f.Reason, f.Stack}
	}
	return failure{reason: reason}
}

func (f failure) text() string { return fmt.Sprint(f.reason) }
