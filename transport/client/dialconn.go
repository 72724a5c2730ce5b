package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"

	"callboard/protocol"
)

// ConnConfig says how a Conn is made. The zero value is the seed's dialect over
// TCP.
type ConnConfig struct {
	// Subprotocol is the dialect: protocol.SubprotocolJSON, protocol.SubprotocolProto,
	// or empty for the seed's.
	Subprotocol string

	// NetDial makes the connection below, for instance from a source address that
	// the caller chose (net.Dialer with LocalAddr). Default: TCP, through the proxy
	// that the environment names.
	NetDial func(ctx context.Context, network, address string) (net.Conn, error)

	// TLS is for addresses with wss. Default: Go's.
	TLS *tls.Config

	// Header is sent with the handshake: Authorization, Origin.
	Header http.Header

	// ReadBuffer is how much is read at once, in bytes. Default 4096. All of it
	// stays with the connection: a program with very many takes 512.
	ReadBuffer int
}

// writeBuffers is never used: gorilla makes a buffer of its own where it sees no
// pool, and it writes nothing.
var writeBuffers sync.Pool

// DialConn connects as a user. The address is the server's, ws://host:port or
// wss://host:port, with the path in front of /ws/ if a proxy adds one. The context
// bounds the handshake, which takes protocol.HandshakeTimeout at most; the
// connection outlives it. Who dials closes.
//
// With a Subprotocol the first message is the caller's CONNECT, and the server's
// comes back; DialConn leaves both to the caller.
//
// The error is a *RefusedError if the server answered and did not want to.
func DialConn(ctx context.Context, address string, user protocol.UserID, config ConnConfig) (*Conn, error) {
	target, err := endpoint(address, user)
	if err != nil {
		return nil, err
	}
	codec, known := protocol.CodecOf(config.Subprotocol)
	if !known && config.Subprotocol != "" {
		return nil, fmt.Errorf("subprotocol %q: give %q or %q, or nothing for the seed's dialect",
			config.Subprotocol, protocol.SubprotocolJSON, protocol.SubprotocolProto)
	}
	var h *hush
	stop := func() bool { return true }
	dialer := websocket.Dialer{
		HandshakeTimeout: protocol.HandshakeTimeout,
		TLSClientConfig:  config.TLS,
		ReadBufferSize:   config.ReadBuffer,
		WriteBufferPool:  &writeBuffers,
		NetDialContext: func(limit context.Context, network, address string) (net.Conn, error) {
			nc, err := config.netDial(limit, network, address)
			if err != nil {
				return nil, err
			}
			h = &hush{Conn: nc}
			stop = context.AfterFunc(ctx, func() { _ = nc.Close() }) // gorilla looks at deadlines alone
			return h, nil
		},
	}
	if config.NetDial == nil {
		dialer.Proxy = http.ProxyFromEnvironment
	}
	if config.Subprotocol != "" {
		dialer.Subprotocols = []string{config.Subprotocol}
	}
	ws, answer, err := dialer.DialContext(ctx, target, config.Header)
	if answer != nil {
		defer answer.Body.Close()
	}
	ended := !stop()
	switch {
	case errors.Is(err, websocket.ErrBadHandshake) && answer != nil:
		return nil, refused(answer)
	case err == nil && ended:
		_ = ws.Close() // the context has closed what is below
		return nil, fmt.Errorf("connecting to %s: %w", address, ctx.Err())
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("connecting to %s: %w", address, ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	case ws.Subprotocol() != config.Subprotocol:
		_ = ws.Close() // it would take our frames for others
		return nil, &RefusedError{
			Status: answer.StatusCode, Code: protocol.CodeUnknownSubprotocol,
			Reason: fmt.Sprintf("the server speaks %q where %q was asked for", ws.Subprotocol(), config.Subprotocol),
		}
	}
	return newConn(ws, h, codec), nil
}

func (c *ConnConfig) netDial(ctx context.Context, network, address string) (net.Conn, error) {
	if c.NetDial != nil {
		return c.NetDial(ctx, network, address)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, address)
}
