package transport

import (
	"callboard/actors"
	"callboard/protocol"
)

// pass hands a message of the client to the session. It returns false when there is
// no more to read.
func (s *socket) pass(m protocol.Message) (more bool) {
	if s.greets() {
		return s.greet(m)
	}
	v1 := s.link.Dialect() == actors.V1
	switch m := m.(type) {
	case *protocol.Send:
		return s.send(m, v1)
	case *protocol.Close:
		return s.bye(m)
	case *protocol.Ack:
		if v1 {
			return s.link.Ack(m.Seq)
		}
	case *protocol.Connect:
		if v1 {
			return s.renew(m)
		}
	}
	sends := "1 (SEND) or 3 (CLOSE)"
	if v1 {
		sends = "1 (SEND), 3 (CLOSE) or 5 (ACK)"
	}
	return s.link.Refuse(&protocol.Error{
		Code:   string(protocol.CodeUnknownType),
		Reason: "type: a client sends " + sends + ", not " + m.Type().String(),
	})
}

// bye takes the client's CLOSE. The codes are those that a browser's WebSocket lets a page
// close with: the others say what only a server or a library can know.
func (s *socket) bye(m *protocol.Close) (more bool) {
	code := protocol.CloseCode(m.Code)
	switch {
	case code == 0:
		code = protocol.CloseNormal
	case code != protocol.CloseNormal && (code < 3000 || code > 4999):
		return s.link.Refuse(&protocol.Error{
			Code:   string(protocol.CodeInvalidMessage),
			Reason: "code: a client closes with 1000 or 3000 to 4999",
		})
	}
	s.closing = true
	return s.link.Close(code, m.Reason)
}

// greets is whether the session still waits for its CONNECT.
func (s *socket) greets() bool { return !s.greeted && s.link.Dialect() == actors.V1 }

// greet takes the first message of a client that speaks version 1.
func (s *socket) greet(m protocol.Message) (more bool) {
	connect, ok := m.(*protocol.Connect)
	if !ok {
		return s.fail(&violation{protocol.ClosePolicyViolation, "the first message must be CONNECT, not " + m.Type().String()})
	}
	if bad := s.vouch(connect.Token); bad != nil {
		return s.fail(bad)
	}
	connect.Token = "" // nobody else is to see it
	s.greeted = true
	return s.link.Connect(connect)
}

// send passes on a SEND, which is the one in link.Next but for the first of all.
func (s *socket) send(m *protocol.Send, v1 bool) (more bool) {
	switch {
	case m.Sender != "" && m.Sender != string(s.link.User()):
		return s.link.Refuse(&protocol.Error{
			Id: m.Id, Code: string(protocol.CodeSenderMismatch),
			Reason: "sender: this connection is user " + string(s.link.User()) + "'s; leave the sender out or give that one",
		})
	case v1 && m.Id == "":
		return s.link.Refuse(&protocol.Error{
			Code:   string(protocol.CodeInvalidMessage),
			Reason: "id: missing; a SEND has one, so that it can be confirmed and sent again",
		})
	}
	if !s.sends {
		s.sends = true
		next := s.link.Next()
		next.Receiver, next.Content, next.Id, next.Traceparent = m.Receiver, m.Content, m.Id, m.Traceparent
	}
	if !v1 {
		s.link.Next().Traceparent = "" // the seed had no such field
	}
	return s.link.Send()
}
