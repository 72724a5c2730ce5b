package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/inbox"
	"callboard/actors/mailbox"
	"callboard/protocol"
)

// Messages between the actors, by receiver. What a client or another node may
// see is in package protocol; these stay inside one node. Nobody changes a
// message after sending it. A message that wants an answer carries the address
// for it in its envelope, as protoactor has it.

// To the gateway.
type (
	// open asks for a session actor for a connection whose Link has been made.
	open struct{ session *session }
	// sessionEnded says that a session is about to stop. No session sends
	// anything after it.
	sessionEnded struct{ session *session }
	// drain asks to close all sessions, evenly over the time given, and to open
	// no more. The answer is drained.
	drain struct{ over time.Duration }
	// closeTokens asks to close the sessions of revoked tokens. The answer is closed.
	closeTokens struct{ revoked func(token uint64) bool }
	// beat is the gateway's own clock: the next slot of sessions is due.
	beat struct{}
	// drainNext is the gateway's own clock while it drains.
	drainNext struct{}
	// lendMeter is a reader's: its session is to keep to the rate of its user. The Link is
	// told when it has the meter.
	lendMeter struct{ link *Link }
	// describeGateway asks for a GatewayInfo.
	describeGateway struct{}
)

// To a session.
type (
	// attached says that the user has this session from now on, and where delivery
	// goes on.
	attached struct {
		cursor uint64        // RECEIVE begins behind it
		head   uint64        // the newest in the inbox
		epoch  uint32        // of the inbox
		gap    *protocol.Gap // what was removed before the device had it, or nil
	}
	// refused says that the user cannot be attached to, and why. Unless it is
	// lasting, a session that has been attached before waits to be attached again.
	refused struct {
		err     *Error
		lasting bool
	}
	// reattach is the shard's: the user has a new actor that wants to know how far
	// this session is. The answer is attach.
	reattach struct{}
	// gapped says that messages are not delivered, and why.
	gapped struct {
		gap protocol.Gap
		why string
	}
	// ackDue is the session's own clock: the user is to be told what was written.
	ackDue struct{}
	// connectDue is the session's own clock: the client has not said CONNECT in time.
	connectDue struct{}
	// heartbeat is the gateway's: ping the peer, and give it up if it has been
	// silent too long.
	heartbeat struct{}
	// pingReceived is the reader's: the peer wants a pong.
	pingReceived struct{ payload []byte }
	// frameRefused is the reader's: the peer is to be told that a frame of its
	// was refused.
	frameRefused struct{ err *protocol.Error }
	// overRate is the reader's: the peer goes on sending though it is refused, and is to be
	// closed. The error says when it may come back.
	overRate struct{ err *protocol.Error }
	// peerFailed is the reader's: the peer broke the protocol, and the close
	// frame says how.
	peerFailed struct {
		code   protocol.CloseCode
		reason string
	}
	// peerCloses is the reader's: the peer wants to end the session in order.
	peerCloses struct {
		code   protocol.CloseCode
		reason string
	}
	// peerGone is the reader's last: nothing more comes from the peer. A code
	// other than zero is the one of the peer's close frame.
	peerGone struct{ code protocol.CloseCode }
	// renewed is the reader's: the client has shown a new token, which counts.
	renewed struct{}
	// flushed is the Conn's: what a Flush had left is written, or has failed.
	flushed struct{ err error }
	// closeExpired is the session's own clock: the peer did not answer the close
	// frame in time.
	closeExpired struct{}
)

// To a shard, and those marked with * on to the user.
type (
	// attach (*) adds a session to a user. The answer is attached or refused.
	attach struct {
		user    protocol.UserID
		session *actor.PID
		device  string
		window  int
		cursor  *uint64 // what the device has, if its client said so
		epoch   uint32  // of cursor, if its client said so
		seed    bool    // it counts as having what was written to it

		resumes       bool   // it was attached before, to another actor of the user
		sent, arrived uint64 // then: what it has been sent, and what of that has arrived
	}
	// ack (*) says that everything up to seq has arrived at a session's device.
	ack struct {
		user    protocol.UserID
		session *actor.PID
		device  string
		seq     uint64
	}
	// detach (*) takes it away again. It is safe to send it twice.
	detach struct {
		user    protocol.UserID
		session *actor.PID
	}
	// closeUser closes all sessions of a user. The answer is closed.
	closeUser struct {
		user  protocol.UserID
		close *protocol.Close
	}
	// closeSession closes one session of a user. The answer is closed.
	closeSession struct {
		user   protocol.UserID
		number uint64
		close  *protocol.Close
	}
	// describeUser (*) asks for a UserInfo.
	describeUser struct{ user protocol.UserID }
	// describeShard asks for a ShardInfo; if below, also how some users are, and who has the
	// most restarts.
	describeShard struct {
		below bool
		users []protocol.UserID
	}
	// quiet is the user's: it has no session and nothing to do. As in leave and
	// stay, by tells the user's actor from those that were before it.
	quiet struct {
		user protocol.UserID
		by   *actor.PID
	}
	// leave is the user's: it would stop if nothing comes for it. From here on
	// the shard holds its mail.
	leave struct {
		user protocol.UserID
		by   *actor.PID
	}
	// stay is the user's answer to mayLeave: it has something to do again.
	stay struct {
		user protocol.UserID
		by   *actor.PID
	}
	// sweep is the shard's own clock: the next slot of quiet users is due.
	sweep struct{}
	// unpark is the shard's own clock: a parked user may try again.
	unpark struct{ user protocol.UserID }
	// wrapUpShard asks all users of a shard to wrap up. The answer is wrappedUp.
	wrapUpShard struct{}
	// wrappedUp is a user's answer to wrapUp, and the shard's to wrapUpShard.
	wrappedUp struct{ user protocol.UserID }
	// fenced is the journal's answer to fence.
	fenced struct{ user protocol.UserID }
)

// To the registry, about the number of shards.
type (
	// scale asks for another number. The answer is a Scaling, or a scalingRefused.
	scale struct {
		shards  int
		why     string
		byPilot bool
	}
	// autoScale leaves the number to the service. The answer is a Scaling.
	autoScale struct{ why string }
	// halt asks for no more moves. The answer is halted, when nobody is on the way.
	halt struct{}
	// prepared is a shard's answer to prepare: so many of its users will move.
	prepared struct{ users int }
	// turned is a shard's answer to turn: so many of its users have moved, and all that
	// were to.
	turned struct{ users int }
	// shardSettled is a shard's answer to settle. One that is given up says how often its
	// users have failed.
	shardSettled struct{ failed uint64 }
	// weigh is the registry's own clock: time to see whether another number is better.
	weigh struct{}
	// nextStep is the registry's own: it has rested, and a change goes on.
	nextStep struct{}
)

// To a shard, when the number of shards changes.
type (
	// prepare is the registry's: the number will change. The answer is prepared.
	prepare struct {
		from []road
		to   int
	}
	// prepareMore is the shard's own: it has more users to look at.
	prepareMore struct{}
	// turn is the registry's: the users of the slices from settled to the ring's bound
	// move now, and those before have moved. The answer is turned.
	turn struct {
		ring    *ring
		settled uint32
	}
	// claim is another shard's: it has mail for a user who was here before. The answer
	// is handover or absent.
	claim struct {
		user protocol.UserID
		by   *mailbox.Gated
	}
	// handover is another shard's: the user is this shard's now.
	handover struct {
		entry   *entry
		waiting []any // mail that came before, from when it is taken
	}
	// absent is another shard's: it has nothing of a user.
	absent struct{ user protocol.UserID }
	// remember is another shard's: how sessions of users have ended that are this
	// shard's now.
	remember struct{ endings []*endings }
	// settle is the registry's: the number has changed. The answer is shardSettled.
	settle struct{ shards int }
	// inherit is the registry's: what a shard has counted that was given up.
	inherit struct{ failed uint64 }
)

// To a user.
type (
	// rest is the shard's: it has been quiet for the idle time.
	rest struct{}
	// mayLeave is the shard's answer to leave. It arrives behind all mail that
	// the shard had already sent on.
	mayLeave struct{}
	// depart is the shard's: the user's next actor is another shard's child. It arrives
	// behind all mail that the shard had sent on.
	depart struct{}
	// committed is the journal's: all of the commit is kept, and its senders know.
	committed struct{ commit *commit }
	// uncommitted is the journal's: nothing of the commit may be taken for kept, and
	// its senders know.
	uncommitted struct {
		commit *commit
		why    *Error
	}
	// retry is the user's own clock: the store may work again.
	retry struct{}
	// readDue is the user's own clock: reads that were put off are to be done.
	readDue struct{}
	// wrapUp is the shard's: the node stops. The answer is wrappedUp, when everything
	// that is to be kept has been handed over.
	wrapUp struct{}
)

// To the journal.
type (
	// commit asks to keep what a user has numbered, in its order, and where its
	// devices stand. The answer to the user is committed or uncommitted; the senders
	// get theirs too.
	commit struct {
		user    protocol.UserID
		by      *actor.PID
		entries []*keep
		moves   []inbox.Move
		chores  []chore
	}
	// fence asks for the word that all commits of the user's last actor have been
	// answered. The answer is fenced.
	fence struct {
		user protocol.UserID
		by   *mailbox.Gated
	}
	// probe is the journal's own clock: the store may work again.
	probe struct{}
	// movesDue is the journal's own clock: cursors have waited long enough.
	movesDue struct{}
)

// end, to the gateway, the registry and the shards, is the last message: stop, when all below
// have stopped.
type end struct{}

// Answers to those who ask from outside.
type (
	closed  struct{ sessions int }
	drained struct{}
	halted  struct{}
	// scalingRefused says what is under way already.
	scalingRefused struct{ running Scaling }
)

// Shared values of messages without content: sending one costs no allocation.
var (
	msgHeartbeat    = &heartbeat{}
	msgBeat         = &beat{}
	msgDrainNext    = &drainNext{}
	msgEnd          = &end{}
	msgSweep        = &sweep{}
	msgRest         = &rest{}
	msgMayLeave     = &mayLeave{}
	msgCloseExpired = &closeExpired{}
	msgReattach     = &reattach{}
	msgAckDue       = &ackDue{}
	msgConnectDue   = &connectDue{}
	msgRenewed      = &renewed{}
	msgRetry        = &retry{}
	msgReadDue      = &readDue{}
	msgWrapUp       = &wrapUp{}
	msgDepart       = &depart{}
	msgPrepareMore  = &prepareMore{}
	msgWeigh        = &weigh{}
	msgNextStep     = &nextStep{}
	msgProbe        = &probe{}
	msgMovesDue     = &movesDue{}
	msgDrained      = &drained{}
	msgSent         = &protocol.Sent{}
)
