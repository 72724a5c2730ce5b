package identity_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"callboard/transport/identity"
	"callboard/transport/identity/identitytest"
)

// logged is a log that can be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) has(text string) bool { return strings.Contains(l.String(), text) }

// withURL takes tokens of the keys at a URL, and fetches them whenever a token asks for it.
func withURL(url string) identity.Config {
	return identity.Config{
		MinRefresh: time.Millisecond,
		Issuers:    []identity.Issuer{{Name: identitytest.Issuer, Audiences: []string{identitytest.Audience}, KeyURL: url}},
	}
}

// soon is outcome for a token that may have to wait until the keys may be fetched again.
func soon(t *testing.T, v *identity.Verifier, token, want string) {
	t.Helper()
	var got string
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); time.Sleep(2 * time.Millisecond) {
		if got = outcome(t, v, token); got == want {
			return
		}
	}
	t.Fatalf("%s, want %s", got, want)
}

func TestUnreachableKeysNeverMeanOpen(t *testing.T) {
	rs := identitytest.RSA(t, "1")
	keys := identitytest.Serve(t, nil)
	log := &logged{}
	config := withURL(keys.URL)
	config.Log = slog.New(slog.NewTextHandler(log, nil))
	v := verifierOf(t, config)
	good, forged := rs.Token(t, identitytest.Claims("alice")), identitytest.RSA(t, "1").Token(t, identitytest.Claims("alice"))
	none := identitytest.Unsigned(t, identitytest.Claims("alice"))
	if got, err := v.Check(good); err == nil {
		t.Fatalf("before anything was fetched: %v", got)
	}
	running(t, v)
	for range 3 {
		for _, token := range []string{good, forged, none} {
			if got := outcome(t, v, token); got != "unavailable" {
				t.Errorf("down at the start: %s", got)
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
	eventually(t, "it is said", func() bool { return log.has("level=ERROR msg=\"issuer's keys not fetched\"") })
	for name, set := range map[string]string{
		"a page": "<html>", "nothing": " ", "a list": "[]", "no keys": `{"keys":[]}`, "another shape": `{"keys":7}`,
		"a secret": string(identitytest.Set(t, identitytest.Secret("1"))),
		"too long": `{"pad":"` + strings.Repeat("x", 1<<20) + `",` + strings.TrimPrefix(string(identitytest.Set(t, rs)), "{"),
	} {
		keys.Put([]byte(set))
		time.Sleep(2 * time.Millisecond)
		if got := outcome(t, v, good); got != "unavailable" {
			t.Errorf("%s: %s", name, got)
		}
	}
	keys.Put(identitytest.Set(t, rs))
	soon(t, v, good, "alice")
	keys.Close()
	for range 3 {
		time.Sleep(2 * time.Millisecond)
		if got := outcome(t, v, good); got != "alice" {
			t.Errorf("down later, a key that is known: %s", got)
		}
		if got := outcome(t, v, forged); got != "unauthorized" {
			t.Errorf("down later, forged: %s", got)
		}
		if got := outcome(t, v, identitytest.RSA(t, "2").Token(t, identitytest.Claims("alice"))); got != "unavailable" {
			t.Errorf("down later, a key that is not known: %s", got)
		}
	}
	for part := range strings.SplitSeq(good+"."+forged, ".") {
		if log.has(part) {
			t.Errorf("the log has %q", part)
		}
	}
}

func TestRotatedKeysAreFetchedWhenATokenNamesThem(t *testing.T) {
	old, next := identitytest.RSA(t, "1"), identitytest.EC(t, "2")
	keys := identitytest.Serve(t, identitytest.Set(t, old))
	v := verifierOf(t, withURL(keys.URL))
	running(t, v)
	soon(t, v, old.Token(t, identitytest.Claims("alice")), "alice")
	keys.Put(identitytest.Set(t, old, next))
	soon(t, v, next.Token(t, identitytest.Claims("alice")), "alice")
	soon(t, v, old.Token(t, identitytest.Claims("alice")), "alice")
	keys.Put(identitytest.Set(t, identitytest.Ed(t, "3"))) // swapped
	soon(t, v, identitytest.RSA(t, "4").Token(t, identitytest.Claims("alice")), "unauthorized")
	for _, gone := range []*identitytest.Signer{old, next} {
		soon(t, v, gone.Token(t, identitytest.Claims("alice")), "unauthorized")
	}
}

func TestAnotherURLCountsWhenItsKeysAreThere(t *testing.T) {
	old, next := identitytest.RSA(t, "1"), identitytest.RSA(t, "2")
	before, after := identitytest.Serve(t, identitytest.Set(t, old)), identitytest.Serve(t, nil)
	v := verifierOf(t, withURL(before.URL))
	running(t, v)
	soon(t, v, old.Token(t, identitytest.Claims("alice")), "alice")
	commit, err := v.Prepare(withURL(after.URL))
	must(t, err)
	commit()
	eventually(t, "the other was asked", func() bool { return after.Asked.Load() > 0 })
	if got := outcome(t, v, old.Token(t, identitytest.Claims("alice"))); got != "alice" {
		t.Errorf("while the other does not answer: %s", got)
	}
	after.Put(identitytest.Set(t, next))
	soon(t, v, next.Token(t, identitytest.Claims("alice")), "alice")
	soon(t, v, old.Token(t, identitytest.Claims("alice")), "unauthorized")
	if _, err := v.Prepare(withURL("http://keys.example.org")); err == nil {
		t.Error("an address in clear is taken")
	}
}

// Some issuers want a query, and it may have a key.
func TestLogHasNoQueryOfAURL(t *testing.T) {
	rs := identitytest.RSA(t, "1")
	keys := identitytest.Serve(t, identitytest.Set(t, rs))
	var queries sync.Map
	redirecting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		queries.Store(r.URL.RawQuery, true)
		http.Redirect(w, r, keys.URL+"/?sig=hidden", http.StatusFound)
	}))
	defer redirecting.Close()
	log := &logged{}
	config := withURL(redirecting.URL + "/keys?key=hidden")
	config.Log = slog.New(slog.NewTextHandler(log, nil))
	v := verifierOf(t, config)
	running(t, v)
	soon(t, v, rs.Token(t, identitytest.Claims("alice")), "alice")
	if _, sent := queries.Load("key=hidden"); !sent {
		t.Error("the issuer was not sent the query")
	}
	keys.Close()
	soon(t, v, identitytest.RSA(t, "2").Token(t, identitytest.Claims("alice")), "unavailable")
	redirecting.Close()
	eventually(t, "both failures are said", func() bool {
		_ = outcome(t, v, identitytest.RSA(t, "2").Token(t, identitytest.Claims("alice")))
		return log.has(keys.URL) && log.has(redirecting.URL+"/keys")
	})
	if log.has("hidden") {
		t.Errorf("it has: %s", log)
	}
}

func TestFloodOfUnknownKeysIsOneRequestEachMinRefresh(t *testing.T) {
	rs := identitytest.RSA(t, "1")
	keys := identitytest.Serve(t, identitytest.Set(t, rs))
	config := withURL(keys.URL)
	config.MinRefresh = time.Hour
	v := verifierOf(t, config)
	running(t, v)
	eventually(t, "the keys are there", func() bool { return outcome(t, v, rs.Token(t, identitytest.Claims("alice"))) == "alice" })
	var all sync.WaitGroup
	for n := range 50 {
		token := (&identitytest.Signer{ID: fmt.Sprint("unknown-", n), Method: rs.Method, Private: rs.Private}).Token(t, identitytest.Claims("alice"))
		all.Go(func() {
			if got := outcome(t, v, token); got != "unavailable" {
				t.Errorf("an unknown key: %s", got)
			}
		})
	}
	all.Wait()
	if n := keys.Asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestRedirectsLeadOnlyWhereTheConfigurationCould(t *testing.T) {
	rs := identitytest.RSA(t, "1")
	good := rs.Token(t, identitytest.Claims("alice"))
	keys := identitytest.Serve(t, identitytest.Set(t, rs))
	for to, want := range map[string]string{
		keys.URL: "alice", "http://keys.example.org/": "unavailable", "file:///etc/passwd": "unavailable", "/again": "unavailable",
	} {
		var attempts, asked atomic.Int64
		redirecting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/again" {
				attempts.Add(1) // before its request is counted
			}
			asked.Add(1)
			http.Redirect(w, r, to, http.StatusFound)
		}))
		v := verifierOf(t, withURL(redirecting.URL))
		running(t, v)
		if want == "alice" {
			soon(t, v, good, want)
		} else {
			eventually(t, "it was asked", func() bool { return asked.Load() > 0 })
			if got := outcome(t, v, good); got != want {
				t.Errorf("to %s: %s", to, got)
			}
			if n := asked.Load(); n > (3+1)*attempts.Load() {
				t.Errorf("to %s: it was asked %d times in %d attempts", to, n, attempts.Load())
			}
		}
		redirecting.Close()
	}
}
