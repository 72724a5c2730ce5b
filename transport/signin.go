package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/identity"
)

// visitor is who wants to connect.
type visitor struct {
	path      protocol.UserID // whom the path names; empty: nobody
	user      protocol.UserID // who it is; empty: CONNECT is to say
	admission actors.Admission
	nameless  *nameless // while CONNECT is to say who it is
}

// refusal is an HTTP answer to a handshake.
type refusal struct {
	status int
	code   protocol.ErrorCode
	reason string
	retry  time.Duration
}

// refuseSignIn answers a handshake with a refusal. A client that showed a token which does not hold is told so in the way
// of RFC 6750, section 3.
func (s *Server) refuseSignIn(w http.ResponseWriter, f *refusal, shown bool) {
	switch {
	case f.retry > 0:
		retryAfter(w.Header(), f.retry)
	case f.status == http.StatusUnauthorized && shown:
		w.Header().Set("WWW-Authenticate", `Bearer realm="callboard", error="invalid_token"`)
	case f.status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="callboard"`)
	}
	s.refuse(w, f.status, f.code, f.reason)
}

// signIn finds out who a request is from. In version 1 that may be left to CONNECT.
func (s *Server) signIn(r *http.Request, path protocol.UserID, subprotocol string) (v visitor, shown bool, why *refusal) {
	v.path = path
	if s.config.Identity == nil {
		v.user = path
		return v, false, nil
	}
	token, err := tokenOf(r, s.config.TokenInQuery)
	switch {
	case err != nil:
		return v, true, &refusal{status: http.StatusBadRequest, code: protocol.CodeBadRequest, reason: err.Error()}
	case token == "" && subprotocol != "":
		return v, false, nil
	case token == "":
		return v, false, refusalOf(identity.ErrMissing)
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.config.HandshakeTimeout)
	defer cancel()
	if err := s.prove(ctx, &v, token); err != nil {
		return v, true, refusalOf(err)
	}
	return v, true, nil
}

// errUserMismatch is for a token of somebody else than the path names.
var errUserMismatch = &identity.RefusedError{Code: protocol.CodeUserMismatch, Reason: "the token is for another user than the path names"}

// prove has a token say who the visitor is. It waits for keys until the context is done.
func (s *Server) prove(ctx context.Context, v *visitor, token string) error {
	id, err := s.config.Identity.Verify(ctx, token)
	if err != nil {
		return err
	}
	if v.path != "" && v.path != id.User {
		return errUserMismatch
	}
	v.user, v.admission = id.User, s.admission(id)
	return nil
}

// admission is for how long a token lets its bearer in.
func (s *Server) admission(id identity.Identity) actors.Admission {
	return actors.Admission{Until: id.Expires.Add(s.config.TokenGrace), Token: uint64(id.Token)}
}

// refusalOf is the HTTP answer for a token that does not hold.
func refusalOf(err error) *refusal {
	why, ok := errors.AsType[*identity.RefusedError](err)
	if !ok {
		return &refusal{status: http.StatusInternalServerError, code: protocol.CodeInternal, reason: actors.ErrInternal.Reason}
	}
	f := &refusal{http.StatusUnauthorized, why.Code, why.Reason, why.RetryAfter}
	switch why.Code {
	case protocol.CodeUnavailable:
		f.status = http.StatusServiceUnavailable
	case protocol.CodeUserMismatch:
		f.status = http.StatusForbidden
	}
	return f
}

// closeFor is the close frame for a token that does not hold.
func closeFor(err error) *violation {
	why, ok := errors.AsType[*identity.RefusedError](err)
	if !ok {
		return &violation{protocol.CloseInternal, string(protocol.CodeInternal)}
	}
	switch why.Code {
	case protocol.CodeUnavailable:
		return &violation{protocol.CloseTryAgainLater, string(why.Code)}
	case protocol.CodeTokenExpired:
		return &violation{protocol.CloseTokenExpired, string(why.Code)}
	}
	return &violation{protocol.CloseUnauthorized, string(why.Code)}
}

// admit lets a visitor stay who has a session now: for as long as the token says, and not
// if that was revoked since it was verified.
func (s *Server) admit(link *actors.Link, a actors.Admission) {
	if s.config.Identity == nil {
		return
	}
	link.Admit(a)
	if s.config.Identity.IsRevoked(identity.TokenID(a.Token)) {
		link.Fail(protocol.CloseUnauthorized, string(protocol.CodeUnauthorized))
	}
}

// closeTokensTimeout is how long it may take until the sessions are found.
const closeTokensTimeout = 5 * time.Second

// CloseRevoked closes the sessions whose tokens are revoked. With an error some may be open still: call it again.
func (s *Server) CloseRevoked(ctx context.Context, revoked *identity.Revoked) error {
	if len(*revoked) == 0 {
		return nil
	}
	limit, cancel := context.WithTimeout(ctx, closeTokensTimeout)
	defer cancel()
	sessions, err := s.system.CloseTokens(limit, func(token uint64) bool { return revoked.Has(identity.TokenID(token)) })
	if err != nil {
		return fmt.Errorf("finding the sessions of revoked tokens: %w", err)
	}
	if sessions > 0 {
		s.config.Log.Info("sessions of revoked tokens closed", slog.Int("sessions", sessions))
	}
	return nil
}
