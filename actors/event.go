package actors

import (
	"slices"
	"time"

	"callboard/protocol"
)

// Event is something that has happened on this node and that an operator may want to
// know at once. Fields that say nothing about it are empty.
type Event struct {
	At      time.Time
	Kind    EventKind
	User    protocol.UserID
	Session uint64
	Device  string
	Remote  string             // address of the client
	Shard   int                // of the user, or the shard that it is about; -1: neither
	Code    protocol.ErrorCode // the word that programs test; empty where there is none
	Close   protocol.CloseCode // of session_closed
	Reason  string             // for people
}

// EventKind says what has happened.
type EventKind string

// The kinds. A new one needs its constant, its line in eventKinds, and the place that
// publishes it.
const (
	SessionOpened EventKind = "session_opened"
	SessionClosed EventKind = "session_closed"
	UserFailed    EventKind = "user_failed"
	UserReplaced  EventKind = "user_replaced"
	UserRecovered EventKind = "user_recovered"
	UserParked    EventKind = "user_parked"
	UserUnparked  EventKind = "user_unparked"
	ActorFailed   EventKind = "actor_failed"

	MessagePoisoned EventKind = "message_poisoned"
	ActorStuck      EventKind = "actor_stuck"
	ActorGotOn      EventKind = "actor_got_on"

	UserBlocked     EventKind = "user_blocked"
	UserUnblocked   EventKind = "user_unblocked"
	InboxTrimmed    EventKind = "inbox_trimmed"
	DeviceForgotten EventKind = "device_forgotten"

	ShardsChanging EventKind = "shards_changing"
	ShardsChanged  EventKind = "shards_changed"
	ShardsAuto     EventKind = "shards_auto"
	ShardsHeld     EventKind = "shards_held"

	LimitHit     EventKind = "limit_hit"
	StoreFailed  EventKind = "store_failed"
	StoreTrouble EventKind = "store_trouble"
	StoreWorks   EventKind = "store_works"
	DrainBegun   EventKind = "drain_begun"
	DrainEnded   EventKind = "drain_ended"
)

// EventMeaning is a kind and what it says, for people.
type EventMeaning struct {
	Kind    EventKind
	Meaning string
}

var eventKinds = []EventMeaning{
	{SessionOpened, "a session has its user, and its client is connected"},
	{SessionClosed, "a session has ended, with the close code and the reason"},
	{UserFailed, "a user's actor has failed; its shard starts another"},
	{UserReplaced, "a user's actor reads its inbox anew, after the store had failed"},
	{UserRecovered, "a user has an actor again, or will have one with the next message"},
	{UserParked, "a user's actor has failed too often, and rests"},
	{UserUnparked, "the rest is over"},
	{ActorFailed, "another actor has failed: a session, the journal, a shard, the gateway or the registry"},
	{MessagePoisoned, "a message is set aside, because its receiver's actor fails on it; the user goes on"},
	{ActorStuck, "an actor has been in one message for longer than it may; the log has the stack"},
	{ActorGotOn, "an actor that was stuck has got on"},
	{UserBlocked, "a user may not connect any more; the reason says who blocked it and why"},
	{UserUnblocked, "a user may connect again"},
	{InboxTrimmed, "messages were removed from an inbox at an operator's wish"},
	{DeviceForgotten, "a device of a user was forgotten at an operator's wish, and how far it was"},
	{ShardsChanging, "another number of shards is on its way; the reason has both numbers, and who asked for it or what the service saw"},
	{ShardsChanged, "there is another number of shards, and all users have moved"},
	{ShardsAuto, "the number of shards is left to the service from now on"},
	{ShardsHeld, "an operator's number has ended that"},
	{LimitHit, "something was refused or closed by a limit; the code says which"},
	{StoreFailed, "the store does not take messages any more; they are refused with the code"},
	{StoreTrouble, "the store has failed one user; at most one each second"},
	{StoreWorks, "the store takes messages again"},
	{DrainBegun, "the node opens no more sessions, and closes those it has"},
	{DrainEnded, "no session is left"},
}

// EventKinds are all kinds there are. The caller owns the slice.
func EventKinds() []EventMeaning { return slices.Clone(eventKinds) }

// watched is whether anybody watches. Ask it before making an Event.
func (s *System) watched() bool { return s.watches.Load() != nil }

// publish tells those who watch. It never waits.
func (s *System) publish(e Event) {
	watches := s.watches.Load()
	if watches == nil {
		return
	}
	e.At = time.Now()
	if e.User != "" {
		e.Shard = shardOf(e.User, len(s.ring.Load().shards))
	}
	for _, w := range watches.all {
		if w.filter.takes(&e) {
			w.put(&e)
		}
	}
}

// HitLimit counts that a limit has refused something, and tells those who watch. The limit
// is one of those in limitcodes.go; user, remote and reason may be empty.
func (s *System) HitLimit(limit protocol.ErrorCode, user protocol.UserID, remote, reason string) {
	s.counts.limits.add(limit)
	if s.watched() {
		s.publish(Event{Kind: LimitHit, User: user, Remote: remote, Shard: -1, Code: limit, Reason: reason})
	}
}

// about makes an event of a kind of this session.
func (s *session) about(kind EventKind) Event {
	return Event{Kind: kind, User: s.link.user, Session: s.number, Device: s.device(), Remote: s.remote()}
}

// hitLimit is System.HitLimit for a limit that closes this session.
func (s *session) hitLimit(limit protocol.ErrorCode, reason string) {
	s.link.system.counts.limits.add(limit)
	if s.link.system.watched() {
		e := s.about(LimitHit)
		e.Code, e.Reason = limit, reason
		s.link.system.publish(e)
	}
}
