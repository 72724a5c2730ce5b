package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/mailbox"
	"callboard/protocol"
)

// entry is what a shard knows of a user.
//
//	        mail for it            leave                 stay
//	(none) ────────────▶ active ──────────▶ leaving ────────────▶ active
//	                       │                   │ Terminated
//	               failure │                   └──▶ (none), or active if mail was held
//	                       ▼
//	                  recovering ──Terminated──▶ active, or parked if it failed too often
//	                                             parked ──unpark──▶ active
//
// Mail is sent on when active, held when leaving or recovering, refused when
// parked. What is held is bounded by the sends that sessions may have in flight.
type entry struct {
	id       protocol.UserID
	pid      *actor.PID       // of the user's actor; of the last one while parked
	box      *mailbox.Mailbox // its mailbox, for what it leaves behind when it fails
	sessions []*actor.PID     // attached and not detached, oldest first
	held     []any
	state    state
	inWheel  bool          // waits in the shard's wheel
	failures uint32        // within the window
	failedAt time.Duration // of System.now, as quietAt
	quietAt  time.Duration // when it last said that it has nothing to do
}

type state uint8

const (
	active state = iota
	leaving
	recovering
	parked
)

func (s state) String() string {
	return [...]string{"active", "leaving", "recovering", "parked"}[s]
}

func (e *entry) info() *UserInfo {
	info := &UserInfo{User: e.id, State: e.state.String(), Actor: e.pid.GetId(), Failures: int(e.failures)}
	for _, session := range e.sessions {
		info.Sessions = append(info.Sessions, sessionNumber(session))
	}
	return info
}

// failed counts a failure and returns how many there were lately.
func (e *entry) failed(now, window time.Duration) int {
	if now-e.failedAt > window {
		e.failures = 0
	}
	e.failures++
	e.failedAt = now
	return int(e.failures)
}

// hold keeps what the failed actor had not come to, before what came since.
func (e *entry) hold(rest []any) { e.held = slices.Concat(rest, e.held) }
