package actors

import (
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// A poison message is one that its receiver's actor fails on each time it comes: a client
// repeats what was answered with internal, and would keep the user from everybody else's
// mail. After deadlyCrashes the shard has the coroner set it aside (coroner.go), which
// answers its sender, and the user goes on as if nothing had been. While it is
// remembered it is refused as poisoned without being tried. One without an id may be another
// of the same text, so it is tried each time.

type (
	// setAside, to the coroner, asks to keep a message aside. The answer goes to whoever
	// waits for that of the message.
	setAside struct {
		send   *protocol.Send
		letter *inbox.Deadletter
		kept   bool // it is in the inbox: nobody is to be told, and nothing refused
	}
	// wasSetAside, to a shard, is the coroner's: the message is kept aside.
	wasSetAside struct{ send *protocol.Send }
	// pardon, to a shard, gives a message another try. The answer is pardoned.
	pardon   struct{ send *protocol.Send }
	pardoned struct{}
	// forgetCrashes is the shard's own clock: some are old.
	forgetCrashes struct{}
)

var (
	msgForgetCrashes = &forgetCrashes{}
	msgPardoned      = &pardoned{}
)

const (
	// maxReason and maxStack bound what is kept of a failure, in bytes.
	maxReason = 1 << 10
	maxStack  = 8 << 10
)

// refusePoison answers the message at hand if it was set aside.
func (s *shard) refusePoison(ctx actor.Context, msg *protocol.Send) bool {
	if !s.crashes.refuses(msg) {
		return false
	}
	s.system.refuse(ctx, ctx.Sender(), msg, ErrPoisoned)
	return true
}

// crashed counts a failure of a user's actor over a message, and has it set aside if it
// is one too many. It returns whether it does; then the failure is the message's.
func (s *shard) crashed(ctx sender, e *entry, failure failure, message any) (poison bool) {
	if over, ok := failure.reason.(*undelivered); ok {
		return s.stumbled(ctx, e, failure, over)
	}
	mail, waits := restore(message)
	msg, ok := mail.(*protocol.Send)
	if !ok {
		return false
	}
	times := s.crashes.add(msg, s.system.now())
	s.forgetLater()
	if times < deadlyCrashes {
		return false
	}
	s.acquit(e)
	letter := letterOf(msg, times, failure)
	ctx.Send(s.system.coroner, &actor.MessageEnvelope{Message: &setAside{send: msg, letter: letter}, Sender: waits})
	return true
}

func (s *shard) wasSetAside(msg *wasSetAside) {
	if msg.send.Id == "" {
		return
	}
	s.crashes.setAside(msg.send, s.system.now())
	s.forgetLater()
}

func (s *shard) pardon(ctx actor.Context, msg *pardon) {
	s.crashes.pardon(msg.send, s.system.now())
	s.forgetLater()
	answer(ctx, msgPardoned)
}

// forgetLater has forgetCrashes come when something may be old.
func (s *shard) forgetLater() {
	if s.forgetting == nil {
		s.forgetting = s.system.after(crashMemory, s.self, msgForgetCrashes)
	}
}

func (s *shard) forgetCrashes() {
	s.forgetting = nil
	if s.crashes.forget(s.system.now()); s.crashes.recent.Len() > 0 {
		s.forgetLater()
	}
}

// poisoned counts and tells that a message is set aside, whether the store keeps it or not.
func (s *System) poisoned(letter *inbox.Deadletter, kept bool) {
	s.counts.poisoned.Add(1)
	s.log.Error("message set aside: its receiver's actor fails on it",
		slog.String("receiver", string(letter.Receiver)), slog.String("sender", string(letter.Sender)), slog.String("id", letter.ID),
		slog.Uint64("number", letter.Number), slog.Uint64("crashes", letter.Crashes), slog.Bool("kept", kept),
		slog.String("reason", letter.Reason))
	if s.watched() {
		s.publish(Event{Kind: MessagePoisoned, User: letter.Receiver, Code: protocol.CodePoisoned, Reason: letter.Reason})
	}
}

// clip is the beginning of a text.
func clip(text string, most int) string { return text[:min(len(text), most)] }
