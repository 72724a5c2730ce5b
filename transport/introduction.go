package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"callboard/actors"
	"callboard/protocol"
)

// A client of version 1 that has shown no token is nobody: there is no session for it, so
// nothing can come to it and nothing be taken from it, until its CONNECT has proved who
// it is.

// maxIntroduction is how many bytes may come up to the end of CONNECT.
const maxIntroduction = 2 * protocol.MaxFrameBytes

// introduction is what has come of such a client. Its goroutine is its only owner.
type introduction struct {
	*socket
	in    []byte // read and not looked at
	total int    // bytes that came
}

// introduce reads a client's CONNECT, within HandshakeTimeout, and gets it its session.
// What has come behind CONNECT is for the session's reader. It returns false if the
// connection has ended.
func (s *Server) introduce(sock *socket, v visitor) (rest []byte, met bool) {
	s.unidentified.listen(v.nameless, sock.nc)
	defer s.unidentified.leave(v.nameless)
	limit, cancel := context.WithTimeout(context.Background(), s.config.HandshakeTimeout)
	defer cancel()
	deadline, _ := limit.Deadline()
	in := &introduction{socket: sock}
	if err := errors.Join(sock.nc.SetDeadline(deadline), in.flush()); err != nil {
		s.refusedWith(codeOther)
		sock.Close()
		return nil, false
	}
	connect, bad := in.hears()
	s.unidentified.heard(v.nameless)
	if bad == nil {
		if err := s.prove(limit, &v, connect.Token); err != nil {
			s.refuseToken(v.nameless.from, err)
			bad = closeFor(err)
		}
	}
	if bad == nil {
		connect.Token = "" // nobody else is to see it
		bad = s.meet(limit, sock, &v)
	}
	if bad != nil {
		s.refusedWith(protocol.ErrorCode(bad.reason))
		in.end(bad)
		return nil, false
	}
	s.upgraded.Add(1)
	if sock.nc.SetDeadline(time.Time{}) != nil { // it has been closed
		sock.link.Gone(0)
		return nil, false
	}
	s.admit(sock.link, v.admission)
	return in.in, sock.link.Connect(connect)
}

// meet gets a visitor a session, to whom the connection belongs from then on.
func (s *Server) meet(limit context.Context, sock *socket, v *visitor) *violation {
	sock.detach()
	link, err := s.system.Connect(limit, v.user, actors.V1, sock)
	switch {
	case link != nil:
		sock.link, sock.greeted, sock.maxFrame = link, true, link.FrameBytes()
		return nil
	case errors.Is(err, actors.ErrDraining):
		sock.attach()
		return &violation{protocol.CloseGoingAway, string(protocol.CodeDraining)}
	}
	sock.attach()
	return &violation{protocol.CloseTryAgainLater, string(protocol.CodeUnavailable)}
}

// refuseToken logs that a token was refused, without a word of it.
func (s *Server) refuseToken(from string, err error) {
	s.config.Log.Debug("token refused", slog.String("remote", from), slog.Any("error", err))
}

// hears is read with the end that a connection gets which says nothing, or goes.
func (in *introduction) hears() (*protocol.Connect, *violation) {
	connect, bad, err := in.read()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &violation{protocol.ClosePolicyViolation, "the first message is CONNECT, and none came in time"}
	case err != nil:
		return nil, &violation{protocol.CloseNormal, ""} // nobody is left to read it
	}
	return connect, bad
}

// read reads messages up to CONNECT. It answers pings.
func (in *introduction) read() (*protocol.Connect, *violation, error) {
	buffer := make([]byte, 4<<10)
	for {
		for {
			h, enough, bad := parseHeader(in.in)
			if bad != nil {
				return nil, bad, nil
			}
			if !enough || len(in.in) < h.size+h.length {
				break
			}
			in.traffic.in.Add(uint64(h.size + h.length)) // the reader counts the rest
			payload := in.in[h.size : h.size+h.length]
			unmask(payload, h.mask)
			in.in = in.in[h.size+h.length:]
			if connect, bad, err := in.frame(h, payload); connect != nil || bad != nil || err != nil {
				return connect, bad, err
			}
		}
		if in.total > maxIntroduction {
			return nil, &violation{protocol.ClosePolicyViolation, "the first message is CONNECT, and none has come"}, nil
		}
		n, err := in.plain().Read(buffer)
		if in.in, in.total = append(in.in, buffer[:n]...), in.total+n; err != nil && n == 0 {
			return nil, nil, err
		}
	}
}

// frame takes one frame; nothing is returned while there is no CONNECT.
func (in *introduction) frame(h header, payload []byte) (*protocol.Connect, *violation, error) {
	switch h.opcode {
	case opPong:
		return nil, nil, nil
	case opPing:
		in.Control(actors.Control{Op: actors.OpPong, Payload: payload})
		return nil, nil, in.flush()
	case opClose:
		return nil, &violation{protocol.CloseNormal, ""}, nil
	case opContinuation:
		if in.opcode == 0 {
			return nil, &violation{protocol.CloseProtocolError, "a continuation of no message"}, nil
		}
	default:
		if in.opcode != 0 {
			return nil, &violation{protocol.CloseProtocolError, "a message began before the last one had ended"}, nil
		}
		in.opcode = h.opcode
	}
	if len(in.message)+len(payload) > protocol.MaxFrameBytes {
		return nil, &violation{protocol.CloseTooBig, string(protocol.CodeTooLarge)}, nil
	}
	in.message = append(in.message, payload...)
	if !h.fin {
		return nil, nil, nil
	}
	message, opcode := in.message, in.opcode
	in.message, in.opcode = nil, 0
	connect, bad := in.decode(opcode, message)
	return connect, bad, nil
}

func (in *introduction) decode(opcode byte, message []byte) (*protocol.Connect, *violation) {
	if opcode != in.dataOpcode() {
		return nil, &violation{protocol.CloseUnsupportedData, wrongOpcode[in.codec]}
	}
	m, err := in.codec.Decode(message, nil)
	if err != nil {
		bad, end := in.unreadable(message, err)
		if end != nil {
			return nil, end
		}
		return nil, &violation{protocol.ClosePolicyViolation, bad.Reason}
	}
	connect, ok := m.(*protocol.Connect)
	switch {
	case !ok:
		return nil, &violation{protocol.ClosePolicyViolation, "the first message must be CONNECT, not " + m.Type().String()}
	case connect.Token == "":
		return nil, &violation{protocol.CloseUnauthorized, string(protocol.CodeUnauthorized)}
	}
	return connect, nil
}

// flush writes what waits, until the deadline that introduce has set.
func (in *introduction) flush() error {
	out := in.out
	in.out = nil
	n, err := in.plain().Write(out.b)
	in.traffic.out.Add(uint64(n))
	out.free()
	return err
}

// end says why the connection ends, and waits a while for the client to have heard.
func (in *introduction) end(why *violation) {
	defer in.Close()
	in.Control(actors.Control{Op: actors.OpClose, Code: why.code, Reason: why.reason})
	if errors.Join(in.nc.SetDeadline(time.Now().Add(protocol.CloseTimeout)), in.flush()) != nil {
		return
	}
	if in.sealed != nil {
		_ = in.sealed.conn.CloseWrite() // what cannot be told to the client, it has to do without
	}
	if tcp, ok := in.nc.(interface{ CloseWrite() error }); ok {
		_ = tcp.CloseWrite() // the close frame is the last word
	}
	// What is not read would make the kernel destroy the close frame.
	_, _ = io.Copy(io.Discard, io.LimitReader(in.nc, maxIntroduction))
}
