package actors

import (
	"fmt"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/mailbox"
	"callboard/protocol"
)

// user is the actor of one user: it knows the user's sessions and delivers to
// them. Later it is also the only writer of the user's inbox.
//
// It exists while the user has a session or mail in motion. Its shard is its
// parent and the only one that sends to it; it keeps no address but those of its
// sessions, so that a new one can take its place at any time.
type user struct {
	id       protocol.UserID
	sessions []*actor.PID // attached, oldest first
	quiet    bool         // told the shard that there is nothing to do
	leaving  bool         // asked to leave, not yet answered
	system   *System
	box      mailbox.Mailbox
}

// Receive implements actor.Actor.
func (u *user) Receive(ctx actor.Context) {
	u.system.fault(string(u.id), ctx.Message())
	switch msg := ctx.Message().(type) {
	case *actor.Started, *actor.Stopping, *actor.Stopped:

	case *attach:
		u.attach(ctx, msg)
	case *detach:
		u.detach(ctx, msg)
	case *protocol.Send:
		u.send(ctx, msg)
	case *closeUser:
		u.close(ctx, msg)
	case *describeUser:
		u.describe(ctx)
	case *rest:
		u.rest(ctx)
	case *mayLeave:
		u.mayLeave(ctx)

	default:
		u.system.unhandled(ctx)
	}
}

// attach does no harm if it comes twice for a session.
func (u *user) attach(ctx actor.Context, msg *attach) {
	u.quiet = false
	if !slices.ContainsFunc(u.sessions, msg.session.Equal) {
		u.sessions = append(u.sessions, msg.session)
	}
	ctx.Send(msg.session, msgAttached)
}

func (u *user) detach(ctx actor.Context, msg *detach) {
	u.sessions = slices.DeleteFunc(u.sessions, msg.session.Equal)
	u.idle(ctx)
}

// send delivers to every session. The inbox will stand here: append first, and
// deliver what is committed; then not_connected is no answer any more.
func (u *user) send(ctx actor.Context, msg *protocol.Send) {
	if len(u.sessions) == 0 {
		answer(ctx, refusal(msg, &Error{protocol.CodeNotConnected, fmt.Sprintf("receiver: user %s is not connected", u.id)}))
		u.idle(ctx)
		return
	}
	receive := &protocol.Receive{
		Id: msg.Id, Sender: msg.Sender, Receiver: msg.Receiver, Content: msg.Content,
	}
	for _, session := range u.sessions {
		ctx.Send(session, receive)
	}
	answer(ctx, msgSent)
}

func (u *user) close(ctx actor.Context, msg *closeUser) {
	for _, session := range u.sessions {
		ctx.Send(session, msg.close)
	}
	answer(ctx, &closed{sessions: len(u.sessions)})
	u.idle(ctx)
}

func (u *user) describe(ctx actor.Context) {
	info := &UserInfo{User: u.id, State: active.String(), Actor: ctx.Self().GetId(), Waiting: u.box.UserMessageCount()}
	for _, session := range u.sessions {
		info.Sessions = append(info.Sessions, sessionNumber(session))
	}
	answer(ctx, info)
	u.idle(ctx)
}

// idle tells the shard, once, that there is nothing to do here.
func (u *user) idle(ctx actor.Context) {
	if len(u.sessions) == 0 && !u.quiet {
		u.quiet = true
		ctx.Send(ctx.Parent(), &quiet{u.id, ctx.Self()})
	}
}

// rest asks to leave, if there is still nothing to do. Mail that is on its way
// arrives before the answer does.
func (u *user) rest(ctx actor.Context) {
	if !u.quiet || u.leaving {
		return
	}
	u.leaving = true
	ctx.Send(ctx.Parent(), &leave{u.id, ctx.Self()})
}

// mayLeave is the point of no return: the shard holds all mail since it sent
// this, and what it sent before has been handled by now.
func (u *user) mayLeave(ctx actor.Context) {
	u.leaving = false
	if len(u.sessions) > 0 {
		u.quiet = false
		ctx.Send(ctx.Parent(), &stay{u.id, ctx.Self()})
		return
	}
	ctx.Stop(ctx.Self())
}
