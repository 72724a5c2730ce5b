package main_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"callboard/protocol"
	"callboard/transport/identity/identitytest"
)

// way is a place to show a token in, and what the client speaks; the seed's protocol has no name.
type way struct{ place, subprotocol string }

var ways = func() (all []way) {
	for _, subprotocol := range []string{"", protocol.SubprotocolJSON, protocol.SubprotocolProto} {
		for _, place := range []string{"header", "subprotocol", "query", "connect"} {
			if place != "connect" || subprotocol != "" {
				all = append(all, way{place, subprotocol})
			}
		}
	}
	return all
}()

// caller is a client that has been let in.
type caller struct {
	t     *testing.T
	ws    *websocket.Conn
	codec protocol.Codec
}

func (c *caller) says(m protocol.Message) {
	c.t.Helper()
	kind := websocket.TextMessage
	if c.codec == protocol.Proto {
		kind = websocket.BinaryMessage
	}
	must(c.t, c.ws.WriteMessage(kind, c.codec.Append(nil, m)))
}

// hears is the next message, or the close frame in its place: its code and reason.
func (c *caller) hears() (m protocol.Message, closed string) {
	c.t.Helper()
	must(c.t, c.ws.SetReadDeadline(time.Now().Add(2*patience)))
	_, frame, err := c.ws.ReadMessage()
	if end, ok := errors.AsType[*websocket.CloseError](err); ok {
		return nil, fmt.Sprintf("%d %s", end.Code, end.Text)
	}
	must(c.t, err)
	m, err = c.codec.Decode(frame, nil)
	must(c.t, err)
	return m, ""
}

// closed waits for the close frame.
func (c *caller) closed() (why string) {
	c.t.Helper()
	for why == "" {
		_, why = c.hears()
	}
	_ = c.ws.Close() // it has been told all
	return why
}

// toMyself sends a message that comes back.
func (c *caller) toMyself(user, content string) {
	c.t.Helper()
	c.says(&protocol.Send{Id: content, Receiver: user, Content: content})
	for {
		m, closed := c.hears()
		switch got, ok := m.(*protocol.Receive); {
		case closed != "":
			c.t.Fatalf("closed: %s", closed)
		case ok && got.Sender == "mallory":
			c.t.Error("who is blocked has sent with CONNECT")
		case ok && got.Content == content:
			if got.Sender != user {
				c.t.Errorf("%s is said to be %s", user, got.Sender)
			}
			c.says(&protocol.Ack{Seq: got.Seq})
			return
		}
	}
}

// tries connects and says what comes of it: nil and the status or the close code with the word, or a
// caller and "in". With a token in CONNECT a message is sent in the same breath.
func (w way) tries(t *testing.T, url, path, token string, config *tls.Config) (*caller, string) {
	t.Helper()
	header, offers := http.Header{}, []string(nil)
	codec, v1 := protocol.CodecOf(w.subprotocol)
	if v1 {
		offers = append(offers, w.subprotocol)
	} else {
		codec = protocol.Seed
	}
	switch w.place {
	case "header":
		header.Set("Authorization", "Bearer "+token)
	case "subprotocol":
		offers = append(offers, protocol.SubprotocolToken+token)
	case "query":
		path += "?token=" + token
	}
	dialer := websocket.Dialer{HandshakeTimeout: patience, Subprotocols: offers, TLSClientConfig: config}
	ws, answer, err := dialer.DialContext(t.Context(), url+path, header)
	if err != nil {
		if answer == nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var problem struct{ Code string }
		must(t, json.NewDecoder(answer.Body).Decode(&problem))
		return nil, fmt.Sprintf("%d %s", answer.StatusCode, problem.Code)
	}
	t.Cleanup(func() { _ = ws.Close() })
	if got := answer.Header.Get("Sec-Websocket-Protocol"); got != w.subprotocol {
		t.Errorf("%v: the server chose %q", w, got)
	}
	c := &caller{t, ws, codec}
	if !v1 {
		return c, "in"
	}
	hello := &protocol.Connect{Device: "d"}
	if w.place == "connect" {
		hello.Token = token
	}
	c.says(hello)
	if w.place == "connect" {
		c.says(&protocol.Send{Id: "early", Receiver: "nobody", Content: "private: early"})
	}
	m, closed := c.hears()
	if closed != "" {
		return nil, closed
	}
	if _, ok := m.(*protocol.Connect); !ok {
		t.Errorf("%v: the first that the server says is %v", w, m)
	}
	return c, "in"
}

// gets is what a way answers with where another answers with a status.
func (w way) gets(status string) string {
	if w.place != "connect" {
		return status
	}
	return map[string]string{
		"in": "in", "401 unauthorized": "4006 unauthorized", "401 token_expired": "4007 token_expired", "403 user_mismatch": "4006 user_mismatch",
		"503 unavailable": "1013 unavailable", "403 blocked": "4005 blocked",
	}[status]
}

// everyWay checks what comes of a token wherever it is shown.
func everyWay(t *testing.T, what, url, path, token, status string) {
	t.Helper()
	for _, w := range ways {
		c, got := w.tries(t, url, path, token, nil)
		if got != w.gets(status) {
			t.Errorf("%s in %v: %s, want %s", what, w, got, w.gets(status))
		}
		if c != nil {
			_ = c.ws.Close() // the next one needs no place beside it
		}
	}
}

// eventually asks until a way is answered so.
func (w way) eventually(t *testing.T, url, path, token, status string) {
	t.Helper()
	var got string
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		var c *caller
		if c, got = w.tries(t, url, path, token, nil); c != nil {
			_ = c.ws.Close()
		}
		if got == w.gets(status) {
			return
		}
	}
	t.Fatalf("%v: %s, want %s", w, got, status)
}

// signedIn starts a service that takes tokens of an issuer, whose keys are served.
func signedIn(t *testing.T, keys *identitytest.Server, args ...string) (service *process, url string, operator []string) {
	t.Helper()
	return serveWithAdmin(t, append([]string{
		"--identity-issuer", identitytest.Issuer, "--identity-audience", identitytest.Audience, "--identity-jwks", keys.URL, "--log-level", "debug",
	}, args...)...)
}

// saysNothingOf checks that a log has no part of the tokens, and no content of a message.
func (p *process) saysNothingOf(tokens ...string) {
	p.t.Helper()
	log := p.stderr.String() + p.stdout.String()
	if !strings.Contains(log, "level=DEBUG") {
		p.t.Error("the log has no debug lines, so it proves little")
	}
	for _, token := range tokens {
		for part := range strings.SplitSeq(token, ".") {
			if len(part) > 8 && strings.Contains(log, part) {
				p.t.Errorf("the log has %q", part)
			}
		}
	}
	for _, word := range []string{"private:", "eyJ", "callboard.token.", "?token="} {
		if strings.Contains(log, word) {
			p.t.Errorf("the log has %q", word)
		}
	}
}

var inHeader = way{"header", ""}

func TestTokensAreTakenAndForgeriesAreNot(t *testing.T) {
	rs, es, ed := identitytest.RSA(t, "rs"), identitytest.EC(t, "es"), identitytest.Ed(t, "ed")
	keys := identitytest.Serve(t, identitytest.Set(t, rs, es, ed))
	service, url, _ := signedIn(t, keys, "--identity-query-token")
	alice := identitytest.Claims("alice")
	inHeader.eventually(t, url, "/ws/alice", rs.Token(t, alice), "in") // the keys have been fetched
	der, err := x509.MarshalPKIXPublicKey(rs.Public())
	must(t, err)
	like := func(id string, method jwt.SigningMethod, private any) string {
		return (&identitytest.Signer{ID: id, Method: method, Private: private}).Token(t, alice)
	}
	with := func(claim string, value any) string {
		return rs.Token(t, identitytest.With("alice", claim, value))
	}
	good := rs.Token(t, alice)
	shown := []string{good}
	const refused = "401 unauthorized"
	for what, c := range map[string]struct{ token, want string }{
		"RS256":              {good, "in"},
		"ES256":              {es.Token(t, alice), "in"},
		"EdDSA":              {ed.Token(t, alice), "in"},
		"none":               {identitytest.Unsigned(t, alice), refused},
		"public key as HMAC": {like("rs", jwt.SigningMethodHS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), refused},
		"RS384":              {like("rs", jwt.SigningMethodRS384, rs.Private), refused},
		"PS256":              {like("rs", jwt.SigningMethodPS256, rs.Private), refused},
		"kid of another key": {like("es", rs.Method, rs.Private), refused},
		"somebody's own key": {identitytest.RSA(t, "rs").Token(t, alice), refused},
		"expired":            {with("exp", time.Now().Add(-time.Hour).Unix()), "401 token_expired"},
		"never expires":      {with("exp", nil), refused},
		"not yet valid":      {with("nbf", time.Now().Add(time.Hour).Unix()), refused},
		"other issuer":       {with("iss", "https://evil.example.org"), refused},
		"other audience":     {with("aud", "another"), refused},
		"no user":            {with("sub", nil), refused},
		"somebody else":      {with("sub", "mallory"), "403 user_mismatch"},
		"other contents":     {strings.Replace(good, ".eyJ", ".eyI", 1), refused},
		"garbage":            {"garbage-and-more-of-it", refused},
	} {
		everyWay(t, what, url, "/ws/alice", c.token, c.want)
		shown = append(shown, c.token)
	}
	everyWay(t, "without an id in the path", url, "/ws", good, "in")
	for _, w := range ways { // whoever is let in sends and is sent messages, as who the token says
		c, got := w.tries(t, url, "/ws", good, nil)
		if c == nil {
			t.Fatalf("%v: %s", w, got)
		}
		c.toMyself("alice", "private: "+w.place+w.subprotocol)
		_ = c.ws.Close()
	}
	for _, w := range ways { // no token at all
		want := refused
		if w.subprotocol != "" {
			want = "4006 unauthorized" // CONNECT might have brought one
		}
		if _, got := (way{"", w.subprotocol}).tries(t, url, "/ws/alice", "", nil); got != want {
			t.Errorf("no token, %q: %s", w.subprotocol, got)
		}
	}
	service.saysNothingOf(shown...)
	service.stderr.has(t, `level=DEBUG msg="token refused" .*code=unauthorized`)
}

// An issuer may share a secret with the service, instead of publishing keys.
func TestTokensOfASharedSecretAreTaken(t *testing.T) {
	shared := identitytest.Secret("shared")
	secret := shared.Private.([]byte)
	k := base64.RawURLEncoding.EncodeToString(secret)
	keys := filepath.Join(t.TempDir(), "secret.json")
	must(t, os.WriteFile(keys, []byte(`{"kty":"oct","kid":"shared","k":"`+k+`"}`), 0o600))
	service, url := serve(t, "--log-level", "debug", "--identity-issuer", identitytest.Issuer, "--identity-audience", identitytest.Audience,
		"--identity-keys", keys, "--identity-query-token")
	alice := identitytest.Claims("alice")
	like := func(id string, method jwt.SigningMethod, private any) string {
		return (&identitytest.Signer{ID: id, Method: method, Private: private}).Token(t, alice)
	}
	good := shared.Token(t, alice)
	shown := []string{k, string(secret), good}
	const refused = "401 unauthorized"
	for what, c := range map[string]struct{ token, want string }{
		"HS256":             {good, "in"},
		"another secret":    {like("shared", jwt.SigningMethodHS256, bytes.Repeat([]byte("another."), 6)), refused},
		"a longer secret":   {like("shared", jwt.SigningMethodHS256, append(bytes.Clone(secret), 's')), refused},
		"no secret":         {like("shared", jwt.SigningMethodHS256, []byte{}), refused},
		"kid of no key":     {like("other", jwt.SigningMethodHS256, secret), refused},
		"HS512":             {like("shared", jwt.SigningMethodHS512, secret), refused},
		"RS256 of somebody": {identitytest.RSA(t, "shared").Token(t, alice), refused},
		"expired":           {shared.Token(t, identitytest.With("alice", "exp", time.Now().Add(-time.Hour).Unix())), "401 token_expired"},
	} {
		everyWay(t, what, url, "/ws/alice", c.token, c.want)
		shown = append(shown, c.token)
	}
	for _, w := range ways {
		c, got := w.tries(t, url, "/ws", good, nil)
		if c == nil {
			t.Fatalf("%v: %s", w, got)
		}
		c.toMyself("alice", "private: "+w.place+w.subprotocol)
		_ = c.ws.Close()
	}
	service.saysNothingOf(shown...)
}

// It is never open: neither before the keys are there nor when they have gone.
func TestKeysOfTheIssuerComeChangeAndGo(t *testing.T) {
	old, next := identitytest.RSA(t, "1"), identitytest.EC(t, "2")
	keys := identitytest.Serve(t, nil)
	service, url, _ := signedIn(t, keys, "--identity-query-token")
	before, after := old.Token(t, identitytest.Claims("alice")), next.Token(t, identitytest.Claims("alice"))
	everyWay(t, "down at the start", url, "/ws/alice", before, "503 unavailable")
	service.stderr.has(t, `level=ERROR msg="issuer's keys not fetched"`)

	keys.Put(identitytest.Set(t, old))
	service.signal(syscall.SIGHUP)
	inHeader.eventually(t, url, "/ws/alice", before, "in")
	everyWay(t, "up", url, "/ws/alice", before, "in")

	asked := keys.Asked.Load()
	keys.Put(nil)
	service.signal(syscall.SIGHUP)
	for limit := time.Now().Add(patience); keys.Asked.Load() == asked && time.Now().Before(limit); {
		time.Sleep(time.Millisecond)
	}
	everyWay(t, "down later", url, "/ws/alice", before, "in")
	everyWay(t, "down later, a key that is not known", url, "/ws/alice", after, "503 unavailable")

	keys.Put(identitytest.Set(t, old, next)) // rotated
	service.signal(syscall.SIGHUP)
	inHeader.eventually(t, url, "/ws/alice", after, "in")
	everyWay(t, "rotated", url, "/ws/alice", before, "in")

	keys.Put(identitytest.Set(t, next)) // the old one is gone
	service.signal(syscall.SIGHUP)
	inHeader.eventually(t, url, "/ws/alice", before, "503 unavailable") // it was fetched a moment ago, so it may come
	everyWay(t, "swapped", url, "/ws/alice", after, "in")
	service.saysNothingOf(before, after)
}

func TestHangupTakesKeysAndRevokedTokens(t *testing.T) {
	folder := t.TempDir()
	old, next := identitytest.Ed(t, ""), identitytest.EC(t, "")
	oldKeys, nextKeys, weak := filepath.Join(folder, "old"), filepath.Join(folder, "next"), filepath.Join(folder, "weak")
	must(t, os.WriteFile(oldKeys, identitytest.Set(t, old), 0o600))
	must(t, os.WriteFile(nextKeys, identitytest.Set(t, next), 0o600))
	must(t, os.WriteFile(weak, []byte(`{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}`), 0o600))
	name := filepath.Join(folder, "c.yaml")
	base := "log: {level: debug}\nidentity:\n  query-token: true\n  issuer: " + identitytest.Issuer + "\n  audiences: [" + identitytest.Audience + "]\n"
	configured(t, name, base+"  keys: "+oldKeys+"\n")
	service, url := serve(t, "--config", name)
	mine, other := old.Token(t, identitytest.With("alice", "jti", "mine")), old.Token(t, identitytest.With("alice", "jti", "other"))
	everyWay(t, "at first", url, "/ws/alice", mine, "in")

	for i, wrong := range []struct{ text, said string }{
		{"  keys: " + weak + "\n", `identity\.keys: .*at least 32`},
		{"  keys: /none\n", `identity\.keys: .*/none: no such file`},
		{"  keys: " + oldKeys + "\n  revoked-file: /none\n", `identity\.revoked-file: .*/none: no such file`},
		{"  keys: " + oldKeys + "\n  jwks: https://keys.example.org\n", `fault="\S+c\.yaml:\d+: identity\.jwks is given and identity\.keys too`},
		{"", `fault="\S+c\.yaml:\d+: identity\.issuer has no keys: .*identity\.jwks and identity\.keys`},
		{"  jwks: http://keys.example.org/\n", `fault="\S+c\.yaml:\d+: identity\.jwks .*https`},
		{"  jwks: https://user:word@keys.example.org/\n", `fault="\S+c\.yaml:\d+: identity\.jwks .*https`},
		{"  jwks: 'https://'\n", `fault="\S+c\.yaml:\d+: identity\.jwks .*https`},
		{"  keys: " + oldKeys + "\n  leeway: 1h\n", `fault="\S+c\.yaml:\d+: identity\.leeway .*5m`},
		{"  keys: " + oldKeys + "\n  algorithms: [none]\n", `fault="\S+c\.yaml:\d+: identity\.algorithms is no setting`},
	} {
		configured(t, name, base+wrong.text+"  revoked: [mine, other]\n")
		service.signal(syscall.SIGHUP)
		service.stderr.has(t, fmt.Sprintf(`(?s)(msg="configuration not reloaded" .*){%d}`, i+1))
		said := service.stderr.String()
		if last := said[strings.LastIndex(said, `msg="configuration not reloaded"`):]; !regexp.MustCompile(`^msg="configuration not reloaded" (error=")?` + wrong.said).MatchString(last) {
			t.Errorf("of %q it is said %s", wrong.text, last)
		}
	}
	everyWay(t, "after a file with a fault", url, "/ws/alice", mine, "in")

	var inside []*caller
	for _, w := range ways {
		c, got := w.tries(t, url, "/ws/bob", old.Token(t, identitytest.With("bob", "jti", "mine")), nil)
		if c == nil {
			t.Fatalf("%v: %s", w, got)
		}
		inside = append(inside, c)
		if w.subprotocol != "" {
			break // the others are the same device
		}
	}
	configured(t, name, base+"  keys: "+oldKeys+"\n  revoked: [mine]\n")
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `msg="configuration changed" key=identity.revoked old=\[\] new=\[mine\]`)
	for _, c := range inside {
		if why := c.closed(); why != "4006 unauthorized" {
			t.Errorf("revoked while connected: %s", why)
		}
	}
	everyWay(t, "revoked", url, "/ws/alice", mine, "401 unauthorized")
	everyWay(t, "not revoked", url, "/ws/alice", other, "in")

	configured(t, name, base+"  keys: "+nextKeys+"\n")
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `msg="configuration changed" key=identity.keys `)
	everyWay(t, "the new key", url, "/ws/alice", next.Token(t, identitytest.Claims("alice")), "in")
	everyWay(t, "the old key", url, "/ws/alice", other, "401 unauthorized")
	service.saysNothingOf(mine, other)
}

// A session lasts as long as its token: it is renewed, or it ends, or an operator ends it.
func TestSessionLastsAsLongAsItsToken(t *testing.T) {
	ed := identitytest.Ed(t, "")
	keys := filepath.Join(t.TempDir(), "keys")
	must(t, os.WriteFile(keys, identitytest.Set(t, ed), 0o600))
	revoked := filepath.Join(t.TempDir(), "revoked")
	must(t, os.WriteFile(revoked, nil, 0o600))
	service, url, operator := serveWithAdmin(t, "--log-level", "debug", "--identity-issuer", identitytest.Issuer, "--identity-audience", identitytest.Audience,
		"--identity-keys", keys, "--identity-revoked-file", revoked, "--identity-grace", "1ms", "--identity-query-token")
	const short = 3 * time.Second                           // enough to be renewed in
	brief := func(user string, life time.Duration) string { // within the leeway, which no session has
		return ed.Token(t, identitytest.With(user, "exp", time.Now().Add(life).Unix()))
	}
	enter := func(w way, user, token string) *caller {
		c, got := w.tries(t, url, "/ws/"+user, token, nil)
		if c == nil {
			t.Fatalf("%v: %s", w, got)
		}
		return c
	}
	var tokens []string
	ended, renewed := map[string]chan string{}, map[string]*caller{}
	for _, subprotocol := range []string{"", protocol.SubprotocolJSON, protocol.SubprotocolProto} {
		w, ends := way{"header", subprotocol}, make(chan string, 25)
		ended[subprotocol] = ends
		for n := range 25 { // one of them is looked at each second
			user := fmt.Sprint("u", n, subprotocol)
			for limit := time.Now().Add(patience); subprotocol != "" && renewed[user] == nil; {
				token := brief(user, short)
				begun := time.Now()
				c, got := w.tries(t, url, "/ws/"+user, token, nil)
				fresh := ed.Token(t, identitytest.Claims(user))
				if c != nil {
					c.says(&protocol.Connect{Token: fresh})
					var m protocol.Message
					if m, got = c.hears(); got == "" {
						if hello, ok := m.(*protocol.Connect); !ok || hello.User != user {
							t.Fatalf("renewed by %v", m)
						}
						renewed[user], tokens = c, append(tokens, fresh)
						continue
					}
				}
				if late := time.Since(begun) >= short; !late || time.Now().After(limit) { // else it was renewed too late
					t.Fatalf("%v: %s", w, got)
				}
			}
			expiring := enter(w, "e"+user, brief("e"+user, 0))
			go func() { // until it is closed, or the test ends
				_, _, err := expiring.ws.ReadMessage()
				if end, ok := errors.AsType[*websocket.CloseError](err); ok {
					ends <- fmt.Sprintf("%d %s", end.Code, end.Text)
				}
			}()
		}
	}
	old := time.After(short + 2*time.Second) // by then two of each that were not renewed would have been found
	for subprotocol, ends := range ended {
		for range 2 {
			select {
			case why := <-ends:
				if why != "4007 token_expired" {
					t.Errorf("%q: a session that was not renewed ended with %s", subprotocol, why)
				}
			case <-time.After(patience):
				t.Fatalf("%q: no session ended", subprotocol)
			}
		}
	}
	<-old
	for user, c := range renewed { // looked at or not: each is there, and works
		c.toMyself(user, "private: renewed")
		_ = c.ws.Close()
	}
	for _, w := range ways {
		user := "b" + strings.ReplaceAll(w.place+w.subprotocol, ".", "-")
		stolen := ed.Token(t, identitytest.With(user, "jti", "stolen from "+user))
		good := ed.Token(t, identitytest.Claims(user))
		first := enter(w, user, stolen)
		must(t, os.WriteFile(revoked, []byte("stolen from "+user+"\n"), 0o600))
		service.signal(syscall.SIGHUP)
		if why := first.closed(); why != "4006 unauthorized" {
			t.Errorf("%v: revoked while connected: %s", w, why)
		}
		if _, got := w.tries(t, url, "/ws", stolen, nil); got != w.gets("401 unauthorized") {
			t.Errorf("%v: revoked, on resume: %s", w, got)
		}
		tokens = append(tokens, stolen, good)
	}
	blocked := ed.Token(t, identitytest.Claims("mallory"))
	var inside []*caller
	for n, subprotocol := range []string{"", protocol.SubprotocolJSON, protocol.SubprotocolProto} {
		c, got := (way{"header", subprotocol}).tries(t, url, "/ws", blocked, nil)
		if c == nil {
			t.Fatalf("%d: %s", n, got)
		}
		inside = append(inside, c)
	}
	call(t, operator, "user", "block", "mallory")
	replaced := 0 // the two of version 1 are the same device
	for _, c := range inside {
		switch why := c.closed(); why {
		case "4004 replaced":
			replaced++
		case "4005 blocked":
		default:
			t.Errorf("blocked while connected: %s", why)
		}
	}
	if replaced != 1 {
		t.Errorf("%d sessions were replaced", replaced)
	}
	everyWay(t, "blocked", url, "/ws/mallory", blocked, "403 blocked")
	service.saysNothingOf(append(tokens, blocked)...)
	enter(way{"header", protocol.SubprotocolJSON}, "nobody", ed.Token(t, identitytest.Claims("nobody"))).toMyself("nobody", "private: last")
}

// What both services refuse is let in by the one that is configured so.
func TestLeewayAndPlacesOfTokensAreAsConfigured(t *testing.T) {
	ed := identitytest.Ed(t, "")
	keys := filepath.Join(t.TempDir(), "keys")
	must(t, os.WriteFile(keys, identitytest.Set(t, ed), 0o600))
	signedIn := []string{"--identity-issuer", identitytest.Issuer, "--identity-audience", identitytest.Audience, "--identity-keys", keys}
	_, strict := serve(t, append(signedIn, "--identity-leeway", "1s")...)
	_, lenient := serve(t, append(signedIn, "--identity-leeway", "4m", "--identity-query-token")...)
	late := ed.Token(t, identitytest.With("alice", "exp", time.Now().Add(-time.Minute).Unix()))
	good := ed.Token(t, identitytest.Claims("alice"))
	for _, c := range []struct {
		place, token, strict, lenient string
	}{
		{"header", good, "in", "in"},
		{"header", late, "401 token_expired", "in"},
		{"query", good, "401 unauthorized", "in"},
	} {
		for url, want := range map[string]string{strict: c.strict, lenient: c.lenient} {
			if _, got := (way{c.place, ""}).tries(t, url, "/ws/alice", c.token, nil); got != want {
				t.Errorf("in %s: %s, want %s", c.place, got, want)
			}
		}
	}
}

// The token is no cookie, so the Origin guards those without one; with tokens it is a second lock.
func TestOriginMatrix(t *testing.T) {
	data := t.TempDir()
	_, open := serve(t, "--allow-origin", "https://app.example.org")
	_, guarded := serve(t, "--allow-origin", "https://app.example.org", "--data", data, "--identity-development")
	alice := token(t, "--data", data, "--user", "alice")
	for _, c := range []struct {
		origin, host  string // %s is the server's own address
		open, guarded int
	}{
		{"", "%s", 101, 101},
		{"", "evil.example.org", 101, 101}, // a program
		{"http://%s", "%s", 101, 101},
		{"https://%s", "%s", 101, 101},
		{"https://app.example.org", "%s", 101, 101},
		{"https://app.example.org", "evil.example.org", 101, 101},
		{"http://app.example.org", "%s", 403, 403},
		{"https://app.example.org.evil.example.org", "%s", 403, 403},
		{"https://evil.example.org", "%s", 403, 403},
		{"https://evil.example.org", "app.example.org", 403, 403},
		{"null", "%s", 403, 403},
		{"file://", "%s", 403, 403},
		{"http://evil.example.org", "evil.example.org", 403, 101}, // a name that was rebound
		{"http://localhost", "localhost", 101, 101},
	} {
		for url, want := range map[string]int{open: c.open, guarded: c.guarded} {
			own := func(pattern string) string {
				return strings.ReplaceAll(pattern, "%s", strings.TrimPrefix(url, "ws://"))
			}
			for _, subprotocol := range []string{"", protocol.SubprotocolJSON, protocol.SubprotocolProto} {
				header := http.Header{"Host": {own(c.host)}}
				if c.origin != "" {
					header.Set("Origin", own(c.origin))
				}
				if url == guarded {
					header.Set("Authorization", "Bearer "+alice)
				}
				dialer := websocket.Dialer{HandshakeTimeout: patience}
				if subprotocol != "" {
					dialer.Subprotocols = []string{subprotocol}
				}
				ws, answer, err := dialer.DialContext(t.Context(), url+"/ws/alice", header)
				if answer == nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if err == nil {
					_ = ws.Close()
				}
				if answer.StatusCode != want {
					t.Errorf("Origin %q, Host %q, tokens %v, %q: %d, want %d", c.origin, c.host, url == guarded, subprotocol, answer.StatusCode, want)
				}
			}
		}
	}
	everyPlace := map[string]string{"header": "in", "subprotocol": "in", "query": "401 unauthorized", "connect": "in"}
	for _, w := range ways { // the URL counts only where that is configured
		want := everyPlace[w.place]
		if w.place == "query" && w.subprotocol != "" {
			want = "4006 unauthorized"
		}
		if _, got := w.tries(t, guarded, "/ws", alice, nil); got != want {
			t.Errorf("%v: %s, want %s", w, got, want)
		}
	}
}

// Tokens and TLS, on an address that other machines could reach, without --insecure.
func TestTokensOverTLSOnAnyAddress(t *testing.T) {
	a := newAuthority(t, "ours")
	cert, key := a.issue("server", "callboard", 7, time.Hour)
	data := t.TempDir()
	service, url := serveTLS(t, cert, key, a.trust(), "--listen", "127.0.0.1:0", "--identity-development", "--identity-query-token", "--data", data, "--log-level", "debug")
	alice := token(t, "--data", data, "--user", "alice")
	check := func(when string) {
		t.Helper()
		for _, w := range ways {
			c, got := w.tries(t, url, "/ws/alice", alice, a.trust())
			if c == nil {
				t.Fatalf("%s, %v: %s", when, w, got)
			}
			c.toMyself("alice", "private: "+when+w.place+w.subprotocol)
			_ = c.ws.Close()
			if _, got := w.tries(t, url, "/ws/bob", alice, a.trust()); got != w.gets("403 user_mismatch") {
				t.Errorf("%s, %v: %s", when, w, got)
			}
		}
	}
	check("at first")
	a.issue("server", "callboard", 8, time.Hour)
	service.signal(syscall.SIGHUP)
	address := strings.TrimPrefix(url, "wss://")
	for limit := time.Now().Add(patience); serial(t, address, a.trust()) != 8; {
		if time.Now().After(limit) {
			t.Fatal("the new certificate is not shown")
		}
	}
	check("with a new certificate")
	service.saysNothingOf(alice)

	everywhere := start(t, nil, "serve", "--listen", "0.0.0.0:0", "--admin", "", "--data", data+"-2", "--identity-development")
	everywhere.stderr.has(t, `msg=serving address=`)
	everywhere.stderr.has(t, `let nobody in but through TLS`)
	start(t, nil, "serve", "--listen", "0.0.0.0:0", "--admin", "", "--data", data+"-3").complains(2, "would let other machines in", "identity.issuer", "--insecure")
	open := start(t, nil, "serve", "--listen", "0.0.0.0:0", "--admin", "", "--data", data+"-3", "--insecure")
	open.stderr.has(t, `level=WARN msg="nobody has to prove who they are, and other machines are let in`)
}
