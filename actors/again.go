package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// An actor that survives its panics has lost the message at hand. Who waits for an answer
// is told, and asks again. But some messages nobody would send again, and something would wait
// for them for ever: a user for its actor, a change of the number of shards for its next
// phase, a clock for its next tick. Such a message is tried again on the spot, before all that is
// behind it, and if it fails each time after a while, again and again: the log says so.

// triesOnTheSpot is how often a message is tried again at once. How long an actor waits then
// is in Supervision.
const triesOnTheSpot = 2

// mustBeDone is whether a message is one that nobody sends again.
func mustBeDone(message any) bool {
	switch msg := message.(type) {
	case *prepared, *turned, *shardSettled, *nextStep, *weigh, *ShardInfo, *Error: // to the registry
	case *open, *sessionEnded, *beat, *drain, *drainNext, *lendMeter: // to the gateway
	case *sweepBlocks: // to the doorkeeper
	case *setAside: // to the coroner
		return msg.kept // else its sender sends it again
	case *prepare, *prepareMore, *turn, *settle, *claim, *absent, *handover, *remember, *inherit: // to a shard, as those that follow
	case *quiet, *leave, *stay, *sweep, *fenced, *unpark, *detach, *ack, *sessionClosed, *wasSetAside, *forgetCrashes, *wrappedUp:
	case *attach, *overdue, *end:
	case *actor.Terminated: // from those below
	default:
		return false
	}
	return true
}

// tryAgain tries the message at hand again, if it must be done. It returns false if that is put
// off.
func tryAgain(ctx actor.Context, of *stamina, receive func(actor.Context)) bool {
	if !mustBeDone(ctx.Message()) {
		return true
	}
	if of.tries == triesOnTheSpot {
		return false
	}
	of.tries++
	defer func() { of.tries-- }()
	receive(ctx)
	return true
}

// overdue is a message that was put off so often.
type overdue struct {
	mail  any
	times int
}

// putOff has the message at hand come again.
func (s *System) putOff(ctx actor.Context) {
	times := 0
	if late, ok := ctx.(replayed); ok {
		times = late.putOff
	}
	s.after(s.supervision.Load().retryAfter(times), ctx.Self(), &overdue{mailOf(ctx), times + 1})
}

// putOff is that of System. The change of the number of shards does not end before the message
// has been handled: a user who is handed over, or not, belongs to it.
func (s *shard) putOff(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *overdue: // it counts already
		s.system.after(s.system.supervision.Load().RetryAfter, ctx.Self(), msg)
		return
	case *attach: // the session knows by then whether it still wants to
		s.system.after(s.system.supervision.Load().RetryAfter, msg.session, msgReattach)
		return
	case *handover:
		if s.users[msg.entry.id] == nil { // what comes for the user meanwhile waits
			s.insert(&entry{id: msg.entry.id, state: arriving})
		}
	}
	s.owed++
	s.system.putOff(ctx)
}

// overdue handles a message that was put off. Its user may have moved away meanwhile, or be about to, and
// then it follows on the one road: this shard would take the user for one who is nowhere.
func (s *shard) overdue(ctx actor.Context, msg *overdue) {
	s.owed--
	if user, ok := follows(msg.mail); ok {
		if e := s.users[user]; e == nil || e.moves {
			s.system.post(user, msg.mail)
			return
		}
	}
	s.Receive(replayed{ctx, msg.mail, msg.times})
}

// follows is whose message it is, if one that is put off is to follow its user to another shard.
func follows(mail any) (protocol.UserID, bool) {
	message, _ := restore(mail)
	switch msg := message.(type) {
	case *detach:
		return msg.user, true
	case *ack:
		return msg.user, true
	case *sessionClosed:
		return msg.user, true
	}
	return "", false
}
