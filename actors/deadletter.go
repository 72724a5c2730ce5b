package actors

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// Deadletter is a message that was set aside, because its receiver's actor fails on it.
type Deadletter = inbox.Deadletter

// DeadletterInfo is a Deadletter without its text and the stack.
type DeadletterInfo struct {
	Number           uint64
	At               int64 // when it was set aside: milliseconds since 1970-01-01 UTC
	Sender, Receiver protocol.UserID
	ID               string // the sender's; may be empty
	Crashes          uint64
	Reason           string // of the last failure
	Size             int    // of the text, in bytes
	Bytes            int    // that it counts

	sum uint64 // of the text
}

// Deadletters sums up what is set aside.
type Deadletters struct {
	Messages int
	Bytes    int
}

// ListDeadletters returns up to limit of the messages that are set aside, 1 to MaxPage, with
// numbers greater than after, in their order; whether there are more; and how many there are
// in all. Numbers go up, and may begin anew when all are dropped and the service is restarted.
func (s *System) ListDeadletters(ctx context.Context, after uint64, limit int) (letters []DeadletterInfo, more bool, all Deadletters, err error) {
	page, err := ask[*deadletterPage](ctx, s, s.coroner, &listDeadletters{after, min(max(limit, 1), MaxPage)})
	if err != nil {
		return nil, false, Deadletters{}, err
	}
	return page.letters, page.more, page.kept, nil
}

// ReadDeadletter returns a message that is set aside, text and stack included.
//
// Errors: an *Error with a code (not_found, unavailable, draining), or the context's.
func (s *System) ReadDeadletter(ctx context.Context, number uint64) (*Deadletter, error) {
	return ask[*Deadletter](ctx, s, s.coroner, &readDeadletter{number})
}

// DropDeadletters removes messages that are set aside, those of the numbers or all, and
// returns how many there were. Errors are those of ReadDeadletter.
func (s *System) DropDeadletters(ctx context.Context, all bool, numbers ...uint64) (dropped int, err error) {
	answer, err := ask[*droppedDeadletters](ctx, s, s.coroner, &dropDeadletters{numbers, all})
	if err != nil {
		return 0, err
	}
	return answer.dropped, nil
}

// RetryDeadletter sends a message that is set aside once more, as its sender did, and drops
// it when it is kept. If its receiver's actor fails on it again, it is set aside under the
// same number.
//
// Errors are those of Send and ReadDeadletter. When only dropping it fails, there is a Sent
// besides: to retry it again is safe if it has an id.
func (s *System) RetryDeadletter(ctx context.Context, number uint64) (*protocol.Sent, error) {
	letter, err := s.ReadDeadletter(ctx, number)
	if err != nil {
		return nil, err
	}
	msg := sendOf(letter)
	if _, err := askUser[*pardoned](ctx, s, letter.Receiver, &pardon{msg}); err != nil {
		return nil, err
	}
	sent, err := s.Send(ctx, msg)
	if err != nil {
		return nil, err
	}
	if _, err := s.DropDeadletters(ctx, false, number); err != nil {
		return sent, fmt.Errorf("message %d is kept now, and could not be dropped: %w", number, err)
	}
	return sent, nil
}

// contentSum tells texts apart.
func contentSum(content string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, content) // a hash takes everything
	return h.Sum64()
}
