package transport

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/identity"
	"callboard/transport/identity/identitytest"
)

// guarded is a server that wants tokens of the test's issuer.
func guarded(t *testing.T, keys identity.Config, config Config, system actors.Config) (*service, *identity.Verifier) {
	t.Helper()
	verifier, err := identity.New(keys)
	must(t, err)
	config.Identity = verifier
	s := start(t, config, system)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = verifier.Run(ctx, func(r *identity.Revoked) error { return s.server.CloseRevoked(ctx, r) })
	}()
	t.Cleanup(func() { stop(); <-ended }) // before the service's own end, which counts goroutines
	return s, verifier
}

// fromFile is a configuration with keys in a file.
func fromFile(t *testing.T, set []byte) identity.Config {
	t.Helper()
	name := filepath.Join(t.TempDir(), "keys.json")
	must(t, os.WriteFile(name, set, 0o600))
	return identity.Config{Poll: 5 * time.Millisecond, Issuers: []identity.Issuer{{Name: identitytest.Issuer, Audiences: []string{identitytest.Audience}, KeyFile: name}}}
}

func fromURL(k *identitytest.Server) identity.Config {
	return identity.Config{MinRefresh: time.Millisecond, Issuers: []identity.Issuer{{Name: identitytest.Issuer, Audiences: []string{identitytest.Audience}, KeyURL: k.URL}}}
}

// outcome is what came of an attempt to connect: "in", or the status and the code, or the
// number of the close frame.
func (s *service) attempt(way, path, token string) string {
	s.t.Helper()
	header := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	place, dialect, _ := strings.Cut(way, " ")
	var offers []string
	codec, v1 := protocol.CodecOf(dialect)
	if v1 {
		offers = append(offers, dialect)
	}
	switch place {
	case "header":
		header.Set("Authorization", "Bearer "+token)
	case "subprotocol":
		offers = append(offers, "callboard.token."+token)
	case "query":
		path += "?token=" + token
	}
	if len(offers) > 0 {
		header.Set(subprotocolHeader, strings.Join(offers, ", "))
	}
	request := "GET " + path + " HTTP/1.1\r\nHost: callboard\r\n"
	for key, values := range header {
		request += key + ": " + values[0] + "\r\n"
	}
	p := s.tcp()
	defer p.Close()
	p.put([]byte(request + "\r\n"))
	response, err := http.ReadResponse(p.in, nil)
	must(s.t, err)
	defer response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		var body problem
		must(s.t, json.NewDecoder(response.Body).Decode(&body))
		if wants := response.Header.Get("WWW-Authenticate"); (response.StatusCode == http.StatusUnauthorized) != strings.HasPrefix(wants, "Bearer ") {
			s.t.Errorf("%d comes with WWW-Authenticate %q", response.StatusCode, wants)
		}
		if response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "" {
			s.t.Error("503 comes without Retry-After")
		}
		return http.StatusText(response.StatusCode) + ": " + string(body.Code)
	}
	if got := response.Header.Get(subprotocolHeader); strings.Contains(got, token) && token != "" {
		s.t.Errorf("the token is said again: %s", got)
	}
	if !v1 {
		p.put(clientFrame(opPing, "there?"))
		p.reads()
		return "in"
	}
	hello := &protocol.Connect{Device: "d"}
	if place == "connect" {
		hello.Token = token
	}
	p.says(codec, hello)
	opcode, payload := p.reads()
	if opcode == opClose {
		return protocol.CloseCode(int(payload[0])<<8|int(payload[1])).String() + ": " + string(payload[2:])
	}
	m, err := codec.Decode(payload, nil)
	must(s.t, err)
	return "in" + strings.TrimPrefix(m.(*protocol.Connect).User, "alice")
}

// ways are all in which a token can be shown.
var ways = []string{
	"header ", "subprotocol ", "query ",
	"header callboard.v1.json", "subprotocol callboard.v1.json", "query callboard.v1.json", "connect callboard.v1.json",
	"header callboard.v1.proto", "subprotocol callboard.v1.proto", "query callboard.v1.proto", "connect callboard.v1.proto",
}

// inConnect is what a refusal of a handshake is in a close frame.
var inConnect = map[string]string{
	"in":                               "in",
	"Unauthorized: unauthorized":       "4006 unauthorized: unauthorized",
	"Unauthorized: token_expired":      "4007 token_expired: token_expired",
	"Forbidden: user_mismatch":         "4006 unauthorized: user_mismatch",
	"Service Unavailable: unavailable": "1013 unavailable: unavailable",
	"Forbidden: blocked":               "4005 blocked: blocked",
}

func TestTokensLetInAndForgeriesDoNot(t *testing.T) {
	rs, es, ed, hs := identitytest.RSA(t, "rsa"), identitytest.EC(t, "ec"), identitytest.Ed(t, "ed"), identitytest.Secret("hs")
	keys := fromFile(t, identitytest.Set(t, rs, es, ed, hs))
	keys.Leeway = 5 * time.Minute // more than this test takes
	s, _ := guarded(t, keys, Config{TokenInQuery: true}, actors.Config{})
	with := func(claim string, value any) jwt.MapClaims { return identitytest.With("alice", claim, value) }
	confused := func(secret []byte, kid string) string { // the public key taken for a secret
		return (&identitytest.Signer{ID: kid, Method: jwt.SigningMethodHS256, Private: secret}).Token(t, identitytest.Claims("alice"))
	}
	der, err := x509.MarshalPKIXPublicKey(rs.Public())
	must(t, err)
	good := rs.Token(t, identitytest.Claims("alice"))
	parts := strings.Split(good, ".")
	soon := time.Now().Add(time.Hour).Unix()
	critical := jwt.NewWithClaims(rs.Method, identitytest.Claims("alice"))
	critical.Header["kid"], critical.Header["crit"], critical.Header["b64"] = "rsa", []string{"b64"}, true
	withCritical, err := critical.SignedString(rs.Private)
	must(t, err)
	forgedHeader := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"NoNe","kid":"rsa"}`))

	const refused, expired = "Unauthorized: unauthorized", "Unauthorized: token_expired"
	for name, c := range map[string]struct{ token, want string }{
		"RS256":               {good, "in"},
		"ES256":               {es.Token(t, identitytest.Claims("alice")), "in"},
		"EdDSA":               {ed.Token(t, identitytest.Claims("alice")), "in"},
		"HS256":               {hs.Token(t, identitytest.Claims("alice")), "in"},
		"several audiences":   {rs.Token(t, with("aud", []string{"x", identitytest.Audience})), "in"},
		"already valid":       {rs.Token(t, with("nbf", time.Now().Add(-time.Minute).Unix())), "in"},
		"within the leeway":   {rs.Token(t, with("exp", time.Now().Add(-3*time.Second).Unix())), "in"},
		"without a key id":    {(&identitytest.Signer{ID: "", Method: es.Method, Private: es.Private}).Token(t, identitytest.Claims("alice")), "in"},
		"alg none":            {identitytest.Unsigned(t, identitytest.Claims("alice")), refused},
		"alg NoNe":            {forgedHeader + "." + parts[1] + ".", refused},
		"alg none with a key": {forgedHeader + "." + parts[1] + "." + parts[2], refused},
		"public key as HMAC":  {confused(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "rsa"), refused},
		"DER as HMAC":         {confused(der, "rsa"), refused},
		"no kid, as HMAC":     {confused(der, ""), refused},
		"RS384":               {(&identitytest.Signer{ID: "rsa", Method: jwt.SigningMethodRS384, Private: rs.Private}).Token(t, identitytest.Claims("alice")), refused},
		"PS256":               {(&identitytest.Signer{ID: "rsa", Method: jwt.SigningMethodPS256, Private: rs.Private}).Token(t, identitytest.Claims("alice")), refused},
		"HS512":               {(&identitytest.Signer{ID: "hs", Method: jwt.SigningMethodHS512, Private: hs.Private}).Token(t, identitytest.Claims("alice")), refused},
		"RS384, no kid":       {(&identitytest.Signer{ID: "", Method: jwt.SigningMethodRS384, Private: rs.Private}).Token(t, identitytest.Claims("alice")), refused},
		"PS256, no kid":       {(&identitytest.Signer{ID: "", Method: jwt.SigningMethodPS256, Private: rs.Private}).Token(t, identitytest.Claims("alice")), refused},
		"huge and signed":     {rs.Token(t, with("pad", strings.Repeat("x", protocol.MaxTokenBytes))), refused},
		"kid of another key":  {(&identitytest.Signer{ID: "ec", Method: rs.Method, Private: rs.Private}).Token(t, identitytest.Claims("alice")), refused},
		"unknown kid":         {(&identitytest.Signer{ID: "other", Method: rs.Method, Private: rs.Private}).Token(t, identitytest.Claims("alice")), refused},
		"another's key":       {identitytest.RSA(t, "rsa").Token(t, identitytest.Claims("alice")), refused},
		"no kid, other key":   {identitytest.RSA(t, "").Token(t, identitytest.Claims("alice")), refused},
		"expired":             {rs.Token(t, with("exp", time.Now().Add(-time.Hour).Unix())), expired},
		"not yet valid":       {rs.Token(t, with("nbf", soon)), refused},
		"no exp":              {rs.Token(t, with("exp", nil)), refused},
		"exp that is no time": {rs.Token(t, with("exp", "tomorrow")), refused},
		"other issuer":        {rs.Token(t, with("iss", "https://evil.example.org")), refused},
		"no issuer":           {rs.Token(t, with("iss", nil)), refused},
		"other audience":      {rs.Token(t, with("aud", "another.example.org")), refused},
		"no audience":         {rs.Token(t, with("aud", nil)), refused},
		"expired for another": {rs.Token(t, maps.Collect(merged(with("aud", "x"), jwt.MapClaims{"exp": 1}))), refused},
		"somebody else":       {rs.Token(t, with("sub", "bob")), "Forbidden: user_mismatch"},
		"no subject":          {rs.Token(t, with("sub", nil)), refused},
		"subject no user id":  {rs.Token(t, with("sub", "alice smith")), refused},
		"subject a number":    {rs.Token(t, with("sub", 7)), refused},
		"critical header":     {withCritical, refused},
		"payload changed":     {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"`+identitytest.Issuer+`","sub":"alice"}`)) + "." + parts[2], refused},
		"no signature":        {parts[0] + "." + parts[1] + ".", refused},
		"two parts":           {parts[0] + "." + parts[1], refused},
		"four parts":          {good + ".x", refused},
		"garbage":             {"garbage", refused},
		"dots":                {"..", refused},
		"huge":                {strings.Repeat("x", protocol.MaxTokenBytes+1), refused},
		"none":                {"", refused},
	} {
		for _, way := range ways {
			want := c.want
			if strings.HasPrefix(way, "connect") {
				want = inConnect[want]
				if strings.HasPrefix(name, "huge") { // the codec's limit
					want = "1008 policy_violation: token: too long; a token has at most 4096 bytes"
				}
			}
			if name == "none" && !strings.HasSuffix(way, " ") { // CONNECT might have brought one
				want = inConnect[c.want]
			}
			if got := s.attempt(way, "/ws/alice", c.token); got != want {
				t.Errorf("%s in %s: %s, want %s", name, way, got, want)
			}
		}
	}
	for _, way := range ways { // without an id the token says who it is
		if got := s.attempt(way, "/ws", good); got != "in" {
			t.Errorf("/ws, %s: %s", way, got)
		}
	}
	for _, secret := range []string{parts[0], parts[1], parts[2], "alice smith", "garbage", "secretsecret"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func merged(all ...jwt.MapClaims) func(yield func(string, any) bool) {
	return func(yield func(string, any) bool) {
		for _, some := range all {
			for key, value := range some {
				if !yield(key, value) {
					return
				}
			}
		}
	}
}

func TestTokenInTheURLCountsOnlyWhereItIsAllowed(t *testing.T) {
	ed := identitytest.Ed(t, "")
	s, _ := guarded(t, fromFile(t, identitytest.Set(t, ed)), Config{}, actors.Config{})
	if got := s.attempt("query ", "/ws/alice", ed.Token(t, identitytest.Claims("alice"))); got != "Unauthorized: unauthorized" {
		t.Errorf("got %s", got)
	}
}

func TestTokenForSystemDoesNotHold(t *testing.T) {
	ed := identitytest.Ed(t, "")
	s, _ := guarded(t, fromFile(t, identitytest.Set(t, ed)), Config{}, actors.Config{})
	token := ed.Token(t, identitytest.Claims("system"))
	for _, way := range []string{"header", "header " + protocol.SubprotocolJSON, "header " + protocol.SubprotocolProto, "subprotocol " + protocol.SubprotocolJSON} {
		if got := s.attempt(way, "/ws", token); got != "Unauthorized: unauthorized" {
			t.Errorf("%s: %s", way, got)
		}
		if got := s.attempt(way, "/ws/system", token); got != "Bad Request: invalid_user_id" {
			t.Errorf("%s, with a path: %s", way, got)
		}
	}
	for _, subprotocol := range []string{protocol.SubprotocolJSON, protocol.SubprotocolProto} {
		if got := s.attempt("connect "+subprotocol, "/ws", token); got != "4006 unauthorized: unauthorized" {
			t.Errorf("in CONNECT, %s: %s", subprotocol, got)
		}
	}
	if s.sessions() != 0 {
		t.Error("there is a session")
	}
}

func TestSeveralTokensAreNone(t *testing.T) {
	ed := identitytest.Ed(t, "")
	s, _ := guarded(t, fromFile(t, identitytest.Set(t, ed)), Config{TokenInQuery: true}, actors.Config{})
	token := ed.Token(t, identitytest.Claims("alice"))
	for name, c := range map[string]struct {
		path   string
		header http.Header
	}{
		"header and subprotocol": {"/ws/alice", http.Header{"Authorization": {"Bearer " + token}, subprotocolHeader: {"callboard.token." + token}}},
		"header and URL":         {"/ws/alice?token=" + token, http.Header{"Authorization": {"Bearer " + token}}},
		"two headers":            {"/ws/alice", http.Header{"Authorization": {"Bearer " + token, "bearer " + token}}},
		"two offers":             {"/ws/alice", http.Header{subprotocolHeader: {"callboard.token.x,callboard.token." + token}}},
		"two in the URL":         {"/ws/alice?token=&token=" + token, nil},
	} {
		header := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
		maps.Copy(header, c.header)
		status, _, body := s.get(http.MethodGet, c.path, header)
		if status != http.StatusBadRequest || !strings.Contains(body, string(protocol.CodeBadRequest)) || strings.Contains(body, token) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	header := http.Header{"Authorization": {"Bearer " + token}}
	p, _, err := s.dial("alice", header, protocol.SubprotocolJSON) // one in the handshake, one of somebody else in CONNECT
	must(t, err)
	hello, err := json.Marshal(map[string]any{"type": 0, "token": ed.Token(t, identitytest.Claims("bob"))})
	must(t, err)
	p.write(string(hello))
	p.closed(protocol.CloseUnauthorized)
}

func TestOriginMattersAsMuchWithAToken(t *testing.T) {
	ed := identitytest.Ed(t, "")
	s, _ := guarded(t, fromFile(t, identitytest.Set(t, ed)), Config{AllowOrigins: []string{"https://app.example.org"}}, actors.Config{})
	good, bad := ed.Token(t, identitytest.Claims("alice")), identitytest.Ed(t, "").Token(t, identitytest.Claims("alice"))
	for _, c := range []struct {
		origin, token string
		want          int
	}{
		{"", good, 101}, {"https://app.example.org", good, 101}, {scheme("http") + "://" + s.address, good, 101},
		{"https://evil.example.org", good, 403}, {"null", good, 403}, {"https://app.example.org.evil.org", good, 403},
		{"", bad, 401}, {"https://app.example.org", bad, 401}, {"https://evil.example.org", bad, 403}, {"https://evil.example.org", "", 403},
	} {
		for _, subprotocol := range []string{"", protocol.SubprotocolJSON, protocol.SubprotocolProto} {
			header := http.Header{}
			if c.token != "" {
				header.Set("Authorization", "Bearer "+c.token)
			}
			if c.origin != "" {
				header.Set("Origin", c.origin)
			}
			var offers []string
			if subprotocol != "" {
				offers = append(offers, subprotocol)
			}
			p, answer, err := s.dial("alice", header, offers...)
			if err == nil {
				_ = p.ws.Close()
			}
			if answer.status != c.want {
				t.Errorf("origin %q, %q, token %v: %d, want %d", c.origin, subprotocol, c.token == good, answer.status, c.want)
			}
		}
	}
}

func TestBlockedUserStaysOutWithAToken(t *testing.T) {
	ed := identitytest.Ed(t, "")
	s, _ := guarded(t, fromFile(t, identitytest.Set(t, ed)), Config{TokenInQuery: true}, actors.Config{})
	token := ed.Token(t, identitytest.Claims("alice"))
	p := s.bearer("alice", token)
	_, err := s.system.Block(t.Context(), actors.Block{User: "alice"})
	must(t, err)
	p.closed(protocol.CloseBlocked)
	for _, way := range ways {
		want := "Forbidden: blocked"
		if strings.HasPrefix(way, "connect") {
			want = inConnect[want]
		}
		for _, path := range []string{"/ws", "/ws/alice"} {
			if got := s.attempt(way, path, token); got != want {
				t.Errorf("%s %s: %s, want %s", path, way, got, want)
			}
		}
	}
}

func TestKeysOfAURL(t *testing.T) {
	old, next := identitytest.RSA(t, "1"), identitytest.RSA(t, "2")
	keys := identitytest.Serve(t, nil) // down at the start
	s, _ := guarded(t, fromURL(keys), Config{}, actors.Config{})
	token, later := old.Token(t, identitytest.Claims("alice")), next.Token(t, identitytest.Claims("alice"))
	all := func(when, token, want string) {
		t.Helper()
		for _, way := range ways {
			if strings.HasPrefix(way, "query") {
				continue
			}
			expect := want
			if strings.HasPrefix(way, "connect") {
				expect = inConnect[want]
			}
			comeAgain := "Service Unavailable: unavailable"
			if strings.HasPrefix(way, "connect") {
				comeAgain = inConnect[comeAgain]
			}
			var got string
			eventually(t, when+", "+way+": "+expect, func() bool { // too soon after a fetch, or during one, nothing is certain
				got = s.attempt(way, "/ws/alice", token)
				return got == expect || got != comeAgain
			})
			if got != expect {
				t.Errorf("%s, %s: %s, want %s", when, way, got, expect)
			}
		}
	}
	all("down at the start", token, "Service Unavailable: unavailable")
	keys.Put([]byte("<html>"))
	all("not a set", token, "Service Unavailable: unavailable")
	keys.Put(identitytest.Set(t, identitytest.Secret("1")))
	all("a secret for all to see", identitytest.Secret("1").Token(t, identitytest.Claims("alice")), "Service Unavailable: unavailable")
	keys.Put(identitytest.Set(t, old))
	all("up", token, "in")
	all("key unknown to the issuer", later, "Unauthorized: unauthorized")
	keys.Put(nil)
	all("down later, known key", token, "in")
	all("down later, unknown key", later, "Service Unavailable: unavailable")
	keys.Put(identitytest.Set(t, old, next))
	all("rotated, new key", later, "in")
	all("rotated, old key", token, "in")
	keys.Put(identitytest.Set(t, identitytest.RSA(t, "3")))
	all("swapped, unknown key", identitytest.RSA(t, "4").Token(t, identitytest.Claims("alice")), "Unauthorized: unauthorized")
	all("swapped, old key", token, "Unauthorized: unauthorized")
}

func TestFloodOfUnknownKeysAsksTheIssuerOnce(t *testing.T) {
	rs := identitytest.RSA(t, "1")
	keys := identitytest.Serve(t, identitytest.Set(t, rs))
	config := fromURL(keys)
	config.MinRefresh = time.Hour
	s, _ := guarded(t, config, Config{}, actors.Config{})
	eventually(t, "the keys are there", func() bool {
		return s.attempt("header ", "/ws/alice", rs.Token(t, identitytest.Claims("alice"))) == "in"
	})
	forged := identitytest.RSA(t, "2").Token(t, identitytest.Claims("alice"))
	for range 20 {
		if got := s.attempt("header ", "/ws/alice", forged); got != "Service Unavailable: unavailable" {
			t.Fatal(got)
		}
	}
	if n := keys.Asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestKeyFileIsReadAgain(t *testing.T) {
	old, next := identitytest.Ed(t, "1"), identitytest.Ed(t, "2")
	config := fromFile(t, identitytest.Set(t, old))
	log := new(logBuffer)
	config.Log = slog.New(slog.NewTextHandler(log, nil))
	s, _ := guarded(t, config, Config{}, actors.Config{})
	must(t, os.WriteFile(config.Issuers[0].KeyFile, []byte("{broken"), 0o600))
	eventually(t, "it has been read", func() bool { return strings.Contains(log.String(), "identity not read again") })
	if got := s.attempt("header ", "/ws/alice", old.Token(t, identitytest.Claims("alice"))); got != "in" {
		t.Errorf("with a broken file: %s", got)
	}
	must(t, os.WriteFile(config.Issuers[0].KeyFile, identitytest.Set(t, next), 0o600))
	eventually(t, "the new key counts", func() bool {
		return s.attempt("header ", "/ws/alice", next.Token(t, identitytest.Claims("alice"))) == "in"
	})
	if got := s.attempt("header ", "/ws/alice", old.Token(t, identitytest.Claims("alice"))); got != "Unauthorized: unauthorized" {
		t.Errorf("the old key: %s", got)
	}
}

func TestRevokedTokenIsShutOutAtOnce(t *testing.T) {
	ed := identitytest.Ed(t, "")
	config := fromFile(t, identitytest.Set(t, ed))
	config.RevokedFile = filepath.Join(t.TempDir(), "revoked")
	must(t, os.WriteFile(config.RevokedFile, []byte("# none yet\n"), 0o600))
	s, _ := guarded(t, config, Config{TokenInQuery: true}, actors.Config{})
	with := func(jti string) string {
		c := identitytest.Claims("alice")
		c["jti"] = jti
		return ed.Token(t, c)
	}
	mine, other := with("mine"), with("other")
	seed := s.bearer("alice", mine)
	kept := s.bearer("alice", other)
	var peers []*rawPeer
	for _, codec := range codecs {
		p := s.unidentified("/ws", codec)
		p.says(codec, &protocol.Connect{Token: mine, Device: codec.String()})
		p.hears(codec)
		peers = append(peers, p)
	}
	must(t, os.WriteFile(config.RevokedFile, []byte("# stolen\n mine \n\n"), 0o600))
	seed.closed(protocol.CloseUnauthorized)
	for _, p := range peers {
		p.closed(protocol.CloseUnauthorized)
		_ = p.Close()
	}
	for _, way := range ways {
		want := "Unauthorized: unauthorized"
		if strings.HasPrefix(way, "connect") {
			want = inConnect[want]
		}
		if got := s.attempt(way, "/ws/alice", mine); got != want {
			t.Errorf("the revoked one in %s: %s", way, got)
		}
		if got := s.attempt(way, "/ws/alice", other); got != "in" {
			t.Errorf("the other in %s: %s", way, got)
		}
	}
	kept.send("alice", "still here")
	kept.gets("still here")
}

// The gateway looks at every session, and may be busy for longer than is waited for it.
func TestRevokedSessionsAreClosedWhenTheGatewayIsFreeAgain(t *testing.T) {
	ed := identitytest.Ed(t, "")
	s, verifier := guarded(t, fromFile(t, identitytest.Set(t, ed)), Config{}, actors.Config{})
	token := ed.Token(t, identitytest.With("alice", "jti", "mine"))
	id, err := verifier.Verify(t.Context(), token)
	must(t, err)
	alice := s.bearer("alice", token)
	eventually(t, "the session has its token", func() bool { return s.server.Metrics().Upgraded == 1 })
	held, free, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for looked := false; !looked; { // the session has its token a moment after its client is connected
			_, _ = s.system.CloseTokens(context.WithoutCancel(t.Context()), func(uint64) bool {
				looked = true
				close(held)
				<-free
				return false
			})
		}
	}()
	<-held
	revoked := &identity.Revoked{id.Token: {}}
	limit, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()

	if err := s.server.CloseRevoked(limit, revoked); err == nil {
		t.Error("that nobody has looked at the sessions is no error")
	}

	close(free)
	<-ended
	must(t, s.server.CloseRevoked(t.Context(), revoked))
	alice.closed(protocol.CloseUnauthorized)
}

// bearer connects a user in the seed's dialect with a token.
func (s *service) bearer(user, token string) *peer {
	s.t.Helper()
	p, _, err := s.dial(user, http.Header{"Authorization": {"Bearer " + token}})
	must(s.t, err)
	s.t.Cleanup(func() { _ = p.ws.Close() })
	return p
}

// unidentified connects without a token.
func (s *service) unidentified(path string, codec protocol.Codec) *rawPeer {
	s.t.Helper()
	p := s.tcp()
	p.put([]byte(strings.Replace(strings.Replace(handshake("x"), "/ws/x", path, 1), "\r\n\r\n", "\r\nSec-WebSocket-Protocol: "+codec.String()+"\r\n\r\n", 1)))
	p.upgraded()
	return p
}

func TestExpiryRenewalAndItsGrace(t *testing.T) {
	ed := identitytest.Ed(t, "")
	config := fromFile(t, identitytest.Set(t, ed))
	s, _ := guarded(t, config, Config{TokenGrace: time.Millisecond}, actors.Config{PingInterval: time.Second})
	const life = 4 * time.Second // enough for the one answer after which it is renewed
	var first time.Time          // when the last token was made that is renewed
	short := func(user string) string {
		c := identitytest.Claims(user)
		if c["exp"] = time.Now().Add(-2 * time.Second).Unix(); user == "alice" { // within the leeway
			first = time.Now()
			c["exp"] = first.Add(life).Unix()
		}
		return ed.Token(t, c)
	}
	stop, pongs := make(chan struct{}), sync.WaitGroup{}
	defer pongs.Wait()
	defer close(stop)
	answersPings := func(p *rawPeer) {
		pongs.Go(func() {
			each := time.NewTicker(100 * time.Millisecond)
			defer each.Stop()
			for {
				select {
				case <-each.C:
					_, _ = p.Write(clientFrame(opPong, "")) // it may be closed by now
				case <-stop:
					return
				}
			}
		})
	}
	seed := s.bearer("seed", short("seed"))
	expiring := map[protocol.Codec]*rawPeer{}
	var works []func()
	for _, codec := range codecs {
		expiring[codec] = s.unidentified("/ws", codec)
		expiring[codec].says(codec, &protocol.Connect{Token: short("bob"), Device: codec.String()})
		expiring[codec].hears(codec)

		renewing, next := s.unidentified("/ws/alice", codec), ed.Token(t, identitytest.Claims("alice"))
		renewing.says(codec, &protocol.Connect{Token: short("alice"), Device: codec.String()})
		granted := renewing.hears(codec).(*protocol.Connect)
		renewing.says(codec, &protocol.Connect{Token: next})
		if m, ok := renewing.hears(codec).(*protocol.Connect); !ok || m.User != "alice" || m.Session != granted.Session || m.Cursor != nil || m.Limits != nil {
			t.Fatalf("renewed by %v", m)
		}
		answersPings(renewing)
		for reason, bad := range map[string]*protocol.Connect{ // which change nothing
			string(protocol.CodeUserMismatch):   {Token: ed.Token(t, identitytest.Claims("bob"))},
			string(protocol.CodeUnauthorized):   {Token: identitytest.Ed(t, "").Token(t, identitytest.Claims("alice"))},
			string(protocol.CodeTokenExpired):   {Token: ed.Token(t, identitytest.With("alice", "exp", 1))},
			string(protocol.CodeInvalidMessage): {Token: ed.Token(t, identitytest.Claims("alice")), Window: 7},
		} {
			renewing.says(codec, bad)
			if e, ok := renewing.hears(codec).(*protocol.Error); !ok || e.Code != reason {
				t.Errorf("got %v, want %s", e, reason)
			}
		}
		renewing.says(codec, &protocol.Connect{})
		if e, ok := renewing.hears(codec).(*protocol.Error); !ok || e.Code != string(protocol.CodeInvalidMessage) {
			t.Errorf("a CONNECT without a token: %v", e)
		}
		works = append(works, func() {
			renewing.says(codec, &protocol.Send{Id: "m", Receiver: "carol", Content: "here"})
			if sent, ok := renewing.hears(codec).(*protocol.Sent); !ok || sent.Id != "m" {
				t.Errorf("after its first token has expired: %v", sent)
			}
		})
	}
	for _, codec := range codecs {
		expiring[codec].closed(protocol.CloseTokenExpired)
		_ = expiring[codec].Close()
	}
	seed.closed(protocol.CloseTokenExpired)
	time.Sleep(time.Until(first.Add(life + 2*time.Second))) // they have been looked at by then
	for _, work := range works {
		work()
	}
}

func TestNobodyGetsNothingBeforeCONNECTHasProvedWhoItIs(t *testing.T) {
	ed := identitytest.Ed(t, "")
	s, _ := guarded(t, fromFile(t, identitytest.Set(t, ed)), Config{}, actors.Config{})
	sender := s.bearer("bob", ed.Token(t, identitytest.Claims("bob")))
	for _, codec := range codecs {
		nobody := s.unidentified("/ws/alice", codec)
		if n := s.sessions(); n != 1 {
			t.Errorf("there are %d sessions", n)
		}
		sender.send("alice", "secret")
		nobody.quiet() // a ping is answered, and nothing else comes
		nobody.says(codec, &protocol.Send{Id: "1", Receiver: "bob", Content: "forged"})
		nobody.closed(protocol.ClosePolicyViolation)
		_ = nobody.Close()
		eventually(t, "it is not counted any more", func() bool { return s.server.unidentified.number() == 0 })

		hello := codec.Append(nil, &protocol.Connect{Token: ed.Token(t, identitytest.Claims("alice"))})
		fragmented := s.unidentified("/ws", codec) // CONNECT in parts, with a ping between, and a SEND in the same bytes
		bytes := slices.Concat(fragment(false, opcodeOf(codec), string(hello[:5])), clientFrame(opPing, ""), fragment(true, opContinuation, string(hello[5:])),
			clientFrame(opcodeOf(codec), string(codec.Append(nil, &protocol.Send{Id: "early-" + codec.String(), Receiver: "carol", Content: "x"}))))
		for _, b := range bytes {
			fragmented.put([]byte{b})
		}
		for sent := false; !sent; {
			if opcode, payload := fragmented.reads(); opcode == opcodeOf(codec) {
				m, err := codec.Decode(payload, nil)
				must(t, err)
				_, sent = m.(*protocol.Sent)
			}
		}
		_ = fragmented.Close()
		eventually(t, "its session has ended", func() bool { return s.sessions() == 1 })
	}
	sender.send("bob", "nothing forged before this")
	sender.gets("nothing forged before this")
	if log := s.log.String(); strings.Contains(log, "secret") || strings.Contains(log, "forged") {
		t.Error("the log has contents")
	}
}

func TestWhoNeverSaysCONNECTIsClosed(t *testing.T) {
	ed := identitytest.Ed(t, "")
	s, _ := guarded(t, fromFile(t, identitytest.Set(t, ed)), Config{HandshakeTimeout: 3 * time.Second}, actors.Config{}) // the upgrade has to be in time too
	var silent []*rawPeer
	for _, codec := range codecs {
		silent = append(silent, s.unidentified("/ws", codec))
	}
	for _, p := range silent {
		if reason := p.closed(protocol.ClosePolicyViolation); !strings.Contains(reason, "CONNECT") {
			t.Error(reason)
		}
		_ = p.Close()
	}
	eventually(t, "they are not counted any more", func() bool { return s.server.unidentified.number() == 0 })
}

// Those who connect and show no token keep nobody out, who shows one in CONNECT or before: the one that has been silent longest
// gives way, as many as the setting in force says may stay, and it is counted.
func TestWhoShowsNoTokenKeepsNobodyOut(t *testing.T) {
	ed := identitytest.Ed(t, "")
	s, _ := guarded(t, fromFile(t, identitytest.Set(t, ed)), Config{MaxPending: 2, HandshakeTimeout: 2 * patience}, actors.Config{})
	cut := func(p *rawPeer) {
		t.Helper()
		if _, err := io.ReadAll(p.in); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the oldest is not cut")
		}
		_ = p.Close()
	}
	for i, codec := range codecs {
		oldest, younger := s.unidentified("/ws", codec), s.unidentified("/ws", codec)
		for _, way := range []string{"connect ", "header "} {
			if got := s.attempt(way+codec.String(), "/ws", ed.Token(t, identitytest.Claims("alice"))); got != "in" {
				t.Errorf("in %s: %s", way, got)
			}
		}
		cut(oldest)
		if n := s.system.Metrics().Limits[actors.LimitPending]; n != uint64(2*i+1) {
			t.Errorf("%d are counted", n)
		}
		younger.says(codec, &protocol.Connect{Token: ed.Token(t, identitytest.Claims("alice"))})
		younger.hears(codec)
		_ = younger.Close()

		eventually(t, "they are not counted any more", func() bool { return s.server.unidentified.number() == 0 })
		must(t, s.server.Reload(Live{MaxConnections: 100, MaxPending: 1}))
		first, second := s.unidentified("/ws", codec), s.unidentified("/ws", codec)
		cut(first)
		_ = second.Close()
		eventually(t, "none is left", func() bool { return s.server.unidentified.number() == 0 })
		must(t, s.server.Reload(Live{MaxConnections: 100})) // what New was given
	}
}

// One whose token is being looked at does not give way, and what has been cut is not counted twice.
func TestUnidentifiedWhoAreLookedAtStay(t *testing.T) {
	var u unidentified
	near, far := net.Pipe()
	defer far.Close()
	looked, silent := &nameless{}, &nameless{}
	for _, n := range []*nameless{looked, silent} {
		if _, room := u.enter(2); !room {
			t.Fatal("no room")
		}
		u.listen(n, near)
	}
	u.heard(looked)
	if gaveWay, room := u.enter(2); gaveWay != silent || !room {
		t.Errorf("%p gives way, %t", gaveWay, room)
	}
	u.leave(silent) // its goroutine has seen the end
	if gaveWay, room := u.enter(2); gaveWay != nil || room || u.number() != 2 {
		t.Errorf("%p gives way, %t: %d", gaveWay, room, u.number())
	}
}

func FuzzTokenOf(f *testing.F) {
	f.Add("Bearer a.b.c", "callboard.v1.json, callboard.token.a.b.c", "token=a.b.c")
	f.Add("bearer", "callboard.token.", "token=%zz&token")
	f.Add("Basic x", ",,", "&;=")
	f.Fuzz(func(t *testing.T, authorization, offer, query string) {
		r := httptest.NewRequest(http.MethodGet, "/ws", nil)
		r.Header["Authorization"], r.Header[subprotocolHeader], r.URL.RawQuery = []string{authorization}, []string{offer}, query
		token, err := tokenOf(r, true)
		if err != nil && token != "" {
			t.Errorf("%q with %v", token, err)
		}
		if token != "" && !strings.Contains(authorization, token) && !strings.Contains(offer, token) && r.URL.Query().Get("token") != token {
			t.Errorf("%q was never given", token)
		}
		subprotocol, _ := negotiate(r.Header)
		if strings.HasPrefix(subprotocol, protocol.SubprotocolToken) {
			t.Errorf("a token is the subprotocol %q", subprotocol)
		}
		if r.URL.RawQuery = ""; strings.HasPrefix(authorization, "Basic ") && offer == "" {
			if token, err = tokenOf(r, true); token != "" || err != nil {
				t.Errorf("Basic is taken for %q", token)
			}
		}
	})
}
