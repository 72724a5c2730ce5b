package identity_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"callboard/protocol"
	"callboard/transport/identity"
	"callboard/transport/identity/identitytest"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// written is a file of the test's.
func written(t *testing.T, name string, text []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, text, mode))
	must(t, os.Chmod(path, mode)) // whatever the umask is
	return path
}

// withFile takes tokens of the keys in a file.
func withFile(name string) identity.Config {
	return identity.Config{Issuers: []identity.Issuer{{Name: identitytest.Issuer, Audiences: []string{identitytest.Audience}, KeyFile: name}}}
}

func verifierOf(t *testing.T, config identity.Config) *identity.Verifier {
	t.Helper()
	v, err := identity.New(config)
	must(t, err)
	return v
}

// outcome is the user, or the code that a token is refused with. It checks that nothing of the token is said.
func outcome(t *testing.T, v *identity.Verifier, token string) string {
	t.Helper()
	id, err := v.Verify(t.Context(), token)
	if err == nil {
		return string(id.User)
	}
	refused, ok := errors.AsType[*identity.RefusedError](err)
	if !ok || id != (identity.Identity{}) {
		t.Fatalf("%+v with %v", id, err)
	}
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 8 && strings.Contains(err.Error(), part) {
			t.Errorf("%q has a part of the token", err)
		}
	}
	if (refused.RetryAfter > 0) != (refused.Code == protocol.CodeUnavailable) {
		t.Errorf("%v comes with %s", err, refused.RetryAfter)
	}
	return string(refused.Code)
}

func TestTokenSaysWhoItIsFor(t *testing.T) {
	ed := identitytest.Ed(t, "1")
	v := verifierOf(t, withFile(written(t, "keys", identitytest.Set(t, ed), 0o600)))
	c := identitytest.With("42", "jti", "one")

	id, err := v.Verify(t.Context(), ed.Token(t, c))

	if expires := time.Unix(c["exp"].(int64), 0); err != nil || id.User != "42" || !id.Expires.Equal(expires) || id.Token != identity.NewTokenID("one") {
		t.Errorf("%+v, %v", id, err)
	}
	if id, err := v.Check(ed.Token(t, identitytest.Claims("43"))); err != nil || id.User != "43" || id.Token != 0 {
		t.Errorf("%+v, %v", id, err)
	}
}

func TestOnlyTheAlgorithmOfTheKeyIsTaken(t *testing.T) {
	rs, es, ed, hs := identitytest.RSA(t, "rs"), identitytest.EC(t, "es"), identitytest.Ed(t, "ed"), identitytest.Secret("hs")
	v := verifierOf(t, withFile(written(t, "keys", identitytest.Set(t, rs, es, ed, hs), 0o600)))
	der, err := x509.MarshalPKIXPublicKey(rs.Public())
	must(t, err)
	asSecret := func(id string, secret []byte) *identitytest.Signer {
		return &identitytest.Signer{ID: id, Method: jwt.SigningMethodHS256, Private: secret}
	}
	alice := identitytest.Claims("alice")
	for name, c := range map[string]struct{ token, want string }{
		"RS256":                  {rs.Token(t, alice), "alice"},
		"ES256":                  {es.Token(t, alice), "alice"},
		"EdDSA":                  {ed.Token(t, alice), "alice"},
		"HS256":                  {hs.Token(t, alice), "alice"},
		"none":                   {identitytest.Unsigned(t, alice), "unauthorized"},
		"DER as a secret":        {asSecret("rs", der).Token(t, alice), "unauthorized"},
		"PEM as a secret":        {asSecret("rs", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})).Token(t, alice), "unauthorized"},
		"PEM, no kid":            {asSecret("", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})).Token(t, alice), "unauthorized"},
		"empty secret":           {asSecret("hs", []byte{}).Token(t, alice), "unauthorized"},
		"RS384":                  {(&identitytest.Signer{ID: "rs", Method: jwt.SigningMethodRS384, Private: rs.Private}).Token(t, alice), "unauthorized"},
		"PS256":                  {(&identitytest.Signer{ID: "rs", Method: jwt.SigningMethodPS256, Private: rs.Private}).Token(t, alice), "unauthorized"},
		"HS512":                  {(&identitytest.Signer{ID: "hs", Method: jwt.SigningMethodHS512, Private: hs.Private}).Token(t, alice), "unauthorized"},
		"kid of another":         {(&identitytest.Signer{ID: "es", Method: rs.Method, Private: rs.Private}).Token(t, alice), "unauthorized"},
		"kid that nobody has":    {(&identitytest.Signer{ID: "x", Method: rs.Method, Private: rs.Private}).Token(t, alice), "unauthorized"},
		"kid is a path":          {(&identitytest.Signer{ID: "../../dev/null", Method: hs.Method, Private: hs.Private}).Token(t, alice), "unauthorized"},
		"no kid":                 {(&identitytest.Signer{Method: rs.Method, Private: rs.Private}).Token(t, alice), "alice"},
		"no kid, a strange key":  {identitytest.RSA(t, "").Token(t, alice), "unauthorized"},
		"kid with a strange key": {identitytest.RSA(t, "rs").Token(t, alice), "unauthorized"},
	} {
		if got := outcome(t, v, c.token); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestKeyInTheHeaderOfATokenIsNotTaken(t *testing.T) {
	ed, mine := identitytest.Ed(t, "1"), identitytest.Ed(t, "1")
	v := verifierOf(t, withFile(written(t, "keys", identitytest.Set(t, ed), 0o600)))
	for header, value := range map[string]any{
		"jwk": map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("x", 32)))},
		"jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/keys", "x5c": []string{"AAAA"},
	} {
		token := jwt.NewWithClaims(mine.Method, identitytest.Claims("alice"))
		token.Header["kid"], token.Header[header] = "1", value
		text, err := token.SignedString(mine.Private)
		must(t, err)
		if got := outcome(t, v, text); got != "unauthorized" {
			t.Errorf("%s: %s", header, got)
		}
	}
}

func TestEveryClaimCounts(t *testing.T) {
	ed := identitytest.Ed(t, "")
	v := verifierOf(t, withFile(written(t, "keys", identitytest.Set(t, ed), 0o600)))
	for _, c := range []struct {
		claim string
		value any
		want  string
	}{
		{"iss", "https://other.example.org", "unauthorized"}, {"iss", nil, "unauthorized"}, {"iss", identitytest.Issuer + "/", "unauthorized"},
		{"aud", "other", "unauthorized"}, {"aud", nil, "unauthorized"}, {"aud", []string{}, "unauthorized"},
		{"aud", []string{"other", identitytest.Audience}, "alice"},
		{"sub", nil, "unauthorized"}, {"sub", "", "unauthorized"}, {"sub", "a b", "unauthorized"}, {"sub", "a/b", "unauthorized"},
		{"sub", strings.Repeat("a", 65), "unauthorized"}, {"sub", 42, "unauthorized"}, {"sub", strings.Repeat("a", 64), strings.Repeat("a", 64)},
		{"exp", nil, "unauthorized"}, {"exp", "soon", "unauthorized"}, {"exp", 0, "token_expired"}, {"exp", -1, "token_expired"},
		{"iat", time.Now().Add(time.Hour).Unix(), "alice"}, // it says nothing of validity (RFC 7519, 4.1.6)
	} {
		if got := outcome(t, v, ed.Token(t, identitytest.With("alice", c.claim, c.value))); got != c.want {
			t.Errorf("%s %v: %s, want %s", c.claim, c.value, got, c.want)
		}
	}
}

func TestTimesOfATokenHoldToTheLeeway(t *testing.T) {
	ed := identitytest.Ed(t, "")
	name := written(t, "keys", identitytest.Set(t, ed), 0o600)
	synctest.Test(t, func(t *testing.T) {
		config := withFile(name)
		config.Leeway = 10 * time.Second
		v := verifierOf(t, config)
		c := identitytest.Claims("alice")
		c["nbf"], c["exp"] = time.Now().Add(time.Minute).Unix(), time.Now().Add(2*time.Minute).Unix()
		token := ed.Token(t, c)
		for _, at := range []struct {
			pass time.Duration
			want string
		}{
			{0, "unauthorized"}, {49 * time.Second, "unauthorized"}, {2 * time.Second, "alice"},
			{78 * time.Second, "alice"}, {2 * time.Second, "token_expired"}, {time.Hour, "token_expired"},
		} {
			time.Sleep(at.pass)
			if got := outcome(t, v, token); got != at.want {
				t.Errorf("after another %s: %s, want %s", at.pass, got, at.want)
			}
		}
	})
}

func TestKeyIsOfOneIssuerAlone(t *testing.T) {
	one, other := identitytest.Ed(t, "1"), identitytest.Ed(t, "1")
	config := withFile(written(t, "one", identitytest.Set(t, one), 0o600))
	config.Issuers = append(config.Issuers, identity.Issuer{Name: "other", Audiences: []string{"b"}, KeyFile: written(t, "other", identitytest.Set(t, other), 0o600)})
	v := verifierOf(t, config)
	c := identitytest.Claims("alice")
	c["iss"], c["aud"] = "other", "b"
	if got := outcome(t, v, other.Token(t, c)); got != "alice" {
		t.Error(got)
	}
	if got := outcome(t, v, one.Token(t, c)); got != "unauthorized" {
		t.Errorf("in the other's name: %s", got)
	}
	c["aud"] = identitytest.Audience
	if got := outcome(t, v, other.Token(t, c)); got != "unauthorized" {
		t.Errorf("for the other's audience: %s", got)
	}
}

func TestRevokedIDsShutOut(t *testing.T) {
	ed := identitytest.Ed(t, "")
	config := withFile(written(t, "keys", identitytest.Set(t, ed), 0o600))
	config.Revoked = []string{"listed"}
	config.RevokedFile = written(t, "revoked", []byte("# comment\n\n  in the file \n"), 0o644)
	v := verifierOf(t, config)
	for jti, want := range map[string]string{"listed": "unauthorized", "in the file": "unauthorized", "other": "alice", "# comment": "alice", "": "alice"} {
		if got := outcome(t, v, ed.Token(t, identitytest.With("alice", "jti", jti))); got != want {
			t.Errorf("%q: %s", jti, got)
		}
	}
	if v.IsRevoked(0) || !v.IsRevoked(identity.NewTokenID("listed")) {
		t.Error("IsRevoked says something else")
	}
}

func FuzzNothingButAGoodTokenIsTaken(f *testing.F) {
	ed := identitytest.Ed(f, "1")
	name := filepath.Join(f.TempDir(), "keys")
	must(f, os.WriteFile(name, identitytest.Set(f, ed), 0o600))
	v, err := identity.New(withFile(name))
	must(f, err)
	good := ed.Token(f, identitytest.Claims("alice"))
	f.Add(good + "x")
	f.Add(identitytest.Unsigned(f, identitytest.Claims("alice")))
	f.Add(strings.ReplaceAll(good, ".", ".."))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		id, err := v.Check(token)
		bare := strings.NewReplacer("\r", "", "\n", "").Replace(token) // base64 passes over them in the signature
		if _, refused := errors.AsType[*identity.RefusedError](err); bare != good && (!refused || id.User != "") {
			t.Errorf("%q: %+v, %v", token, id, err)
		}
	})
}
