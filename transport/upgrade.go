package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/gorilla/websocket"

	"callboard/actors"
	"callboard/protocol"
)

// upgrade turns a request into a session. In the seed's dialect the answer to the
// handshake leaves only when the user can be reached through the session: who has
// seen it gets every message that is sent from then on. In version 1 it leaves at
// once, and the server's CONNECT says the same.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	s.pending.answered(visitOf(r))
	if s.tooOften(w, r) {
		return
	}
	id, err := s.pathUser(r)
	subprotocol, spoken := negotiate(r.Header)
	switch {
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		s.refuse(w, http.StatusMethodNotAllowed, protocol.CodeMethodNotAllowed, "a WebSocket handshake is a GET")
	case err != nil:
		s.refuse(w, http.StatusBadRequest, protocol.CodeInvalidUserID, "/ws/{id}: "+err.Error())
	case !websocket.IsWebSocketUpgrade(r):
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		s.refuse(w, http.StatusUpgradeRequired, protocol.CodeUpgradeRequired, "this address speaks WebSocket: connect with a WebSocket client")
	case !s.originAllowed(r):
		s.refuse(w, http.StatusForbidden, protocol.CodeOriginNotAllowed,
			"pages of this origin may not connect; the operator can allow it with --allow-origin")
	case !spoken:
		s.refuse(w, http.StatusBadRequest, protocol.CodeUnknownSubprotocol, "Sec-WebSocket-Protocol: this server speaks "+
			protocol.SubprotocolJSON+" and "+protocol.SubprotocolProto)
	default:
		v, shown, why := s.signIn(r, id, subprotocol)
		if why != nil {
			s.config.Log.Debug("token refused", slog.String("remote", s.from(r)), slog.String("code", string(why.code)), slog.String("reason", why.reason))
			s.refuseSignIn(w, why, shown)
			return
		}
		s.receive(w, r, v, subprotocol)
	}
}

// pathUser is whom the path names. It may name nobody where a token does.
func (s *Server) pathUser(r *http.Request) (protocol.UserID, error) {
	if r.PathValue("id") == "" && s.config.Identity != nil {
		return "", nil
	}
	return protocol.ParseClientID(r.PathValue("id"))
}

// receive connects a visitor, if there is room.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, v visitor, subprotocol string) {
	switch {
	case v.user != "" && s.system.Blocked(v.user) != nil:
		s.refuse(w, http.StatusForbidden, protocol.CodeBlocked, actors.ErrBlocked.Reason)
		return
	case !s.ready.Load():
		w.Header().Set("Retry-After", "1")
		s.refuse(w, http.StatusServiceUnavailable, protocol.CodeDraining, actors.ErrDraining.Reason)
		return
	case s.connections.Add(1) > int64(s.live.Load().MaxConnections):
		s.connections.Add(-1)
		s.full(w, r, v, protocol.CodeTooManyConnections, "the service has as many connections as it may; try again later")
		return
	case v.user == "" && !s.roomForNameless():
		s.connections.Add(-1)
		s.full(w, r, v, actors.LimitPending, "the service looks at the tokens of as many connections as it may; try again later, or give the token in the Authorization header")
		return
	}
	if v.user == "" {
		v.nameless = &nameless{from: s.from(r)}
	}
	s.readers.Add(1) // net/http forgets this goroutine with the hijack; Wait does not
	defer s.readers.Done()
	if !s.connect(w, r, v, subprotocol) {
		s.connections.Add(-1)
		if v.nameless != nil {
			s.unidentified.leave(v.nameless)
		}
	}
}

// refuse answers a handshake with an HTTP error.
func (s *Server) refuse(w http.ResponseWriter, status int, code protocol.ErrorCode, reason string) {
	s.refusedWith(code)
	writeProblem(w, status, code, reason)
}

// full refuses a visitor for whom a limit leaves no room.
func (s *Server) full(w http.ResponseWriter, r *http.Request, v visitor, limit protocol.ErrorCode, reason string) {
	s.system.HitLimit(limit, v.user, s.from(r), reason)
	w.Header().Set("Retry-After", "5")
	s.refuse(w, http.StatusServiceUnavailable, protocol.CodeTooManyConnections, reason)
}

const subprotocolHeader = "Sec-Websocket-Protocol"

// negotiate chooses the subprotocol that the client likes best of those that the
// server speaks, which is none for the seed's dialect. It returns false if the client
// asks for versions of Callboard's own protocol and the server speaks none of them;
// what it asks for besides is not for us to judge.
func negotiate(h http.Header) (subprotocol string, spoken bool) {
	spoken = true
	for offer := range offers(h) {
		if _, ok := protocol.CodecOf(offer); ok {
			return offer, true
		}
		if strings.HasPrefix(offer, protocol.SubprotocolPrefix) && !strings.HasPrefix(offer, protocol.SubprotocolToken) {
			spoken = false
		}
	}
	return "", spoken
}

// offers are the subprotocols that a client offers, in its order.
func offers(h http.Header) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range h[subprotocolHeader] {
			for offer := range strings.SplitSeq(line, ",") {
				if !yield(strings.TrimSpace(offer)) {
					return
				}
			}
		}
	}
}

// connect does the handshake and starts the reader. It returns false if there is
// no connection after all.
func (s *Server) connect(w http.ResponseWriter, r *http.Request, v visitor, subprotocol string) bool {
	held := &heldAnswer{ResponseWriter: w}
	upgrader := websocket.Upgrader{
		CheckOrigin: func(*http.Request) bool { return true }, // upgrade has checked it
		Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			s.refuse(w, status, protocol.CodeBadRequest, reason.Error())
		},
	}
	var chosen http.Header
	dialect, codec := actors.Seed, protocol.Seed
	if subprotocol != "" {
		chosen, dialect = http.Header{subprotocolHeader: {subprotocol}}, actors.V1
		codec, _ = protocol.CodecOf(subprotocol) // negotiate has asked it
	}
	ws, err := upgrader.Upgrade(held, r, chosen)
	if err != nil {
		return false // answered by Error, or the client has gone
	}
	sock, err := s.newSocket(ws.NetConn().(*heldConn))
	if err != nil {
		s.refusedWith(protocol.CodeInternal)
		_ = ws.Close()
		return false
	}
	sock.codec, sock.named = codec, s.named(r)
	if v.user == "" {
		s.readers.Go(func() {
			if rest, met := s.introduce(sock, v); met {
				s.read(sock, rest)
			} else {
				s.connections.Add(-1)
			}
		})
		return true
	}

	sock.detach()
	ctx, cancel := context.WithTimeout(r.Context(), s.config.HandshakeTimeout)
	defer cancel()
	link, err := s.system.Connect(ctx, v.user, dialect, sock)
	if link == nil {
		s.config.Log.Warn("connection refused", slog.String("user", string(v.user)), slog.String("remote", s.from(r)), slog.Any("error", err))
		s.refusedWith(codeOf(err))
		if errors.Is(err, actors.ErrDraining) {
			sock.decline(actors.ErrDraining)
		}
		sock.Close()
		return false
	}
	sock.link, sock.maxFrame = link, link.FrameBytes()
	s.admit(link, v.admission)
	s.upgraded.Add(1)
	s.read(sock, nil)
	return true
}

// codeOf is the code that the system has refused somebody with.
func codeOf(err error) protocol.ErrorCode {
	if why, ok := errors.AsType[*actors.Error](err); ok {
		return why.Code
	}
	return protocol.CodeInternal
}

// read starts the reader. It is a goroutine of its own, so that the stack and the buffers
// of the handshake are let go.
func (s *Server) read(sock *socket, early []byte) {
	s.readers.Go(func() {
		defer s.connections.Add(-1)
		sock.read(early)
	})
}

// newSocket makes a socket whose first words are the handshake's answer. Whoever gives it to a
// session detaches it first.
func (s *Server) newSocket(held *heldConn) (*socket, error) {
	sock := &socket{nc: held.Conn, writeTimeout: s.config.WriteTimeout / 2, server: s, maxFrame: protocol.MaxFrameBytes}
	sock.take = sock.readable
	if conn, ok := held.Conn.(*tls.Conn); ok {
		below := conn.NetConn().(*wire) // Serve has put it there
		sock.nc, sock.sealed, sock.take = below.Conn, &sealed{conn, below}, sock.readableSealed
	}
	var err error
	if sock.raw, err = sock.nc.(syscall.Conn).SyscallConn(); err != nil {
		return nil, err
	}
	sock.traffic = &s.traffic[rand.IntN(trafficParts)]
	if err := sock.raw.Control(func(fd uintptr) { sock.tells = tellsLeftover(fd) }); err != nil {
		return nil, err
	}
	sock.out = newOutBuffer()
	sock.out.b = append(sock.out.b, held.answer...)
	return sock, nil
}

// decline answers the handshake with an HTTP error after all.
func (s *socket) decline(why *actors.Error) {
	var answer bytes.Buffer
	w := &http.Response{
		StatusCode: http.StatusServiceUnavailable, ProtoMajor: 1, ProtoMinor: 1, Close: true,
		Header: http.Header{"Retry-After": {"1"}},
	}
	w.Body = io.NopCloser(bytes.NewReader(problemBody(w.Header, why.Code, why.Reason)))
	_ = w.Write(&answer) // into memory
	s.leaving = newOutBuffer()
	s.leaving.b = append(s.leaving.b, answer.Bytes()...)
	if s.sealed == nil || s.sealLeaving() == nil {
		_, _ = s.tryWrite(s.leaving.b) // the client may have gone
	}
	s.leaving.free()
	s.leaving = nil
}

// heldAnswer gives gorilla's upgrader a connection that keeps the handshake's
// answer back.
type heldAnswer struct{ http.ResponseWriter }

// Hijack implements http.Hijacker.
func (h *heldAnswer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return &heldConn{Conn: nc}, rw, nil
}

// heldConn keeps what is written to it.
type heldConn struct {
	net.Conn
	answer []byte
}

func (c *heldConn) Write(b []byte) (int, error) {
	c.answer = append(c.answer, b...)
	return len(b), nil
}
