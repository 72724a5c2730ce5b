package actors

import (
	"context"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/mailbox"
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

// errGivenUp is the answer of a shard that there is no more.
var errGivenUp = errors.New("the shard has been given up")

// ask sends a message and waits for its answer. What comes instead of an answer
// becomes an error: an *Error, or a message that nobody took.
func ask[Answer any](ctx context.Context, s *System, to *actor.PID, msg any) (Answer, error) {
	return wait[Answer](ctx, s, to, msg, func(envelope any) bool {
		s.root.Send(to, envelope)
		return true
	})
}

// askUser is ask on the road to a user.
func askUser[Answer any](ctx context.Context, s *System, user protocol.UserID, msg any) (Answer, error) {
	return wait[Answer](ctx, s, s.ring.Load().road(user).pid, msg, func(envelope any) bool {
		s.post(user, envelope)
		return true
	})
}

// askShard is ask for a shard. It returns errGivenUp if the shard has no users any more.
func askShard[Answer any](ctx context.Context, s *System, to road, msg any) (Answer, error) {
	return wait[Answer](ctx, s, to.pid, msg, func(envelope any) bool {
		return to.box.Post(mailbox.Sealed-1, envelope)
	})
}

// wait posts a question and waits for the answer.
func wait[Answer any](ctx context.Context, s *System, to *actor.PID, msg any, post func(envelope any) bool) (Answer, error) {
	q := make(question, 1)
	pid, _ := s.actors.ProcessRegistry.Add(q, s.actors.ProcessRegistry.NextId())
	defer s.actors.ProcessRegistry.Remove(pid)

	var none Answer
	if !post(&actor.MessageEnvelope{Message: msg, Sender: pid}) {
		return none, errGivenUp
	}
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
