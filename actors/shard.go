package actors

import (
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/btree"

	"callboard/actors/mailbox"
	"callboard/protocol"
)

// shard is one slice of the map of users: it finds or starts the actor of a
// user, and everything for a user passes through it. It knows each user's
// sessions too, so that a new actor can be given them.
//
// What it holds can be rebuilt, and nothing it does can fail; should it panic
// all the same it goes on, for its end would be the end of its users.
type shard struct {
	system *System
	number int
	users  map[protocol.UserID]*entry
	most   int                   // that were in users
	order  *btree.BTreeG[*entry] // those in users, by id, for page
	sick   *btree.BTreeG[*entry] // those of them with restarts, most first, for describe
	box    *mailbox.Gated        // its own
	limit  int                   // of users, see send
	idle   wheel[*entry]         // quiet users, by when they are asked to leave
	ticker *time.Timer           // runs while idle has entries
	epoch  uint64                // of the last user started: no two actors have one name
	props  *actor.Props          // of users: makes an actor of starting
	next   *user                 // handed to props
	failed uint64                // failures of users, for describe
	parked int

	history history // how sessions of its users ended, for look
	taken   uint64  // messages that came for its users, for load
	busiest busiest // of its users, for load
	moving  *moving // nil unless the number of shards changes

	crashes    crashes     // over which messages its users have failed
	forgetting *time.Timer // runs while there are some
	self       *actor.PID
	name       string // for faults

	stamina stamina // after panics
	owed    int     // messages that are put off, after panics

	actors   int                 // of users, with those that are about to end
	stopping bool                // starts nobody any more
	ending   bool                // and ends when all users' actors have
	wrapping map[*entry]struct{} // users that have been asked to wrap up and have not answered
	wrapper  *actor.PID          // who waits for them
}

// newShard makes one of so many shards.
func newShard(system *System, number, shards int) *shard {
	s := &shard{
		system: system, number: number, name: "shard/" + strconv.Itoa(number), users: make(map[protocol.UserID]*entry), order: newUserOrder(),
		sick: btree.NewG(listDegree, sicker),
		box:  &mailbox.Gated{}, history: newHistory(shards), crashes: newCrashes(shards),
	}
	s.limit = s.share(shards)
	s.idle.init(idleSlots)
	s.props = actor.PropsFromProducer(
		func() actor.Actor { return s.next },
		actor.WithMailbox(func() actor.Mailbox { return &s.next.box }),
		actor.WithDispatcher(&system.workers),
	)
	return s
}

// Receive implements actor.Actor.
func (s *shard) Receive(ctx actor.Context) {
	defer s.survive(ctx)
	s.system.faultIn(s.name, ctx.Message())
	s.handle(ctx)
}

// survive is System.survive; what is tried again later holds up a change of the number of
// shards. Call it deferred.
func (s *shard) survive(ctx actor.Context) {
	if reason := recover(); reason != nil {
		s.system.survived(ctx, "shard", &s.stamina, reason)
		if !tryAgain(ctx, &s.stamina, s.Receive) {
			s.putOff(ctx)
		}
	}
}

// handle is Receive without a net.
func (s *shard) handle(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		s.self = ctx.Self()
	case *actor.Stopping, *actor.Stopped:
	case *actor.Terminated:
		s.terminated(ctx, msg)

	case *protocol.Send:
		s.send(ctx, msg)
	case *attach:
		s.attach(ctx, msg)
	case *detach:
		s.detach(ctx, msg)
	case *ack:
		s.ack(ctx, msg)
	case *closeUser:
		s.closeUser(ctx, msg)
	case *closeSession:
		s.closeSession(ctx, msg)
	case *forgetDevice:
		s.tend(ctx, msg.user)
	case *trimInbox:
		s.tend(ctx, msg.user)
	case *describeUser:
		s.describeUser(ctx, msg)
	case *lookUser:
		s.look(ctx, msg)
	case *listUsers:
		answer(ctx, s.page(msg))
	case *sessionClosed:
		s.sessionClosed(ctx, msg)
	case *describeShard:
		s.describe(ctx, msg)
	case *loadShard:
		s.load(ctx)

	case *quiet:
		s.quiet(ctx, msg)
	case *leave:
		s.leave(ctx, msg)
	case *stay:
		s.stay(ctx, msg)
	case *sweep:
		s.sweep(ctx)
	case *wasSetAside:
		s.wasSetAside(msg)
	case *pardon:
		s.pardon(ctx, msg)
	case *forgetCrashes:
		s.forgetCrashes()
	case *unpark:
		s.unpark(ctx, msg)
	case *fenced:
		s.fenced(ctx, msg)
	case *wrapUpShard:
		s.wrapUp(ctx)
	case *actor.DeadLetterResponse: // who was asked to wrap up has left in between: Terminated says so
	case *wrappedUp:
		s.wrappedUp(ctx, s.users[msg.user])
	case *overdue:
		s.overdue(ctx, msg)
	case *end:
		s.end(ctx)

	default:
		s.rescale(ctx)
	}
}

// send, tend and attach are those that start a user who has no actor.
func (s *shard) send(ctx actor.Context, msg *protocol.Send) {
	if s.crashes.aside > 0 && s.refusePoison(ctx, msg) {
		return
	}
	s.tend(ctx, protocol.UserID(msg.Receiver))
}

// tend sends the message at hand to a user whether it has an actor or not.
func (s *shard) tend(ctx actor.Context, user protocol.UserID) {
	e, here := s.find(ctx, user)
	if !here {
		return
	}
	if e == nil {
		// Users who connect are bounded by the number of connections and always
		// let in; those who are only written to are bounded here.
		if len(s.users) >= s.limit {
			s.system.HitLimit(LimitUsers, user, "", ErrTooManyUsers.Reason)
			s.system.refuse(ctx, ctx.Sender(), ctx.Message(), ErrTooManyUsers)
			return
		}
		if s.stopping {
			s.system.refuse(ctx, ctx.Sender(), ctx.Message(), ErrDraining)
			return
		}
		e = s.add(ctx, user)
	}
	s.taken++
	s.busiest.count(e)
	if s.system.tracing() {
		s.passed(ctx, e)
	}
	s.forward(ctx, e)
}

// passed notes what forward is about to do with a send, if it is traced.
func (s *shard) passed(ctx actor.Context, e *entry) {
	msg, ok := ctx.Message().(*protocol.Send)
	if !ok || !s.system.traced(msg.Sender, msg.Receiver, msg.Traceparent) {
		return
	}
	switch e.state {
	case active:
		s.system.hopOfSend(HopRouted, msg, 0, "", "")
	case leaving, recovering, fencing, departing, arriving:
		s.system.hopOfSend(HopHeld, msg, 0, "", "the receiver's actor is "+e.state.String())
	case parked: // it is refused
	}
}

// forward sends the message at hand on to the user, or keeps it while the user's
// actor is on its way out or being replaced.
func (s *shard) forward(ctx actor.Context, e *entry) {
	switch e.state {
	case active:
		ctx.Forward(e.pid)
	case recovering, fencing:
		switch ctx.Message().(type) {
		case *attach, *detach: // sessions attach again when there is a new actor
		default:
			e.held.add(mailOf(ctx))
		}
	case leaving, departing, arriving:
		e.held.add(mailOf(ctx))
	case parked:
		s.system.refuse(ctx, ctx.Sender(), ctx.Message(), ErrUnavailable)
	}
}
