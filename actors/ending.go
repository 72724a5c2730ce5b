package actors

import "callboard/protocol"

// Why a session ends, and how: by a close frame that it sends or gets, or without one.

// closeAbnormal stands in the log for an end without a close frame. It never
// travels (RFC 6455, 7.4.1).
const closeAbnormal protocol.CloseCode = 1006

// closeReplaced is what a session gets whose device has connected again.
var closeReplaced = &protocol.Close{Code: uint32(protocol.CloseReplaced), Reason: string(protocol.CodeReplaced)}

// closeByOperator is what a session gets whose device is forgotten.
var closeByOperator = &protocol.Close{Code: uint32(protocol.CloseByOperator), Reason: string(protocol.CodeClosedByOperator)}

// closeGoingAway is what a drain sends to every session.
var closeGoingAway = &protocol.Close{Code: uint32(protocol.CloseGoingAway), Reason: "the service is shutting down"}

// heartbeat pings the peer, unless it has left too many pings unanswered or has been let
// in for no longer.
func (s *session) heartbeat() {
	switch s.state {
	case greeting, attaching:
		if s.link.abandoned.Load() {
			s.end(protocol.CloseTryAgainLater, "connecting took too long")
		}
		return
	case closing, ended:
		return
	}
	if s.overdue() {
		s.close(closeTokenExpired)
		return
	}
	if s.link.heard.Swap(false) || !s.pinged {
		s.missed = 0
	} else if s.missed++; s.missed >= protocol.MissedPongs {
		s.close(Control{Code: protocol.CloseHeartbeatTimeout, Reason: string(protocol.CodeHeartbeatTimeout), Drop: true})
		return
	}
	s.pinged = true
	if !s.stalled { // what waits already is sign enough
		s.wrote(s.conn.Control(Control{Op: OpPing}))
	}
}

// slow closes a session whose peer does not read.
func (s *session) slow() {
	s.close(Control{Code: protocol.CloseSlowConsumer, Reason: string(protocol.CodeSlowConsumer), Drop: true})
}

// close sends the close frame and waits, for a while, for the peer's.
func (s *session) close(c Control) {
	if s.state >= closing {
		return
	}
	if s.state <= attaching {
		defer s.link.settle(nil) // the reader waits for the peer's close frame
	}
	if s.state <= attaching || shutsOut(c.Code) {
		s.link.bar()
	}
	s.state, s.code, s.reason = closing, c.Code, c.Reason
	if c.Drop {
		s.last = s.taken // what waits is thrown away, and comes again
		s.hitLimit(protocol.ErrorCode(c.Reason), "the client does not read, or does not answer its pings")
	}
	c.Op = OpClose
	s.conn.Control(c)
	s.link.leave()
	s.unflushed = true
	s.detach() // what comes for the user now is for its other sessions, or refused
	s.cut = s.link.system.after(s.link.system.config.CloseTimeout, s.link.pid, msgCloseExpired)
}

// shutsOut is whether a session ends because its client may not be here: then what it still sends
// before the connection ends is not taken.
func shutsOut(code protocol.CloseCode) bool {
	return code == protocol.CloseBlocked || code == protocol.CloseUnauthorized || code == protocol.CloseTokenExpired
}

// gone: the reader is done. A peer that has sent its close frame gets ours.
func (s *session) gone(msg *peerGone) {
	s.peerGone = true
	switch {
	case msg.code == 0:
		s.end(closeAbnormal, "the connection ended without a close frame")
	case s.state <= delivering:
		s.closedByPeer(Control{Code: msg.code})
	}
}

// closedByPeer answers the peer's wish to end the session with its own words.
func (s *session) closedByPeer(c Control) {
	s.byPeer = s.byPeer || s.state < closing
	s.close(c)
}

// end stops the session. The first code and reason are the ones that count.
func (s *session) end(code protocol.CloseCode, reason string) {
	if s.state == ended {
		return
	}
	if s.state < closing {
		s.code, s.reason = code, reason
	}
	s.state = ended
	s.link.system.root.Stop(s.link.pid)
}
