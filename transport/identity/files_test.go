package identity_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"callboard/transport/identity"
	"callboard/transport/identity/identitytest"
)

// pemOf is a public or a private key in PEM.
func pemOf(t *testing.T, key any) []byte {
	t.Helper()
	if der, err := x509.MarshalPKIXPublicKey(key); err == nil {
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestKeysInPEMAndAsOneJWK(t *testing.T) {
	rs, es := identitytest.RSA(t, ""), identitytest.EC(t, "")
	set := string(identitytest.Set(t, rs))
	for name, text := range map[string][]byte{
		"two public keys": append(pemOf(t, rs.Public()), pemOf(t, es.Public())...),
		"a private key":   pemOf(t, rs.Private),
		"one JWK":         []byte(strings.TrimSuffix(strings.TrimPrefix(set, `{"keys":[`), `]}`)),
		"JWK Set":         []byte("\n  " + set + "\n"),
	} {
		v := verifierOf(t, withFile(written(t, "keys", text, 0o600)))
		if got := outcome(t, v, rs.Token(t, identitytest.Claims("alice"))); got != "alice" {
			t.Errorf("%s: %s", name, got)
		}
		for what, other := range map[string]*identitytest.Signer{
			"another key": identitytest.RSA(t, ""), "RS384": {Method: jwt.SigningMethodRS384, Private: rs.Private},
			"PS256": {Method: jwt.SigningMethodPS256, Private: rs.Private}, "as a secret": {Method: jwt.SigningMethodHS256, Private: pemOf(t, rs.Public())},
		} { // PEM does not say for which algorithm its keys are
			if got := outcome(t, v, other.Token(t, identitytest.Claims("alice"))); got != "unauthorized" {
				t.Errorf("%s, %s: %s", name, what, got)
			}
		}
	}
}

// PEM gives keys no id. Whether the issuer's tokens name one or not, it can change from a key to the next.
func TestKeysWithoutAnIDAreAllTried(t *testing.T) {
	for _, kid := range []string{"", "whatever the issuer calls it"} {
		old, next, another := identitytest.RSA(t, kid), identitytest.RSA(t, kid), identitytest.EC(t, kid)
		name := written(t, "keys", pemOf(t, old.Public()), 0o600)
		config := withFile(name)
		v := verifierOf(t, config)
		for _, step := range []struct {
			in, out []*identitytest.Signer
		}{
			{[]*identitytest.Signer{old}, []*identitytest.Signer{next, another}},
			{[]*identitytest.Signer{old, next}, []*identitytest.Signer{another}},
			{[]*identitytest.Signer{old, next, another}, nil},
			{[]*identitytest.Signer{next}, []*identitytest.Signer{old, another}},
		} {
			var text []byte
			for _, s := range step.in {
				text = append(text, pemOf(t, s.Public())...)
			}
			replaced(t, name, text)
			commit, err := v.Prepare(config)
			must(t, err)
			commit()
			for _, s := range step.in {
				if got := outcome(t, v, s.Token(t, identitytest.Claims("alice"))); got != "alice" {
					t.Errorf("kid %q, one of %d keys: %s", kid, len(step.in), got)
				}
			}
			for _, s := range append(step.out, &identitytest.Signer{ID: kid, Method: jwt.SigningMethodHS256, Private: text}) {
				if got := outcome(t, v, s.Token(t, identitytest.Claims("alice"))); got != "unauthorized" {
					t.Errorf("kid %q, none of %d keys: %s", kid, len(step.in), got)
				}
			}
		}
	}
}

// A key that says for which algorithm it is takes no other, with an id or without.
func TestKeyWithoutAnIDIsForItsAlgorithm(t *testing.T) {
	rs, other := identitytest.RSA(t, ""), identitytest.RSA(t, "")
	set := strings.Replace(string(identitytest.Set(t, rs, other)), `"RS256"`, `"RS512"`, 1) // that of rs
	v := verifierOf(t, withFile(written(t, "keys", []byte(set), 0o600)))
	for s, want := range map[*identitytest.Signer]string{rs: "unauthorized", other: "alice"} {
		if got := outcome(t, v, s.Token(t, identitytest.Claims("alice"))); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestFileWithAFaultIsRefusedAndChangesNothing(t *testing.T) {
	rs, es := identitytest.RSA(t, "1"), identitytest.EC(t, "1")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	var many []*identitytest.Signer
	for n := range 65 {
		many = append(many, &identitytest.Signer{ID: fmt.Sprint(n), Method: rs.Method, Private: rs.Private})
	}
	for name, c := range map[string]struct {
		text []byte
		mode os.FileMode
		want string
	}{
		"secret for all to read":  {identitytest.Set(t, identitytest.Secret("1")), 0o644, "chmod 600"},
		"secret for the group":    {identitytest.Set(t, identitytest.Secret("1")), 0o640, "chmod 600"},
		"private for all to read": {pemOf(t, rs.Private), 0o604, "chmod 600"},
		"short secret":            {[]byte(`{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}`), 0o600, "at least 32"},
		"weak RSA":                {pemOf(t, weak.Public()), 0o600, "1024 bits: 2048 to 8192"},
		"another curve":           {pemOf(t, curve.Public()), 0o600, "P-256"},
		"empty":                   {nil, 0o600, "neither PEM nor a JWK Set"},
		"text":                    {[]byte("hello\n"), 0o600, "neither PEM nor a JWK Set"},
		"cut off":                 {pemOf(t, es.Public())[:60], 0o600, "neither PEM nor a JWK Set"},
		"something behind it":     {append(pemOf(t, es.Public()), "more"...), 0o600, "behind the last block"},
		"JSON cut off":            {[]byte(`{"keys":[`), 0o600, "no JWK Set"},
		"no key in the set":       {[]byte(`{"keys":[{}]}`), 0o600, "key 1 of the set"},
		"another kind of block":   {pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{1}}), 0o600, "EC PARAMETERS"},
		"too many":                {identitytest.Set(t, many...), 0o600, "65 keys"},
		"too long":                {make([]byte, 16<<20+1), 0o600, "longer than 16 MiB"},
	} {
		file := written(t, "keys", c.text, c.mode)
		_, err := identity.New(withFile(file))
		fault, ok := errors.AsType[*identity.FileError](err)
		if !ok || fault.File != file || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secretsecret") {
			t.Errorf("%s at the start: %v", name, err)
		}

		good := written(t, "keys", identitytest.Set(t, es), 0o644)
		v := verifierOf(t, withFile(good))
		must(t, os.WriteFile(good, c.text, 0o600))
		must(t, os.Chmod(good, c.mode))
		if _, err := v.Prepare(withFile(good)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s later: %v", name, err)
		}
		if got := outcome(t, v, es.Token(t, identitytest.Claims("alice"))); got != "alice" {
			t.Errorf("%s changed something: %s", name, got)
		}
	}
	if _, err := identity.New(withFile("/none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestRevokedListWithAFaultIsRefused(t *testing.T) {
	keys := written(t, "keys", identitytest.Set(t, identitytest.Ed(t, "")), 0o600)
	var many strings.Builder
	for n := range 100_001 {
		fmt.Fprintln(&many, n)
	}
	for file, want := range map[string]string{
		"/none": "revoked ids", written(t, "many", []byte(many.String()), 0o644): "leave out those whose tokens have expired",
		written(t, "line", []byte(strings.Repeat("x", 70_000)), 0o644): "revoked ids", t.TempDir(): "directory",
	} {
		config := withFile(keys)
		config.RevokedFile = file
		_, err := identity.New(config)
		if fault, ok := errors.AsType[*identity.FileError](err); !ok || fault.File != file || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// running runs a verifier until the test ends, and hands on each set of revoked ids.
func running(t *testing.T, v *identity.Verifier) (told <-chan *identity.Revoked) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	sets, ended := make(chan *identity.Revoked, 100), make(chan struct{})
	go func() {
		defer close(ended)
		_ = v.Run(ctx, func(r *identity.Revoked) error { sets <- r; return nil }) // it returns none
	}()
	t.Cleanup(func() { stop(); <-ended })
	return sets
}

// next is the next set of revoked ids that is told of.
func next(t *testing.T, told <-chan *identity.Revoked) *identity.Revoked {
	t.Helper()
	select {
	case set := <-told:
		return set
	case <-time.After(20 * time.Second):
		t.Fatal("no set of revoked ids was told of")
		return nil
	}
}

// replaced puts a file in the place of another in one step.
func replaced(t *testing.T, name string, text []byte) {
	t.Helper()
	must(t, os.WriteFile(name+".new", text, 0o600))
	must(t, os.Rename(name+".new", name))
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestFilesAreReadWhenTheyChange(t *testing.T) {
	old, other := identitytest.Ed(t, ""), identitytest.Ed(t, "")
	config := withFile(written(t, "keys", identitytest.Set(t, old), 0o600))
	config.RevokedFile = written(t, "revoked", nil, 0o644)
	config.Poll = time.Millisecond
	log := &logged{}
	config.Log = slog.New(slog.NewTextHandler(log, nil))
	v := verifierOf(t, config)
	told := running(t, v)
	if first := next(t, told); len(*first) != 0 {
		t.Errorf("%v are revoked at first", first)
	}

	replaced(t, config.RevokedFile, []byte("stolen\n"))

	if second := next(t, told); !second.Has(identity.NewTokenID("stolen")) {
		t.Error("the stolen one is not among those that it tells of")
	}
	if got := outcome(t, v, old.Token(t, identitytest.With("alice", "jti", "stolen"))); got != "unauthorized" {
		t.Errorf("the stolen one: %s", got)
	}
	replaced(t, config.Issuers[0].KeyFile, []byte("{"))
	eventually(t, "the fault is said", func() bool { return log.has("level=ERROR msg=\"identity not read again") })
	for range 20 {
		time.Sleep(config.Poll)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("the fault is said %d times", n)
	}
	replaced(t, config.Issuers[0].KeyFile, identitytest.Set(t, other))
	eventually(t, "the new key counts", func() bool { return outcome(t, v, other.Token(t, identitytest.Claims("alice"))) == "alice" })
	if got := outcome(t, v, old.Token(t, identitytest.Claims("alice"))); got != "unauthorized" {
		t.Errorf("the old key: %s", got)
	}
}

func TestPreparedConfigurationCountsWhenItIsCommitted(t *testing.T) {
	old, other := identitytest.Ed(t, ""), identitytest.Ed(t, "")
	config := withFile(written(t, "old", identitytest.Set(t, old), 0o600))
	config.Poll = time.Hour
	v := verifierOf(t, config)
	told := running(t, v)
	next(t, told)
	to := withFile(written(t, "next", identitytest.Set(t, other), 0o600))
	to.Poll, to.Revoked = config.Poll, []string{"stolen"}

	commit, err := v.Prepare(to)

	must(t, err)
	if got := outcome(t, v, old.Token(t, identitytest.Claims("alice"))); got != "alice" {
		t.Errorf("before it is committed: %s", got)
	}
	commit()
	if set := next(t, told); !set.Has(identity.NewTokenID("stolen")) { // at once: the files are looked at in an hour
		t.Error("the stolen one is not told of")
	}
	for token, want := range map[string]string{
		old.Token(t, identitytest.Claims("alice")):                  "unauthorized",
		other.Token(t, identitytest.Claims("alice")):                "alice",
		other.Token(t, identitytest.With("alice", "jti", "stolen")): "unauthorized",
	} {
		if got := outcome(t, v, token); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for _, strange := range []identity.Config{
		{Issuers: []identity.Issuer{{Name: "new", Audiences: []string{"a"}, KeyFile: to.Issuers[0].KeyFile}}},
		{Issuers: []identity.Issuer{{Name: identitytest.Issuer, Audiences: []string{"a"}, KeyURL: "https://127.0.0.1:1"}}},
		{Issuers: []identity.Issuer{{Name: identitytest.Issuer, Audiences: []string{"a"}}}},
	} {
		if _, err := v.Prepare(strange); err == nil {
			t.Errorf("%+v is taken", strange.Issuers)
		}
	}
}

func TestConfigurationWithAFaultIsRefused(t *testing.T) {
	file := written(t, "keys", identitytest.Set(t, identitytest.Ed(t, "")), 0o600)
	issuer := func(change func(*identity.Issuer)) identity.Config {
		c := withFile(file)
		change(&c.Issuers[0])
		return c
	}
	url := func(to string) identity.Config {
		return issuer(func(i *identity.Issuer) { i.KeyFile, i.KeyURL = "", to })
	}
	twice := withFile(file)
	twice.Issuers = append(twice.Issuers, twice.Issuers[0])
	late := withFile(file)
	late.Leeway = time.Hour
	short := withFile(file)
	short.Poll = time.Nanosecond
	for want, configs := range map[string][]identity.Config{
		"0 issuers":          {{}},
		"has no name":        {issuer(func(i *identity.Issuer) { i.Name = "" })},
		"1 to 64 audiences":  {issuer(func(i *identity.Issuer) { i.Audiences = nil }), issuer(func(i *identity.Issuer) { i.Audiences = []string{""} })},
		"one of the two":     {issuer(func(i *identity.Issuer) { i.KeyFile = "" }), issuer(func(i *identity.Issuer) { i.KeyURL = "https://a" })},
		"must be https":      {url("http://a.example.org/keys"), url("ftp://a"), url("https://"), url("keys"), url("https://user:word@a.example.org"), url("http://127.0.0.1.example.org"), url(":")},
		"given twice":        {twice},
		"0s to 5m":           {late},
		"than a millisecond": {short},
	} {
		for _, config := range configs {
			if _, err := identity.New(config); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
	}
	for _, good := range []string{"https://a.example.org/keys", "http://127.0.0.1:1/keys", "http://[::1]/keys", "http://localhost:1/"} {
		if _, err := identity.New(url(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

func TestDevelopmentKeyIsMadeOnceAndSigns(t *testing.T) {
	key := filepath.Join(t.TempDir(), "data", "identity-key")
	for n, want := range []bool{true, false} {
		if made, err := identity.MakeKey(key); err != nil || made != want {
			t.Errorf("call %d: %v, %v", n, made, err)
		}
	}
	info, err := os.Stat(key)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %s", info.Mode())
	}
	token, err := identity.Sign(key, "42", time.Minute)
	must(t, err)
	if got := outcome(t, verifierOf(t, identity.Config{Issuers: []identity.Issuer{identity.Development(key)}}), token); got != "42" {
		t.Error(got)
	}
	other := written(t, "other", pemOf(t, identitytest.RSA(t, "").Private), 0o600)
	if _, err := identity.Sign(other, "42", time.Minute); err == nil || !strings.Contains(err.Error(), "Ed25519") {
		t.Errorf("with a key of another kind: %v", err)
	}
}
