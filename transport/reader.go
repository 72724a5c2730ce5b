package transport

import (
	"encoding/binary"
	"errors"
	"slices"
	"unicode/utf8"

	"callboard/protocol"
)

// read is the reader goroutine: it takes the frames off the socket and passes
// the messages on, until the peer or the session ends the connection. What came before
// it began is early.
func (s *socket) read(early []byte) {
	if len(early) > 0 && !s.received(early) {
		return
	}
	if err := s.receive(); err != nil {
		s.link.Gone(0)
	}
}

// received works off what came in, together with what was left before.
func (s *socket) received(b []byte) (more bool) {
	s.link.Heard()
	s.traffic.in.Add(uint64(len(b)))
	if s.lost {
		return true
	}
	if len(s.rest) > 0 {
		s.rest = append(s.rest, b...)
		b = s.rest
	}
	used, more := s.frames(b)
	switch {
	case used == len(b) || s.lost || !more:
		s.rest = nil
	case len(s.rest) > 0:
		s.rest = append(s.rest[:0], b[used:]...)
	default:
		s.rest = slices.Clone(b[used:])
	}
	return more
}

// frames handles the frames that b holds whole and returns how many bytes they
// are.
func (s *socket) frames(b []byte) (used int, more bool) {
	for {
		h, enough, bad := parseHeader(b[used:])
		if enough && h.length > s.maxFrame {
			bad = &violation{protocol.CloseTooBig, string(protocol.CodeTooLarge)}
		}
		if bad != nil {
			s.lost = true
			return used, s.fail(bad)
		}
		if !enough || len(b)-used < h.size+h.length {
			return used, true
		}
		payload := b[used+h.size : used+h.size+h.length]
		unmask(payload, h.mask)
		used += h.size + h.length
		if !s.frame(h, payload) {
			return used, false
		}
		if s.lost {
			return used, true
		}
	}
}

// frame handles one frame. It returns false when there is no more to read.
func (s *socket) frame(h header, payload []byte) (more bool) {
	if s.closing && h.opcode != opClose {
		return true
	}
	switch h.opcode {
	case opText, opBinary:
		if s.opcode != 0 {
			return s.fail(&violation{protocol.CloseProtocolError, "a message began before the last one had ended"})
		}
		if h.fin {
			return s.complete(h.opcode, payload)
		}
		s.opcode = h.opcode
		s.message = slices.Clone(payload)
		return true
	case opContinuation:
		return s.fragment(h, payload)
	case opPing:
		return s.link.Ping(slices.Clone(payload))
	case opPong:
		return true
	default:
		return s.closed(payload)
	}
}

// fragment adds to the message that is under way.
func (s *socket) fragment(h header, payload []byte) (more bool) {
	if s.opcode == 0 {
		return s.fail(&violation{protocol.CloseProtocolError, "a continuation of no message"})
	}
	if len(s.message)+len(payload) > s.maxFrame {
		return s.fail(&violation{protocol.CloseTooBig, string(protocol.CodeTooLarge)})
	}
	s.message = append(s.message, payload...)
	if !h.fin {
		return true
	}
	message, opcode := s.message, s.opcode
	s.message, s.opcode = nil, 0
	return s.complete(opcode, message)
}

// complete passes on a message. One that cannot be understood is refused, and
// the connection goes on.
func (s *socket) complete(opcode byte, payload []byte) (more bool) {
	if opcode != s.dataOpcode() {
		return s.fail(&violation{protocol.CloseUnsupportedData, wrongOpcode[s.codec]})
	}
	var next *protocol.Send
	if s.sends { // a peer that only listens needs no place for it
		next = s.link.Next()
	}
	m, err := s.codec.Decode(payload, next)
	if err != nil {
		return s.refuse(payload, err)
	}
	return s.pass(m)
}

// wrongOpcode is what a client is told that mixes the codecs up.
var wrongOpcode = [...]string{
	protocol.JSON:  "this session speaks JSON in text frames",
	protocol.Seed:  "this session speaks JSON in text frames",
	protocol.Proto: "this session speaks protobuf in binary frames",
}

// refuse answers a message that could not be decoded.
func (s *socket) refuse(payload []byte, err error) (more bool) {
	bad, end := s.unreadable(payload, err)
	if end != nil {
		return s.fail(end)
	}
	if s.greets() {
		return s.fail(&violation{protocol.ClosePolicyViolation, bad.Reason})
	}
	return s.link.Refuse(bad.Message())
}

// unreadable is what is wrong with a message that could not be decoded, or why the connection
// ends over it.
func (s *socket) unreadable(payload []byte, err error) (*protocol.FrameError, *violation) {
	if s.codec != protocol.Proto && !utf8.Valid(payload) {
		return nil, &violation{protocol.CloseInvalidPayload, "a text frame must be UTF-8"}
	}
	bad, ok := errors.AsType[*protocol.FrameError](err)
	if !ok {
		return nil, &violation{protocol.CloseInternal, string(protocol.CodeInternal)}
	}
	return bad, nil
}

// closed: the peer's close frame. Nothing comes behind it.
func (s *socket) closed(payload []byte) (more bool) {
	code := protocol.CloseNormal
	switch {
	case len(payload) == 1:
		return s.fail(&violation{protocol.CloseProtocolError, "a close frame with half a code"})
	case len(payload) >= 2:
		code = protocol.CloseCode(binary.BigEndian.Uint16(payload))
		if !code.Valid() {
			return s.fail(&violation{protocol.CloseProtocolError, "a close code that must not be sent"})
		}
		if !utf8.Valid(payload[2:]) {
			return s.fail(&violation{protocol.CloseInvalidPayload, "a close reason must be UTF-8"})
		}
	}
	s.link.Gone(code)
	return false
}

// fail closes the connection for a breach of the protocol. Reading goes on, so
// that the close frame is not lost in a reset; only the peer's own counts still.
func (s *socket) fail(v *violation) (more bool) {
	if s.closing { // its second fault: nothing it says counts any more
		s.lost = true
		return true
	}
	s.closing = true
	s.link.Fail(v.code, v.reason)
	return true
}
