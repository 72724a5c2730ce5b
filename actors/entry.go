package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// entry is what a shard knows of a user.
//
//	        mail for it            leave                 stay
//	(none) ────────────▶ active ──────────▶ leaving ────────────▶ active
//	                       │                   │ Terminated
//	               failure │                   └──▶ (none), or active if mail was held
//	                       ▼
//	                  recovering ──Terminated──▶ fencing, or parked if it failed too often
//	                                             fencing ──fenced──▶ active
//	                                             parked ──unpark──▶ fencing
//
// When the number of shards changes, a user who belongs to another shard moves:
//
//	active ──turn──▶ departing ──Terminated──▶ (handed over)     parked ──turn──▶ (handed over)
//	leaving, recovering, fencing: as above, but handed over instead of active or parked
//
//	        mail for it              handover
//	(none) ────────────▶ arriving ────────────▶ active, or parked
//	                        └──absent──▶ (none), and the mail is handled as if it came now
//
// Mail is sent on when active, held when leaving, recovering, fencing, departing or
// arriving, refused when parked. What is held is bounded by the sends that sessions may have in
// flight. Without a journal there is nothing to put a fence behind, and fencing is
// passed over.
type entry struct {
	id       protocol.UserID
	pid      *actor.PID   // of the user's actor; of the last one while parked
	actor    *user        // for what it leaves behind when it fails; nil while parked
	sessions []*actor.PID // attached and not detached, oldest first
	held     few[any]
	state    state
	inWheel  bool          // waits in the shard's wheel
	innocent bool          // the actor asked to be replaced, or a message is to blame: that is no failure
	busy     bool          // among the busiest in this round, as the next and taken
	round    uint16        // of busiest
	failures uint16        // within the window: after far fewer the user is parked
	moves    bool          // to another shard, as soon as it has no actor
	claimed  bool          // that shard has mail for it, and waits
	restarts uint32        // failures since the entry was made
	taken    uint32        // messages that came for the user in this round
	failedAt time.Duration // of System.now, as quietAt
	quietAt  time.Duration // when it last said that it has nothing to do; parked: when that ends
}

type state uint8

const (
	active state = iota
	leaving
	recovering
	fencing
	parked
	departing
	arriving
)

func (s state) String() string {
	return [...]string{"active", "leaving", "recovering", "fencing", "parked", "departing", "arriving"}[s]
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
func (e *entry) hold(rest []any) { e.held = fewOf(slices.Concat(rest, e.held.all())) }
