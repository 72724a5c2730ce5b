package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/websocket"

	"callboard/protocol"
)

// Dial connects as a user. The address is the server's, ws://host:port or
// wss://host:port, with the path in front of /ws/ if a proxy adds one. The context
// bounds the handshake, which takes protocol.HandshakeTimeout at most; the
// connection outlives it. Who dials closes.
//
// The error is a *RefusedError if the server answered and did not want to.
func Dial(ctx context.Context, address string, user protocol.UserID) (*Client, error) {
	target, err := endpoint(address, user)
	if err != nil {
		return nil, err
	}
	dialer := websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: protocol.HandshakeTimeout}
	ws, answer, err := dialer.DialContext(ctx, target, nil)
	if answer != nil {
		defer answer.Body.Close()
	}
	switch {
	case errors.Is(err, websocket.ErrBadHandshake) && answer != nil:
		return nil, refused(answer)
	case err != nil:
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	return newClient(ws), nil
}

// endpoint is the URL of a user's WebSocket.
func endpoint(address string, user protocol.UserID) (string, error) {
	if _, err := protocol.ParseUserID(string(user)); err != nil {
		return "", err
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("address %q: give the server's, like ws://127.0.0.1:8080", address)
	}
	segment := string(user)
	if segment == "." || segment == ".." { // ids like others, but a path would lose them
		segment = strings.ReplaceAll(segment, ".", "%2E")
	}
	return u.Scheme + "://" + u.Host + strings.TrimRight(u.EscapedPath(), "/") + "/ws/" + segment, nil
}
