package actors

import "callboard/protocol"

// Limits that refuse nothing, or refuse with a more general code. Those of other packages
// are here too, so that HitLimit can count them.
const (
	LimitUsers            protocol.ErrorCode = "too_many_users"
	LimitInFlight         protocol.ErrorCode = "in_flight"
	LimitSlowed           protocol.ErrorCode = "rate_slowed"
	LimitHandshake        protocol.ErrorCode = "handshake_timeout"
	LimitPending          protocol.ErrorCode = "too_many_pending"
	LimitFailures         protocol.ErrorCode = "too_many_failures"
	LimitBroadcasts       protocol.ErrorCode = "too_many_broadcasts"
	LimitAdminConnections protocol.ErrorCode = "too_many_admin_connections"
)

// limits are all that are counted. A new one needs its line here, and a place that calls
// HitLimit.
var limits = []protocol.ErrorCode{
	protocol.CodeInboxFull, protocol.CodeStorageFull, protocol.CodeTooLarge, LimitInFlight, LimitUsers,
	LimitSlowed, protocol.CodeRateLimited, protocol.CodeTooManyAttempts,
	protocol.CodeTooManySessions, protocol.CodeTooManyDevices, protocol.CodeSlowConsumer, protocol.CodeHeartbeatTimeout,
	LimitHandshake, protocol.CodeTooManyConnections, LimitPending,
	CodeTooManyBlocked, CodeTooManyStreams, LimitFailures, LimitBroadcasts, LimitAdminConnections,
}
