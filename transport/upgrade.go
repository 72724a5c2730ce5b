package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
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
	id, err := protocol.ParseUserID(r.PathValue("id"))
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
	case s.system.Blocked(id) != nil:
		s.refuse(w, http.StatusForbidden, protocol.CodeBlocked, actors.ErrBlocked.Reason)
	case !s.ready.Load():
		w.Header().Set("Retry-After", "1")
		s.refuse(w, http.StatusServiceUnavailable, protocol.CodeDraining, actors.ErrDraining.Reason)
	case s.connections.Add(1) > int64(s.live.Load().MaxConnections):
		s.connections.Add(-1)
		w.Header().Set("Retry-After", "5")
		const reason = "the service has as many connections as it may; try again later"
		s.system.HitLimit(protocol.CodeTooManyConnections, id, r.RemoteAddr, reason)
		s.refuse(w, http.StatusServiceUnavailable, protocol.CodeTooManyConnections, reason)
	default:
		s.readers.Add(1) // net/http forgets this goroutine with the hijack; Wait does not
		defer s.readers.Done()
		if !s.connect(w, r, id, subprotocol) {
			s.connections.Add(-1)
		}
	}
}

// refuse answers a handshake with an HTTP error.
func (s *Server) refuse(w http.ResponseWriter, status int, code protocol.ErrorCode, reason string) {
	s.refusedWith(code)
	writeProblem(w, status, code, reason)
}

// originAllowed guards users against pages of other sites that would connect in
// their name. Programs other than browsers send no Origin.
func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || s.live.Load().origins[origin] {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || r.TLS != nil && u.Scheme != "https" { // a page that anybody on its way could have written
		return false
	}
	return u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

const subprotocolHeader = "Sec-Websocket-Protocol"

// negotiate chooses the subprotocol that the client likes best of those that the
// server speaks, which is none for the seed's dialect. It returns false if the client
// asks for versions of Callboard's own protocol and the server speaks none of them;
// what it asks for besides is not for us to judge.
func negotiate(h http.Header) (subprotocol string, spoken bool) {
	spoken = true
	for _, line := range h[subprotocolHeader] {
		for offer := range strings.SplitSeq(line, ",") {
			offer = strings.TrimSpace(offer)
			if _, ok := protocol.CodecOf(offer); ok {
				return offer, true
			}
			if strings.HasPrefix(offer, protocol.SubprotocolPrefix) {
				spoken = false
			}
		}
	}
	return "", spoken
}

// connect does the handshake and starts the reader. It returns false if there is
// no connection after all.
func (s *Server) connect(w http.ResponseWriter, r *http.Request, id protocol.UserID, subprotocol string) bool {
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
	sock.codec = codec

	ctx, cancel := context.WithTimeout(r.Context(), s.config.HandshakeTimeout)
	defer cancel()
	link, err := s.system.Connect(ctx, id, dialect, sock)
	if link == nil {
		s.config.Log.Warn("connection refused", slog.String("user", string(id)), slog.Any("error", err))
		code := protocol.CodeInternal
		if why, ok := errors.AsType[*actors.Error](err); ok {
			code = why.Code
		}
		s.refusedWith(code)
		if errors.Is(err, actors.ErrDraining) {
			sock.decline(actors.ErrDraining)
		}
		sock.Close()
		return false
	}
	sock.link = link
	s.upgraded.Add(1)
	// A goroutine of its own, so that net/http's stack and buffers are let go.
	s.readers.Go(func() {
		defer s.connections.Add(-1)
		sock.read()
	})
	return true
}

// newSocket makes a socket whose first words are the handshake's answer.
func (s *Server) newSocket(held *heldConn) (*socket, error) {
	sock := &socket{nc: held.Conn, writeTimeout: s.config.WriteTimeout / 2, drains: &s.drains}
	sock.take = sock.readable
	if conn, ok := held.Conn.(*tls.Conn); ok {
		below := conn.NetConn().(*wire) // Serve has put it there
		below.detached = true           // net/http has let go of it
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
