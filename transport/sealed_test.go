package transport

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"callboard/actors"
	"callboard/protocol"
)

// tapped is a client's connection with what came over it.
type tapped struct {
	net.Conn
	mu   sync.Mutex
	seen bytes.Buffer
}

func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Write(b[:n])
	return n, err
}

// records are the kinds of TLS's records that came, in order.
func (c *tapped) records() (kinds []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for b := c.seen.Bytes(); len(b) >= 5; b = b[min(len(b), 5+int(b[3])<<8+int(b[4])):] {
		kinds = append(kinds, b[0])
	}
	return kinds
}

// Nothing leaves in clear, what leaves together is one record, and the end is told: whoever cuts
// the connection cannot pass for the server.
func TestSealedSessionSaysNothingInClearAndFarewell(t *testing.T) {
	own, _ := ownIdentity()
	s := startSealed(t, &tls.Config{Certificates: []tls.Certificate{own}, DynamicRecordSizingDisabled: true})
	nc, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.address)
	must(t, err)
	tap := &tapped{Conn: nc}
	config := clientTLS()
	config.MaxVersion = tls.VersionTLS12 // where the kinds of the records can be seen
	conn := tls.Client(tap, config)
	t.Cleanup(func() { _ = conn.Close() })
	p := &rawPeer{t, conn, bufio.NewReader(conn)}
	p.put([]byte(handshake("1")))
	p.upgraded()
	before := len(tap.records())

	content := strings.Repeat("a secret ", 1000)
	p.put(clientFrame(opText, send("1", content)))
	if _, payload := p.reads(); !strings.Contains(string(payload), content) {
		t.Errorf("got %q", payload)
	}
	const applicationData, alert = 23, 21
	if kinds := tap.records()[before:]; len(kinds) != 1 || kinds[0] != applicationData {
		t.Errorf("the message came in records %v", kinds)
	}
	p.put(clientFrame(opClose, ""))
	if _, err := io.Copy(io.Discard, p.in); err != nil {
		t.Errorf("the end is %v", err)
	}
	if kinds := tap.records(); kinds[len(kinds)-1] != alert {
		t.Errorf("the last record is of kind %d, and no farewell", kinds[len(kinds)-1])
	}
	if bytes.Contains(tap.seen.Bytes(), []byte("secret")) {
		t.Error("the message can be read on its way")
	}
}

// A peer that has TLS answer again and again, and lets nothing be sent, costs a bounded amount.
func TestUnaskedWordsOfTLSAreBounded(t *testing.T) {
	w := &wire{detached: true}
	var err error
	written := 0
	for range 10_000 {
		var n int
		if n, err = w.Write(make([]byte, 27)); err != nil {
			break
		}
		written += n
	}
	if !errors.Is(err, errUnasked) || written > maxUnasked {
		t.Errorf("%d bytes: %v", written, err)
	}
	w.sealed(true)
	if _, err := w.Write(make([]byte, protocol.MaxFrameBytes)); err != nil { // what the session writes is the session's limit
		t.Error(err)
	}
	if out := w.sealed(false); len(out.b) != written+protocol.MaxFrameBytes {
		t.Errorf("%d bytes came of %d", len(out.b), written)
	}
}

// A client that speaks HTTP to a server with TLS is told so, and one that speaks nothing is cut.
func TestClientWithoutTLSIsToldSo(t *testing.T) {
	own, _ := ownIdentity()
	s := startSealed(t, &tls.Config{Certificates: []tls.Certificate{own}})
	nc, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.address)
	must(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	p := &rawPeer{t, nc, bufio.NewReader(nc)}
	p.put([]byte(handshake("1")))
	if answer, err := io.ReadAll(p.in); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 400") {
		t.Errorf("%q, %v", answer, err)
	}
}

// startSealed is start with a certificate, whether or not all tests have one.
func startSealed(tb testing.TB, config *tls.Config) *service {
	tb.Helper()
	return start(tb, Config{TLS: config}, actors.Config{})
}
