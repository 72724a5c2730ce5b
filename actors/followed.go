package actors

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// What a user's actor remembers of traced messages that are on their way to a session, so
// that the ACK, which is only a number, can be told for each. Without a trace there is
// nothing of it but a pointer that is nil.

// maxFollowed bounds them: a window of each of a user's sessions, as a rule.
const maxFollowed = 4096

// followed is a traced message on its way to a session.
type followed struct {
	session    *actor.PID
	sender, id string
	trace      string // its traceparent
	seq        uint64
	size       int
}

// handed notes that a traced message is on its way.
func (u *user) handed(a *attachment, m *protocol.Receive) {
	u.system.hopOf(HopHanded, m, sessionNumber(a.session), a.device, "")
	u.remember(a, m)
}

func (u *user) remember(a *attachment, m *protocol.Receive) {
	if u.followed == nil {
		u.followed = new([]followed)
	}
	if len(*u.followed) >= maxFollowed {
		*u.followed = slices.Delete(*u.followed, 0, maxFollowed/4) // their ACKs are not told
	}
	*u.followed = append(*u.followed, followed{a.session, m.Sender, m.Id, m.Traceparent, m.Seq, len(m.Content)})
}

// waits notes that a traced message was kept and no session could be sent it.
func (u *user) waits(m *protocol.Receive) {
	reason := "no session has room in its window"
	if len(u.sessions) == 0 {
		reason = "the user has no session"
	}
	u.system.hopOf(HopWaiting, m, 0, "", reason)
}

// gone notes that messages were removed before a session could be sent them: by retention, or
// by an operator.
func (u *user) gone(a *attachment, upTo uint64) {
	if u.system.traced("", string(u.id), "") {
		u.system.hop(&Hop{Kind: HopGone, Receiver: u.id, Seq: upTo, Session: sessionNumber(a.session), Device: a.device,
			Reason: "removed from the inbox, as is all before it that the device did not have"})
	}
}

// acknowledged tells of each traced message that an ACK is about.
func (u *user) acknowledged(msg *ack) {
	*u.followed = slices.DeleteFunc(*u.followed, func(f followed) bool {
		if f.seq > msg.seq || !f.session.Equal(msg.session) {
			return false
		}
		u.system.hop(&Hop{Kind: HopAcknowledged, Sender: protocol.UserID(f.sender), Receiver: u.id, ID: f.id, Seq: f.seq,
			Session: sessionNumber(f.session), Device: msg.device, Size: f.size, Traceparent: f.trace})
		return true
	})
	if len(*u.followed) == 0 {
		u.followed = nil
	}
}

// followAgain finds the traced ones among what the last actor had sent to a session. It
// reads the store for that, and only while somebody traces.
func (u *user) followAgain(a *attachment) {
	if u.system.traces.Load() == nil || a.flight.n == 0 {
		return
	}
	entries, err := u.system.config.Store.Read(u.id, a.has, int(a.flight.n), protocol.MaxWindowBytes)
	if err != nil {
		return // the trace lacks some ACKs, and the user nothing
	}
	for _, e := range entries {
		if m := e.Message; m.Seq <= a.sent && u.system.traced(m.Sender, m.Receiver, m.Traceparent) {
			u.remember(a, m)
		}
	}
}
