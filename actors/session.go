package actors

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/mailbox"
	"callboard/protocol"
)

// session is the actor of one socket: its only writer. It belongs to the socket
// and not to the user's actor, whose failure it outlives.
//
// Its mailbox is the send queue. What it handles it writes into the Conn's
// buffer, and when the mailbox has drained it flushes: a burst of messages costs
// one system call.
type session struct {
	link   Link
	box    sessionMailbox
	conn   Conn // the session is its only caller
	number uint64
	place  uint32 // the gateway's, see beats

	since    uint32            // when it began, in seconds of System.now
	hello    *protocol.Connect // what the client asks for; V1, while it waits for its user
	cut      *time.Timer       // ends the wait for the client's CONNECT, or for the peer's close frame; nil: it does not wait
	last     uint64            // the newest RECEIVE that was written into the Conn
	taken    uint64            // Seed: the newest that the network has taken
	reported uint64            // Seed: the newest that the user has been told of
	owed     int32             // Seed: bytes since then
	written  uint32            // messages since they were counted last
	reason   string            // why it ended, for the log
	code     protocol.CloseCode
	window   uint16 // of messages that may be on their way
	burst    uint16 // messages written since the mailbox last drained

	state     sessionState
	missed    int8 // pings in a row that the peer did not answer
	ackTimer  bool // Seed: an ackDue is on its way
	named     bool // V1: CONNECT has come, so that link.device may be read
	unflushed bool // the Conn's buffer has something for Flush
	stalled   bool // a Flush is under way: the network takes no more for now
	pinged    bool // a ping is out and the peer has not been heard since
	byPeer    bool // the peer ended it, so code and reason are the peer's words
	detached  bool // its user does not deliver to it any more
	peerGone  bool // nothing more comes from the reader
}

// There may be a million sessions, and Go gives each the next one of a few sizes:
// TestASessionAndAUserFitTheirSizes has them. So fields stand by size, the flags last, and what
// few sessions need, or need for a short while, is behind a pointer.

type sessionState uint8

const (
	greeting   sessionState = iota // V1: waits for the client's CONNECT
	attaching                      // waits for its user
	delivering                     // has its user
	closing                        // has sent its close frame, waits for the peer's
	ended                          // has asked to be stopped
)

// closeAbnormal stands in the log for an end without a close frame. It never
// travels (RFC 6455, 7.4.1).
const closeAbnormal protocol.CloseCode = 1006

// closeReplaced is what a session gets whose device has connected again.
var closeReplaced = &protocol.Close{Code: uint32(protocol.CloseReplaced), Reason: string(protocol.CodeReplaced)}

// closeByOperator is what a session gets whose device is forgotten.
var closeByOperator = &protocol.Close{Code: uint32(protocol.CloseByOperator), Reason: string(protocol.CodeClosedByOperator)}

// closeGoingAway is what a drain sends to every session.
var closeGoingAway = &protocol.Close{Code: uint32(protocol.CloseGoingAway), Reason: "the service is shutting down"}

var _ mailbox.Owner = (*session)(nil)

// Receive implements actor.Actor.
func (s *session) Receive(ctx actor.Context) {
	s.link.system.fault(ctx.Self().GetId(), ctx.Message())
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		s.start(ctx)
	case *actor.Stopping:
		s.stop(ctx)
	case *actor.Stopped:

	case *protocol.Receive:
		s.deliver(msg)
	case *protocol.Sent:
		s.sent(msg)
	case *protocol.Error:
		s.refuse(msg)
	case *protocol.Connect:
		s.connect(msg)
	case *protocol.Close:
		s.close(Control{Code: protocol.CloseCode(msg.Code), Reason: msg.Reason})

	case *attached:
		s.attached(msg)
	case *refused:
		s.refused(msg)
	case *reattach:
		s.reattach()
	case *gapped:
		s.gapped(&msg.gap, msg.why)
	case *frameRefused:
		s.refuse(msg.err)
	case *overRate:
		s.expel(msg)
	case *pingReceived:
		s.pong(msg)
	case *peerFailed:
		s.peerFailed(msg)
	case *peerCloses:
		s.closedByPeer(Control{Code: msg.code, Reason: msg.reason})
	case *peerGone:
		s.gone(msg)
	case *flushed:
		s.flushed(msg)
	case *heartbeat:
		s.heartbeat()
	case *describeSession:
		s.describe(ctx)
	case *renewed:
		s.renewed()
	case *ackDue:
		s.ackDue()
	case *connectDue:
		s.connectDue()
	case *closeExpired:
		s.end(s.code, s.reason)

	default:
		s.link.system.unhandled(ctx)
	}
}

func (s *session) start(ctx actor.Context) {
	s.link.pid = ctx.Self()
	s.since = uint32(s.link.system.now() / time.Second)
	if s.link.dialect == Seed {
		s.state, s.window = attaching, seedWindow
		s.link.system.post(s.link.user, s.attach())
		return
	}
	s.unflushed = true // the upgrade's answer
	s.cut = s.link.system.after(s.link.system.config.HandshakeTimeout, s.link.pid, msgConnectDue)
	s.link.settle(nil)
}

// stop runs however the session ends, also when it failed.
func (s *session) stop(ctx actor.Context) {
	if s.cut != nil {
		s.cut.Stop()
	}
	if s.state != ended { // the actor failed, or the node stops
		s.code, s.reason = protocol.CloseInternal, string(protocol.CodeInternal)
	}
	s.ackDue()
	s.state = ended
	s.countEnd()
	s.logEnd()
	s.tellEnd()
	s.link.end()
	s.conn.Close()
	s.conn = nil // others may still hold the session's address for a while, but not its buffers
	s.link.settle(ErrInternal)
	s.detach()
	ctx.Send(ctx.Parent(), &sessionEnded{s})
}

// detach takes the session away from its user, once.
func (s *session) detach() {
	if !s.detached {
		s.detached = true
		s.link.system.post(s.link.user, &detach{s.link.user, s.link.pid})
	}
}

// logEnd says why a session ended: a warning if a limit did it, and not if the peer says so.
func (s *session) logEnd() {
	level := slog.LevelDebug
	switch s.code {
	case protocol.CloseSlowConsumer, protocol.CloseHeartbeatTimeout, protocol.CloseTryAgainLater, protocol.CloseInternal, protocol.CloseRateLimited:
		if !s.byPeer {
			level = slog.LevelWarn
		}
	}
	s.link.system.log.LogAttrs(context.Background(), level, "session ended", slog.String("user", string(s.link.user)),
		slog.Uint64("session", s.number), slog.Int("code", int(s.code)), slog.String("reason", s.reason), slog.Bool("by_client", s.byPeer),
		slog.String("remote", s.remote()))
}

// deliver writes a message, once: what a new actor of the user sends again is known.
func (s *session) deliver(msg *protocol.Receive) {
	if s.state != delivering || msg.Seq <= s.last {
		s.dropped(msg)
		return
	}
	s.last = msg.Seq
	if s.link.dialect == V1 {
		s.link.written.Store(msg.Seq)
	} else {
		s.owed += int32(len(msg.Content))
	}
	s.written++
	waiting := s.conn.Write(msg)
	if s.link.system.traced(msg.Sender, msg.Receiver, msg.Traceparent) {
		s.link.system.hopOf(HopWritten, msg, s.number, s.device(), "")
	}
	s.wrote(waiting)
}

// dropped notes that a traced message is not written.
func (s *session) dropped(msg *protocol.Receive) {
	if s.link.system.traced(msg.Sender, msg.Receiver, msg.Traceparent) {
		reason := "the session is " + s.state.String()
		if s.state == delivering {
			reason = "the session has had it before"
		}
		s.link.system.hopOf(HopDropped, msg, s.number, s.device(), reason)
	}
}

// peerFailed: the reader has found that the peer breaks the protocol.
func (s *session) peerFailed(msg *peerFailed) {
	if msg.code == protocol.CloseTooBig {
		s.link.system.counts.frames.add(protocol.CodeTooLarge)
		s.hitLimit(protocol.CodeTooLarge, "a frame is longer than one may be")
	}
	s.close(Control{Code: msg.code, Reason: msg.reason})
}

// sent tells the peer, in V1, that its message is kept.
func (s *session) sent(msg *protocol.Sent) {
	if s.state <= delivering {
		s.wrote(s.conn.Write(msg))
	}
	s.link.give()
}

// refuse tells the peer of a refusal and gives back the credit of what was refused.
func (s *session) refuse(msg *protocol.Error) {
	if s.state <= delivering {
		s.wrote(s.conn.Write(msg))
	}
	s.link.give()
}

func (s *session) pong(msg *pingReceived) {
	if s.state <= delivering {
		s.wrote(s.conn.Control(Control{Op: OpPong, Payload: msg.payload}))
	}
	s.link.give()
}

// flushEarly is how many bytes wait at most, in a mailbox that does not drain,
// before the network is offered them.
const flushEarly = 64 << 10

// wrote keeps the bound on what may wait: a peer that reads too slowly is closed
// rather than collected for. Only one that the network has stalled for is slow;
// one that nothing was offered to is not.
func (s *session) wrote(waiting int) {
	s.unflushed = true
	s.burst++
	switch {
	case s.stalled && waiting > s.link.system.config.MaxWaitingBytes:
		s.slow()
	case !s.stalled && waiting >= flushEarly:
		s.flush()
	}
}

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

// flushed goes on after the network had taken no more.
func (s *session) flushed(msg *flushed) {
	s.flows()
	switch {
	case msg.err == nil:
	case errors.Is(msg.err, os.ErrDeadlineExceeded) && s.state <= delivering:
		s.unflushed = true
		s.slow()
	default:
		s.end(closeAbnormal, "the connection broke")
	}
}

// Drained implements mailbox.Owner: all that was posted has been written into
// the Conn, so now is the time to let it go. A node that is busy enough for bursts
// lets the others on first: sessions then flush one behind the other, and the kernel
// wakes a peer that serves many of them once and not for each (callboard bench relay,
// window 16 and 64: 15 % and 12 % less of the processor for a message). What travels
// alone does not wait.
func (s *session) Drained() {
	s.countDelivered()
	if s.burst > 1 && !s.stalled {
		runtime.Gosched()
	}
	s.burst = 0
	if s.state == ended || !s.flush() {
		return
	}
	s.acknowledge()
	if s.state == closing && s.peerGone {
		s.end(s.code, s.reason)
	}
}

// flush returns true when nothing waits in the Conn.
func (s *session) flush() bool {
	if s.stalled {
		return false
	}
	if s.unflushed {
		s.unflushed = false
		if s.stalled = !s.conn.Flush(&s.link); s.stalled {
			s.link.system.counts.stalled.Add(1)
		}
	}
	return !s.stalled
}

// flows: the network takes more again, or nobody waits for it any longer.
func (s *session) flows() {
	if s.stalled {
		s.stalled = false
		s.link.system.counts.stalled.Add(-1)
	}
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
