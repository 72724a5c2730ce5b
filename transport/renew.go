package transport

import (
	"errors"

	"callboard/protocol"
	"callboard/transport/identity"
)

// A CONNECT's token on a connection that has shown one already.

// vouch looks at the token of the first CONNECT of a client that has shown one in its
// handshake. It does not wait for keys: whoever does may hold up the end of the connection.
func (s *socket) vouch(token string) *violation {
	verifier := s.server.config.Identity
	if verifier == nil || token == "" {
		return nil
	}
	id, err := verifier.Check(token)
	switch {
	case err != nil:
		return closeFor(err)
	case id.User != s.link.User():
		return closeFor(errUserMismatch)
	}
	s.server.admit(s.link, s.server.admission(id))
	return nil
}

// renew takes a further CONNECT, which may have a new token for the session and
// nothing else. One that is refused changes nothing.
func (s *socket) renew(m *protocol.Connect) (more bool) {
	verifier := s.server.config.Identity
	switch {
	case verifier == nil || m.Token == "":
		return s.link.Refuse(&protocol.Error{
			Code:   string(protocol.CodeInvalidMessage),
			Reason: "type: CONNECT comes once, as the first message of a session, and again only with a new token where the service wants tokens",
		})
	case m.Device != "" || m.Cursor != nil || m.Epoch != 0 || m.Window != 0:
		return s.link.Refuse(&protocol.Error{
			Code:   string(protocol.CodeInvalidMessage),
			Reason: "type: a CONNECT within a session renews its token and has no other field",
		})
	}
	id, err := verifier.Check(m.Token)
	if err == nil && id.User != s.link.User() {
		err = &identity.RefusedError{Code: protocol.CodeUserMismatch, Reason: "the token is for another user than this session is of"}
	}
	if why, refused := errors.AsType[*identity.RefusedError](err); refused {
		return s.link.Refuse(&protocol.Error{Code: string(why.Code), Reason: "token: " + why.Reason})
	}
	admission := s.server.admission(id)
	if !s.link.Renew(admission) {
		return false
	}
	if verifier.IsRevoked(id.Token) { // in this instant
		return s.fail(&violation{protocol.CloseUnauthorized, string(protocol.CodeUnauthorized)})
	}
	return true
}
