package transport

import (
	"maps"
	"net"
	"net/http"
	"testing"

	"callboard/actors"
	"callboard/transport/identity/identitytest"
)

// A page can be loaded from somebody's machine under a name that leads to ours a moment later: then its Origin and the
// Host are the same.
func TestNameThatWasRebound(t *testing.T) {
	ed := identitytest.Ed(t, "")
	token := http.Header{"Authorization": {"Bearer " + ed.Token(t, identitytest.Claims("alice"))}}
	for name, c := range map[string]struct {
		start func() *service
		more  http.Header
		proof bool // something besides the name proves that the page may
	}{
		"without tokens": {func() *service {
			return start(t, Config{AllowOrigins: []string{scheme("http") + "://app.example.org"}}, actors.Config{})
		}, nil, overTLS},
		"with tokens": {func() *service {
			s, _ := guarded(t, fromFile(t, identitytest.Set(t, ed)), Config{AllowOrigins: []string{scheme("http") + "://app.example.org"}}, actors.Config{})
			return s
		}, token, true},
	} {
		s := c.start()
		_, port, err := net.SplitHostPort(s.address)
		must(t, err)
		for host, allowed := range map[string]bool{
			"evil.example:" + port:           c.proof,
			"127.0.0.1.nip.example:" + port:  c.proof,
			"localhost.evil.example:" + port: c.proof,
			"notlocalhost:" + port:           c.proof,
			"0x7f.1:" + port:                 c.proof,
			"app.example.org":                true, // the operator has said so
			s.address:                        true,
			"localhost:" + port:              true,
			"LOCALHOST:" + port:              true,
			"app.localhost:" + port:          true,
			"[::1]:" + port:                  true,
			"192.0.2.7:" + port:              true,
		} {
			header := http.Header{"Origin": {scheme("http") + "://" + host}, "Host": {host}}
			maps.Copy(header, c.more)
			p, answer, err := s.dial("alice", header)
			if err == nil {
				_ = p.ws.Close()
			}
			if want := map[bool]int{true: http.StatusSwitchingProtocols, false: http.StatusForbidden}[allowed]; answer.status != want {
				t.Errorf("%s, %s: %d, want %d", name, host, answer.status, want)
			}
		}
	}
}
