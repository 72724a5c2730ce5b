package mailbox

import (
	"fmt"
	"runtime/debug"
)

// Failure is what a mailbox escalates when its actor panics: with the stack, which
// nobody can ask for any more when the supervisor decides.
type Failure struct {
	Reason any // what the actor panicked with
	Stack  string
}

// Expected is what a panic is of that says all there is to say: its stack is not taken.
type Expected interface{ Expected() }

func newFailure(reason any) *Failure {
	f := &Failure{Reason: reason}
	if _, expected := reason.(Expected); !expected {
		f.Stack = string(debug.Stack())
	}
	return f
}

func (f *Failure) String() string { return fmt.Sprint(f.Reason) }
