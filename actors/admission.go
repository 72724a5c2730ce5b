package actors

import (
	"context"
	"math"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// How long a session may stay. Who the client is was found out before there was a
// session; what is left to do here is to end it in time.

// Admission says for how long a client was let in, and by what.
type Admission struct {
	Until time.Time // when the session ends unless it is renewed; the zero Time: it does not
	Token uint64    // what CloseTokens calls the client's token; 0: it cannot be called
}

// closeTokenExpired is what a session gets that was not renewed.
var closeTokenExpired = Control{Code: protocol.CloseTokenExpired, Reason: string(protocol.CodeTokenExpired)}

// closeUnauthorized is what a session gets whose token was revoked.
var closeUnauthorized = &protocol.Close{Code: uint32(protocol.CloseUnauthorized), Reason: string(protocol.CodeUnauthorized)}

// Admit says for how long the client was let in; only the goroutine that reads calls it.
// The session ends with token_expired at the first heartbeat after that, so up to
// Config.PingInterval late: no session has a timer for it.
//
// Who calls it asks afterwards whether the token was revoked meanwhile: CloseTokens
// closes the sessions that it finds, and may have run just before.
func (l *Link) Admit(a Admission) {
	l.token.Store(a.Token)
	l.expires.Store(l.system.seconds(a.Until))
}

// Renew is Admit for a client that shows a new token in a session, and has it told. It
// takes a credit, as Send does.
func (l *Link) Renew(a Admission) bool {
	if !l.take() {
		return !l.ended.Load()
	}
	l.Admit(a)
	return l.post(msgRenewed)
}

// seconds is a point in time as System.now has it, rounded up; 0 is never.
func (s *System) seconds(at time.Time) uint32 {
	if at.IsZero() {
		return 0
	}
	left := (s.now() + max(0, time.Until(at)) + time.Second - 1) / time.Second
	return uint32(min(max(left, 1), math.MaxUint32))
}

// overdue is whether the client should have shown a new token by now.
func (s *session) overdue() bool {
	expires := s.link.expires.Load()
	return expires != 0 && s.link.system.now() > time.Duration(expires)*time.Second
}

// renewed tells the peer that its new token counts.
func (s *session) renewed() {
	if s.state == delivering {
		s.wrote(s.conn.Write(&protocol.Connect{User: string(s.link.user), Device: s.device(), Session: s.name()}))
	}
	s.link.give()
}

// CloseTokens closes the sessions of clients that were let in by one of the tokens, and
// returns how many there were.
func (s *System) CloseTokens(ctx context.Context, revoked func(token uint64) bool) (sessions int, err error) {
	answer, err := ask[*closed](ctx, s, s.gateway, &closeTokens{revoked})
	if err != nil {
		return 0, err
	}
	return answer.sessions, nil
}

// closeTokens looks at every session. It is seldom that a token is revoked.
func (g *gateway) closeTokens(ctx actor.Context, msg *closeTokens) {
	found := 0
	g.order.Ascend(func(s *session) bool {
		if token := s.link.token.Load(); token != 0 && msg.revoked(token) {
			ctx.Send(g.beats.of(s), closeUnauthorized)
			found++
		}
		return true
	})
	answer(ctx, &closed{sessions: found})
}
