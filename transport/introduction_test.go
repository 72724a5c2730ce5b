package transport

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/identity/identitytest"
)

// Who shows the token in CONNECT is let in or refused within TLS: no byte of the answer, of the
// close frame or of what follows leaves in clear, and the end is told.
func TestTokenInConnectOverTLSNeverLeavesTLS(t *testing.T) {
	ed := identitytest.Ed(t, "")
	own, _ := ownIdentity()
	s, _ := guarded(t, fromFile(t, identitytest.Set(t, ed)), Config{TLS: &tls.Config{Certificates: []tls.Certificate{own}}}, actors.Config{})
	const applicationData, alert = 23, 21
	for _, subprotocol := range []string{protocol.SubprotocolJSON, protocol.SubprotocolProto} {
		codec, _ := protocol.CodecOf(subprotocol)
		introduced := func(token string, more ...protocol.Message) (*rawPeer, *tapped, int) {
			nc, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.address)
			must(t, err)
			t.Cleanup(func() { _ = nc.Close() })
			must(t, nc.SetDeadline(time.Now().Add(patience)))
			tap := &tapped{Conn: nc}
			config := clientTLS()
			config.MaxVersion = tls.VersionTLS12 // where the kinds of the records can be seen
			conn := tls.Client(tap, config)
			p := &rawPeer{t, conn, bufio.NewReader(conn)}
			must(t, conn.Handshake())
			before := len(tap.records())
			p.put([]byte("GET /ws/alice HTTP/1.1\r\nHost: callboard\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " + subprotocol + "\r\n\r\n"))
			p.upgraded()
			p.put(clientFrame(opPing, "there?"))
			if opcode, payload := p.reads(); opcode != opPong || string(payload) != "there?" {
				t.Fatalf("%s: %d %q", subprotocol, opcode, payload)
			}
			p.says(codec, &protocol.Connect{Device: "d", Token: token})
			for _, m := range more {
				p.says(codec, m)
			}
			return p, tap, before
		}
		sealed := func(tap *tapped, before int, last byte) {
			t.Helper()
			kinds := tap.records()[before:]
			for i, kind := range kinds {
				if kind != applicationData && (kind != alert || i != len(kinds)-1) {
					t.Errorf("%s: the records are %v", subprotocol, kinds)
				}
			}
			if kinds[len(kinds)-1] != last || bytes.Contains(tap.seen.Bytes(), []byte("callboard.v1")) || bytes.Contains(tap.seen.Bytes(), []byte("unauthorized")) {
				t.Errorf("%s: the records are %v, of %q", subprotocol, kinds, tap.seen.Bytes())
			}
		}

		// What comes behind CONNECT at once is not lost.
		p, tap, before := introduced(ed.Token(t, identitytest.Claims("alice")), &protocol.Send{Receiver: "alice", Id: "1", Content: "to myself"})
		met, sent := false, false
		for !met || !sent { // its answer may come before that to CONNECT
			_, payload := p.reads()
			m, err := codec.Decode(payload, nil)
			must(t, err)
			switch m := m.(type) {
			case *protocol.Connect:
				met = m.User == "alice"
			case *protocol.Sent:
				sent = m.Id == "1"
			}
		}
		sealed(tap, before, applicationData)
		_ = p.Close()

		p, tap, before = introduced(identitytest.Ed(t, "").Token(t, identitytest.Claims("alice")))
		if opcode, payload := p.reads(); opcode != opClose || protocol.CloseCode(int(payload[0])<<8|int(payload[1])) != protocol.CloseUnauthorized {
			t.Errorf("%s: %d %q", subprotocol, opcode, payload)
		}
		if _, err := io.Copy(io.Discard, p.in); err != nil {
			t.Errorf("%s: the end is %v", subprotocol, err)
		}
		sealed(tap, before, alert)
		_ = p.Close()
	}
	eventually(t, "both handshakes are counted", func() bool { return s.server.Metrics().Upgraded == 2 })
	if m := s.server.Metrics(); m.Refused[protocol.CodeUnauthorized] != 2 {
		t.Errorf("counted are %+v", m)
	}
}
