package actors

import (
	"context"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// question is an address that takes one answer, for callers who are no actors.
type question chan any

var _ actor.Process = question(nil)

// SendUserMessage implements actor.Process.
func (q question) SendUserMessage(_ *actor.PID, message any) {
	_, msg, _ := actor.UnwrapEnvelope(message)
	select {
	case q <- msg:
	default: // it has its answer
	}
}

// SendSystemMessage implements actor.Process.
func (question) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (question) Stop(*actor.PID) {}

// ask sends a message and waits for its answer. What comes instead of an answer
// becomes an error: an *Error, or a message that nobody took.
func ask[Answer any](ctx context.Context, s *System, to *actor.PID, msg any) (Answer, error) {
	q := make(question, 1)
	pid, _ := s.actors.ProcessRegistry.Add(q, s.actors.ProcessRegistry.NextId())
	defer s.actors.ProcessRegistry.Remove(pid)
	s.root.Send(to, &actor.MessageEnvelope{Message: msg, Sender: pid})

	var none Answer
	select {
	case <-s.registryDone: // it stops last
		return none, ErrDraining
	case <-ctx.Done():
		return none, fmt.Errorf("waiting for the %s: %w", to.GetId(), ctx.Err())
	case got := <-q:
		switch got := got.(type) {
		case Answer:
			return got, nil
		case *Error:
			return none, got
		case *protocol.Error:
			return none, &Error{protocol.ErrorCode(got.Code), got.Reason}
		case *actor.DeadLetterResponse:
			return none, ErrDraining
		default:
			return none, errors.New("unexpected answer " + fmt.Sprintf("%T", got))
		}
	}
}
