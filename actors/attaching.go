package actors

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// attach begins to deliver to a session, where its device left off. It does no
// harm if it comes twice for a session.
func (u *user) attach(msg *attach) {
	u.quiet = false
	if u.isBack(msg.session) {
		defer u.settleNameless()
	}
	switch {
	case u.attachment(msg.session) != nil:
	case u.broken != nil:
		u.root().Send(msg.session, &refused{err: ErrUnavailableStore, lasting: true})
	case msg.device != "" && !u.replace(msg):
	default:
		u.admit(msg)
	}
}

// replace ends the session that a named device had before, if there is one. It
// returns false if that one is the newer.
func (u *user) replace(msg *attach) bool {
	i := slices.IndexFunc(u.sessions, func(a *attachment) bool { return a.device == msg.device })
	if i < 0 {
		return true
	}
	if older := u.sessions[i].session; sessionNumber(older) > sessionNumber(msg.session) {
		u.root().Send(msg.session, closeReplaced)
		return false
	}
	u.root().Send(u.sessions[i].session, closeReplaced)
	u.sessions = slices.Delete(u.sessions, i, i+1)
	return true
}

// admit decides where delivery to a session begins.
func (u *user) admit(msg *attach) {
	d := u.device(msg.device)
	known := d != nil
	if !known {
		if d = u.addDevice(msg.device); d == nil {
			u.root().Send(msg.session, &refused{err: ErrTooManyDevices, lasting: true})
			return
		}
	}
	a := &attachment{session: msg.session, device: msg.device, window: int32(msg.window), seed: msg.seed, listens: msg.seed || msg.resumes || msg.device != ""}
	answer := &attached{head: u.head, epoch: u.epoch}
	switch {
	case msg.resumes: // its user's actor is a new one, the session is not
		a.sent = min(msg.sent, u.head)
		a.resume(max(min(msg.arrived, a.sent), min(u.floor, a.sent)))
		u.followAgain(a)
	case msg.cursor != nil: // the client knows best
		a.sent = min(u.cursorOf(msg, d), u.head)
		known = true
		if a.sent != d.Cursor && u.alone(d) {
			d.moveTo(a.sent)
		}
	default:
		a.sent = d.Cursor
	}
	if a.sent < u.head {
		u.lookForFloor()
	}
	if a.sent < u.floor && !msg.resumes {
		if known {
			answer.gap = &protocol.Gap{First: a.sent + 1, Last: u.floor}
			u.gone(a, u.floor)
		}
		a.sent = u.floor
	}
	if msg.device != "" {
		d.seenNow()
	}
	answer.cursor = a.sent
	if !msg.resumes {
		a.has = a.sent
	}
	u.sessions = append(u.sessions, a)
	u.settle(d)
	u.root().Send(msg.session, answer)
	u.pump(a, false)
}

func (u *user) attachment(session *actor.PID) *attachment {
	for _, a := range u.sessions {
		if a.session.Equal(session) {
			return a
		}
	}
	return nil
}

func (u *user) detach(msg *detach) {
	if u.isBack(msg.session) {
		defer u.settleNameless()
	}
	a := u.attachment(msg.session)
	if a == nil {
		return
	}
	d := u.device(a.device)
	if d.Cursor > 0 || d.Name != "" {
		d.seenNow()
	}
	u.sessions = slices.DeleteFunc(u.sessions, func(other *attachment) bool { return other == a })
	u.trimTail()
	u.settle(d)
}

// isBack notes that a session of the last actor is accounted for, and whether it was
// the last one of these.
func (u *user) isBack(session *actor.PID) (last bool) {
	if u.awaited.none() {
		return false
	}
	u.awaited = fewOf(slices.DeleteFunc(u.awaited.all(), session.Equal))
	return u.awaited.none()
}
