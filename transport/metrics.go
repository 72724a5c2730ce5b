package transport

import (
	"sync/atomic"

	"callboard/protocol"
)

// Metrics are what a Server has counted since its start, and how many there are now.
type Metrics struct {
	Connections int64 // WebSockets
	Pending     int64 // connections that are no WebSocket yet

	Upgraded uint64
	Refused  map[protocol.ErrorCode]uint64 // handshakes; the words are those of a list, and "other"

	BytesIn, BytesOut uint64 // of WebSockets, headers of frames included
}

// Metrics reads what has been counted.
func (s *Server) Metrics() *Metrics {
	m := &Metrics{
		Connections: s.connections.Load(), Pending: int64(s.pending.number()),
		Upgraded: s.upgraded.Load(), Refused: make(map[protocol.ErrorCode]uint64, len(s.refused)),
	}
	for code, n := range s.refused {
		m.Refused[code] = n.Load()
	}
	for i := range s.traffic {
		m.BytesIn += s.traffic[i].in.Load()
		m.BytesOut += s.traffic[i].out.Load()
	}
	return m
}

// codeOther counts refusals with a code that is not in the list.
const codeOther protocol.ErrorCode = "other"

// newRefused makes the counters of refused handshakes, once: a peer cannot add to them.
func newRefused() map[protocol.ErrorCode]*atomic.Uint64 {
	refused := make(map[protocol.ErrorCode]*atomic.Uint64)
	for _, code := range []protocol.ErrorCode{
		protocol.CodeBadRequest, protocol.CodeMethodNotAllowed, protocol.CodeInvalidUserID, protocol.CodeUpgradeRequired,
		protocol.CodeOriginNotAllowed, protocol.CodeUnknownSubprotocol, protocol.CodeBlocked,
		protocol.CodeUnauthorized, protocol.CodeTokenExpired, protocol.CodeUserMismatch, protocol.CodeUnavailable,
		protocol.CodeDraining, protocol.CodeTooManyConnections, protocol.CodeTooManyAttempts, protocol.CodeInternal, codeOther,
	} {
		refused[code] = new(atomic.Uint64)
	}
	return refused
}

// refusedWith counts a handshake that was refused.
func (s *Server) refusedWith(code protocol.ErrorCode) {
	n := s.refused[code]
	if n == nil {
		n = s.refused[codeOther]
	}
	n.Add(1)
}

// trafficParts is the number of parts that bytes are counted in, so that two cores seldom
// want the same cache line.
const trafficParts = 16

// traffic is the bytes of some sockets. It fills two cache lines, for processors fetch
// them in pairs.
type traffic struct {
	in, out atomic.Uint64
	_       [128 - 2*8]byte
}
