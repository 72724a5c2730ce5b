package actors

import (
	"fmt"
	"strconv"
	"time"

	"callboard/protocol"
)

// How a session gets its user, and gets it back when the user has a new actor.

// connect asks the user for what the client asks for.
func (s *session) connect(msg *protocol.Connect) {
	if s.state != greeting {
		return
	}
	s.cut.Stop()
	s.cut = nil
	s.state, s.hello, s.named = attaching, msg, true
	s.window = uint16(min(or(msg.Window, protocol.DefaultWindow), protocol.MaxWindow))
	s.link.system.post(s.link.user, s.attach())
}

// attach is what the session tells its user of itself.
func (s *session) attach() *attach {
	msg := &attach{user: s.link.user, session: s.link.pid, device: s.device(), window: int(s.window), seed: s.link.dialect == Seed}
	if s.hello != nil {
		msg.cursor, msg.epoch = s.hello.Cursor, s.hello.Epoch
	}
	if s.state == delivering {
		msg.resumes, msg.sent, msg.arrived = true, s.last, s.arrived()
	}
	return msg
}

// reattach: the user has a new actor.
func (s *session) reattach() {
	if s.state == attaching || s.state == delivering {
		s.link.system.postPriority(s.link.user, s.attach())
	}
}

// arrived is how far the client has what it was sent, as far as is known here.
func (s *session) arrived() uint64 {
	if s.link.dialect == Seed {
		return s.taken
	}
	return s.link.acked.Load()
}

// connectDue: a client that says nothing holds no session.
func (s *session) connectDue() {
	if s.state == greeting {
		const reason = "the first message is CONNECT, and none came in time"
		s.hitLimit(LimitHandshake, reason)
		s.close(Control{Code: protocol.ClosePolicyViolation, Reason: reason})
	}
}

// attached: the user is reachable from now on, so the peer may be told that it
// is connected: in V1 by CONNECT, in the seed's dialect by the upgrade's answer, which
// waits in the Conn for this flush.
func (s *session) attached(msg *attached) {
	if s.state != attaching { // a new actor of the user took the session over
		s.ackAgain()
		return
	}
	s.state, s.hello = delivering, nil // its cursor has been heeded, and holds for no other actor
	s.unflushed = true
	s.last, s.taken, s.reported = msg.cursor, msg.cursor, msg.cursor
	if s.link.dialect == V1 {
		s.link.written.Store(msg.cursor)
		s.link.acked.Store(msg.cursor)
		s.wrote(s.conn.Write(s.welcome(msg)))
		s.link.welcome()
	} else if msg.gap != nil {
		s.gapped(msg.gap, goneFromInbox)
	}
	if s.link.system.watched() {
		s.link.system.publish(s.about(SessionOpened))
	}
	s.link.settle(nil)
	if s.link.abandoned.Load() { // asked after settle: Connect asks the other way round
		s.end(protocol.CloseTryAgainLater, "connecting took too long")
	}
}

// ackAgain tells a new actor of the user, in V1, what has arrived. The reader's ACKs go
// their own way: one may have come to the actor before the session did, and the actor
// could make nothing of it.
func (s *session) ackAgain() {
	if seq := s.link.acked.Load(); s.link.dialect == V1 && s.state == delivering && seq > 0 {
		s.link.system.post(s.link.user, &ack{s.link.user, s.link.pid, s.device(), seq})
	}
}

// name is the session's, for logs and operators.
func (s *session) name() string { return strconv.FormatUint(s.number, 10) }

// welcome is the CONNECT that answers the client's.
func (s *session) welcome(msg *attached) *protocol.Connect {
	config := &s.link.system.config
	return &protocol.Connect{
		User: string(s.link.user), Device: s.device(), Session: s.name(),
		Cursor: &msg.cursor, Epoch: msg.epoch, Head: msg.head, Gap: msg.gap, Window: uint32(s.window),
		Limits: &protocol.Limits{
			FrameBytes: uint32(s.link.frameBytes), ContentBytes: protocol.MaxContentBytes, WindowBytes: protocol.MaxWindowBytes,
			Devices: protocol.MaxDevices, UserIdBytes: protocol.MaxUserIDBytes, MessageIdBytes: protocol.MaxMessageIDBytes,
			InFlight: uint32(config.MaxInFlight), Sessions: uint32(s.link.system.limits.Load().MaxSessionsPerUser),
			PingIntervalMs: uint32(config.PingInterval.Milliseconds()), MissedPongs: protocol.MissedPongs,
		},
	}
}

// gapped tells the peer that something is missing. What comes next follows the gap.
func (s *session) gapped(gap *protocol.Gap, why string) {
	if s.state <= delivering {
		s.last = max(s.last, gap.Last)
		if s.link.dialect == V1 {
			s.link.written.Store(s.last)
		}
		s.wrote(s.conn.Write(&protocol.Error{
			Code: string(protocol.CodeGap), Gap: gap,
			Reason: fmt.Sprintf("messages %d to %d %s", gap.First, gap.Last, why),
		}))
	}
}

// retrySessions is when a client may come back who found its user with too many sessions.
const retrySessions = 5 * time.Second

// refused: the peer is told by a close frame behind the upgrade's answer, which
// every client can read; a browser's cannot read an HTTP status.
func (s *session) refused(msg *refused) {
	if s.state == attaching || s.state == delivering && msg.lasting {
		if why := msg.err; why.Code == protocol.CodeTooManySessions || why.Code == protocol.CodeTooManyDevices {
			s.hitLimit(why.Code, why.Reason)
		}
		code := protocol.CloseTryAgainLater
		if msg.err.Code == protocol.CodeBlocked {
			code = protocol.CloseBlocked
		}
		s.link.settle(msg.err)
		if msg.err.Code == protocol.CodeTooManySessions {
			s.closeFor(&protocol.Error{Code: string(msg.err.Code), Reason: msg.err.Reason, Retry: retryOf(retrySessions)}, code)
			return
		}
		s.close(Control{Code: code, Reason: string(msg.err.Code)})
	}
}
