package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/mailbox"
	"callboard/protocol"
)

// newMailbox makes the mailbox of the few; users and sessions have theirs inside.
func newMailbox() actor.Mailbox { return mailbox.New(nil) }

// sessionMailbox is a mailbox that settles SENT on the spot where the client is told
// nothing of it: in the seed's dialect SENT only gives a credit back, and waking
// the session's actor for that would double the wake-ups of a message that
// travels alone (BenchmarkRelay/window=1).
type sessionMailbox struct{ mailbox.Mailbox }

// PostUserMessage implements actor.Mailbox.
func (b *sessionMailbox) PostUserMessage(message any) {
	if _, ok := message.(*protocol.Sent); ok {
		if link := &b.Owner().(*session).link; link.dialect == Seed {
			link.give()
			return
		}
	}
	b.Mailbox.PostUserMessage(message)
}
