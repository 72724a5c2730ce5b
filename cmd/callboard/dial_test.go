package main_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// handshake is how an attempt to connect ended.
type handshake struct {
	ws     *websocket.Conn
	err    error
	answer string
}

// dial tries to connect as a page of an origin would, or as a program.
func dial(t *testing.T, url, user, origin string) handshake {
	t.Helper()
	return dialTLS(t, url, user, origin, nil)
}

func dialTLS(t *testing.T, url, user, origin string, config *tls.Config, subprotocols ...string) handshake {
	t.Helper()
	header := http.Header{}
	if origin != "" {
		header.Set("Origin", origin)
	}
	dialer := websocket.Dialer{HandshakeTimeout: patience, TLSClientConfig: config, Subprotocols: subprotocols}
	ws, answer, err := dialer.DialContext(t.Context(), url+"/ws/"+user, header)
	h := handshake{ws: ws, err: err}
	if answer != nil {
		text, _ := io.ReadAll(answer.Body) // gorilla keeps the beginning of it in memory
		answer.Body.Close()
		h.answer = string(text)
	}
	return h
}

func (h handshake) refused(t *testing.T, code string) {
	t.Helper()
	if h.err == nil || !strings.Contains(h.answer, code) {
		t.Errorf("the handshake was answered with %q (%v), and not with %s", h.answer, h.err, code)
	}
}

func (h handshake) accepted(t *testing.T) *websocket.Conn {
	t.Helper()
	if h.err != nil {
		t.Fatalf("the handshake was refused: %v %s", h.err, h.answer)
	}
	return h.ws
}
