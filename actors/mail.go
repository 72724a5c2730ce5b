package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// outgoing is a send on its way: the message and its envelope in one allocation.
// The envelope's Sender is the address that gets the answer: Sent or Error, one
// for each send.
type outgoing struct {
	envelope actor.MessageEnvelope
	send     protocol.Send
	untimed  uint16 // messages until one whose time is taken, with this one
}

func newOutgoing(answerTo *actor.PID) *outgoing {
	o := &outgoing{}
	o.envelope.Message = &o.send
	o.envelope.Sender = answerTo
	return o
}

// answer sends an answer to whoever asked, if anybody did.
func answer(ctx actor.Context, msg any) {
	if to := ctx.Sender(); to != nil {
		ctx.Send(to, msg)
	}
}

// sender is what an actor's context and the root's have in common.
type sender interface {
	Send(to *actor.PID, message any)
}

// refuse answers a message that cannot be handled in the form that its sender
// waits for. Messages that nobody waits for are passed over.
func (s *System) refuse(ctx sender, to *actor.PID, message any, why *Error) {
	switch msg := message.(type) {
	case *protocol.Send:
		s.refusedSend(msg, why)
		if to != nil {
			ctx.Send(to, refusal(msg, why))
		}
	case *setAside:
		s.refuse(ctx, to, msg.send, why)
	case *attach:
		ctx.Send(msg.session, &refused{err: why})
	default:
		if to != nil {
			ctx.Send(to, why)
		}
	}
}

// restore is the message and its sender, for mail kept outside of a mailbox.
func restore(mail any) (message any, sender *actor.PID) {
	_, message, sender = actor.UnwrapEnvelope(mail)
	return message, sender
}

// mailOf is the message at hand with its sender, to be kept and sent on later.
func mailOf(ctx actor.Context) any {
	if sender := ctx.Sender(); sender != nil {
		return &actor.MessageEnvelope{Message: ctx.Message(), Sender: sender}
	}
	return ctx.Message()
}

// kind is a message's type, for logs; its contents are nobody's business there.
func kind(message any) string { return fmt.Sprintf("%T", actor.UnwrapEnvelopeMessage(message)) }
