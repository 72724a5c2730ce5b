package actors

import (
	"context"
	"log/slog"
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
