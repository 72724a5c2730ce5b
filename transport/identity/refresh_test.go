package identity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
	"callboard/transport/identity/identitytest"
)

// network answers in memory, so that time can be the bubble's.
type network func(r *http.Request) ([]byte, error)

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	set, err := n(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(bytes.NewReader(set)), Header: http.Header{}}, nil
}

// refreshing runs a verifier in a bubble.
func refreshing(t *testing.T, answer network, test func(v *Verifier)) {
	t.Helper()
	refreshingFrom(t, answer, test)
}

// refreshingFrom is refreshing with an issuer that does more than answer.
func refreshingFrom(t *testing.T, issuer http.RoundTripper, test func(v *Verifier)) {
	t.Helper()
	v, err := New(Config{Issuers: []Issuer{{Name: identitytest.Issuer, Audiences: []string{identitytest.Audience}, KeyURL: "https://keys.example.org"}}})
	if err != nil {
		t.Fatal(err)
	}
	v.issuers[identitytest.Issuer].remote.client.Transport = bounded{issuer}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = v.Run(ctx, func(*Revoked) error { return nil }) // it returns none
	}()
	synctest.Wait()
	test(v)
	stop()
	<-done
}

func codeOf(v *Verifier, token string) protocol.ErrorCode {
	_, err := v.Verify(context.Background(), token)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused.Code
	}
	return ""
}

// forever is a token that outlives the test.
func forever(t *testing.T, s *identitytest.Signer) string {
	t.Helper()
	return s.Token(t, identitytest.With("alice", "exp", time.Now().Add(1000*time.Hour).Unix()))
}

func TestKeysThatCannotBeFetchedCountForMaxStale(t *testing.T) {
	rs := identitytest.RSA(t, "1")
	set := identitytest.Set(t, rs)
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		refreshing(t, func(*http.Request) ([]byte, error) {
			if down.Load() {
				return nil, io.ErrUnexpectedEOF
			}
			return set, nil
		}, func(v *Verifier) {
			token := forever(t, rs)
			if code := codeOf(v, token); code != "" {
				t.Fatal(code)
			}
			down.Store(true)
			time.Sleep(24*time.Hour - time.Minute)
			if code := codeOf(v, token); code != "" {
				t.Errorf("a minute before its keys are too old: %s", code)
			}
			time.Sleep(20 * time.Minute)
			if code := codeOf(v, token); code != protocol.CodeUnavailable {
				t.Errorf("with keys that are too old: %q", code)
			}
			down.Store(false)
			time.Sleep(maxRetry)
			if code := codeOf(v, token); code != "" {
				t.Errorf("when they have been fetched again: %s", code)
			}
		})
	})
}

func TestIssuerIsAskedSeldomAndEverMoreSeldomWhenItDoesNotAnswer(t *testing.T) {
	rs := identitytest.RSA(t, "1")
	set := identitytest.Set(t, rs)
	for _, c := range []struct {
		name        string
		set         []byte
		least, most int64
	}{{"it answers", set, 5, 6}, {"it does not", nil, 1 + 8 + 11, 1 + 9 + 16}} {
		synctest.Test(t, func(t *testing.T) {
			var asked atomic.Int64
			refreshing(t, func(*http.Request) ([]byte, error) {
				if asked.Add(1); c.set == nil {
					return nil, io.ErrUnexpectedEOF
				}
				return c.set, nil
			}, func(*Verifier) { time.Sleep(time.Hour) })
			if n := asked.Load(); n < c.least || n > c.most {
				t.Errorf("%s: it was asked %d times in an hour, want %d to %d", c.name, n, c.least, c.most)
			}
		})
	}
}

// Forged key ids bring one request each MinRefresh, and those who wait for it are told to come again.
func TestUnknownKeysBringOneRequestEachMinRefresh(t *testing.T) {
	rs := identitytest.RSA(t, "1")
	set := identitytest.Set(t, rs)
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		refreshing(t, func(*http.Request) ([]byte, error) { asked.Add(1); return set, nil }, func(v *Verifier) {
			forged := forever(t, &identitytest.Signer{ID: "other", Method: rs.Method, Private: rs.Private})
			before, certain := asked.Load(), int64(0)
			for range 10 * 60 { // a minute
				time.Sleep(100 * time.Millisecond)
				if codeOf(v, forged) == protocol.CodeUnauthorized {
					certain++
				}
			}
			if n := asked.Load() - before; n < 5 || n > 6 || certain != n {
				t.Errorf("%d requests in a minute, %d answers that are certain", n, certain)
			}
			_, err := v.Check(forged)
			if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.RetryAfter < time.Second || refused.RetryAfter > 10*time.Second {
				t.Errorf("%+v", refused)
			}
		})
	})
}

// The issuer may have answered an attempt just before it had the key: then nobody knows yet that the key is not there.
func TestKeyIsNotRefusedForAnAttemptThatBeganBeforeItsToken(t *testing.T) {
	old, next := identitytest.RSA(t, "1"), identitytest.Ed(t, "2")
	before, after := identitytest.Set(t, old), identitytest.Set(t, old, next)
	synctest.Test(t, func(t *testing.T) {
		var rotated atomic.Bool
		refreshing(t, func(*http.Request) ([]byte, error) {
			set := before
			if rotated.Load() {
				set = after
			}
			time.Sleep(time.Second) // the answer is on its way
			return set, nil
		}, func(v *Verifier) {
			rotated.Store(true)
			if code := codeOf(v, forever(t, next)); code != protocol.CodeUnavailable {
				t.Errorf("by an attempt that began before: %q", code)
			}
			if code := codeOf(v, forever(t, old)); code != "" {
				t.Errorf("a key that has come with it: %q", code)
			}
			time.Sleep(v.config.MinRefresh)
			if code := codeOf(v, forever(t, next)); code != "" {
				t.Errorf("by the next attempt: %q", code)
			}
			time.Sleep(v.config.MinRefresh)
			if code := codeOf(v, forever(t, identitytest.Ed(t, "3"))); code != protocol.CodeUnauthorized {
				t.Errorf("a key that the issuer does not have: %q", code)
			}
		})
	})
}

func TestSilentIssuerIsGivenUp(t *testing.T) {
	rs := identitytest.RSA(t, "1")
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		refreshing(t, func(r *http.Request) ([]byte, error) {
			asked.Add(1)
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, func(v *Verifier) {
			before := time.Now()
			if code := codeOf(v, forever(t, rs)); code != protocol.CodeUnavailable || time.Since(before) > fetchTimeout {
				t.Errorf("%q after %s", code, time.Since(before))
			}
			time.Sleep(time.Minute)
			if n := asked.Load(); n < 4 || n > 8 {
				t.Errorf("it was asked %d times in a minute", n)
			}
		})
	})
}

// dripping is an issuer that begins to answer, and says no more.
type dripping struct{}

func (dripping) RoundTrip(r *http.Request) (*http.Response, error) {
	body := io.MultiReader(strings.NewReader(`{"keys":[`), silence{r.Context()})
	return &http.Response{StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(body), Header: http.Header{}}, nil
}

// silence lasts until its context ends.
type silence struct{ context.Context }

func (s silence) Read([]byte) (int, error) {
	<-s.Done()
	return 0, s.Err()
}

// An issuer that says nothing, or drips, costs a fetch its time and nobody else anything.
func TestSilentIssuerHoldsNobodyUp(t *testing.T) {
	rs := identitytest.RSA(t, "1")
	for name, issuer := range map[string]http.RoundTripper{
		"silent":   network(func(r *http.Request) ([]byte, error) { <-r.Context().Done(); return nil, r.Context().Err() }),
		"dripping": dripping{},
	} {
		synctest.Test(t, func(t *testing.T) {
			refreshingFrom(t, issuer, func(v *Verifier) {
				token, before := forever(t, rs), time.Now()
				if _, err := v.Check(token); err == nil || time.Since(before) > 0 {
					t.Errorf("%s: %v after %s", name, err, time.Since(before))
				}
				limit, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				if _, err := v.Verify(limit, token); err == nil || time.Since(before) != 50*time.Millisecond {
					t.Errorf("%s: %v after %s", name, err, time.Since(before))
				}
			})
		})
	}
}

// Whenever another URL comes, it is fetched by the attempt that begins or by the next.
func TestAnotherURLThatComesWhileAnAttemptBeginsIsNotForgotten(t *testing.T) {
	set := identitytest.Set(t, identitytest.Ed(t, "1"))
	config, err := Config{Issuers: []Issuer{{Name: "i", Audiences: []string{"a"}, KeyURL: "https://keys.example.org/"}}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	r := newRemote(config.Issuers[0], newKeys(false), &config)
	var fetched string
	r.client.Transport = network(func(r *http.Request) ([]byte, error) { fetched = r.URL.Path; return set, nil })
	for n := range 20 {
		to := fmt.Sprint("/", n)
		var both sync.WaitGroup
		r.mu.Lock()
		both.Go(func() { r.fetch(t.Context()) })
		time.Sleep(2 * time.Millisecond) // it waits for the lock for so long that it passes the lock on to who is next
		both.Go(func() { r.from("https://keys.example.org" + to) })
		time.Sleep(2 * time.Millisecond)
		r.mu.Unlock()
		r.mu.Lock()
		time.Sleep(2 * time.Millisecond)
		r.mu.Unlock()
		both.Wait()
		if fetched != to && len(r.ask) == 0 {
			t.Fatalf("number %d is forgotten: %s was fetched, and nobody asks for another attempt", n, fetched)
		}
	}
}

// Sessions of a token that was revoked must not stay because somebody was busy once.
func TestRevokedIDsAreToldOfUntilThatWorks(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, identitytest.Set(t, identitytest.Ed(t, "1")), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		config := Config{Issuers: []Issuer{{Name: "i", Audiences: []string{"a"}, KeyFile: keys}}, Poll: 10 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))}
		v, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		var free atomic.Bool
		var calls atomic.Int64
		var told atomic.Pointer[Revoked]
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = v.Run(ctx, func(r *Revoked) error { // it returns none
				if calls.Add(1); !free.Load() {
					return errors.New("busy")
				}
				told.Store(r)
				return nil
			})
		}()
		time.Sleep(10*time.Second + tellAgain/2)
		synctest.Wait()
		if calls.Load() != 11 || strings.Count(log.String(), "level=ERROR") != 1 {
			t.Errorf("%d calls in ten seconds, and the log has %s", calls.Load(), &log)
		}
		config.Revoked = []string{"stolen"}
		commit, err := v.Prepare(config)
		if err != nil {
			t.Fatal(err)
		}
		commit()
		if synctest.Wait(); calls.Load() != 12 {
			t.Errorf("%d calls: a new set is not told of at once", calls.Load())
		}
		free.Store(true)
		time.Sleep(tellAgain)
		synctest.Wait()
		if calls.Load() != 13 || !told.Load().Has(NewTokenID("stolen")) {
			t.Errorf("after %d calls it is %v that was told of", calls.Load(), told.Load())
		}
		if time.Sleep(time.Minute); calls.Load() != 13 {
			t.Errorf("it is told of again, %d times", calls.Load())
		}
		stop()
		<-done
	})
}

// Tokens that name keys nobody knows are not to fill the door while the issuer is silent.
func TestFewTokensWaitForASilentIssuer(t *testing.T) {
	rs := identitytest.Ed(t, "1")
	set := identitytest.Set(t, rs)
	synctest.Test(t, func(t *testing.T) {
		var silent atomic.Bool
		refreshing(t, func(r *http.Request) ([]byte, error) {
			if silent.Load() {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return set, nil
		}, func(v *Verifier) {
			silent.Store(true)
			time.Sleep(time.Minute) // more than MinRefresh
			known, forged := forever(t, rs), forever(t, &identitytest.Signer{ID: "other", Method: rs.Method, Private: rs.Private})
			var all sync.WaitGroup
			var atOnce, later atomic.Int64
			for range maxWaiting + 100 {
				all.Go(func() {
					before := time.Now()
					if code := codeOf(v, forged); code != protocol.CodeUnavailable {
						t.Errorf("a key that nobody knows: %q", code)
					}
					if time.Since(before) > 0 {
						later.Add(1)
					} else {
						atOnce.Add(1)
					}
				})
			}
			synctest.Wait()
			if n := atOnce.Load(); n != 100 {
				t.Errorf("%d are refused at once", n)
			}
			before := time.Now()
			if code := codeOf(v, known); code != "" || time.Since(before) > 0 {
				t.Errorf("a key that is known meanwhile: %q after %s", code, time.Since(before))
			}
			all.Wait()
			if n := v.issuers[identitytest.Issuer].remote.waiting.Load(); n != 0 || later.Load() != maxWaiting {
				t.Errorf("%d waited, and %d do still", later.Load(), n)
			}
			silent.Store(false)
			time.Sleep(maxRetry)
			if code := codeOf(v, forged); code != protocol.CodeUnauthorized {
				t.Errorf("when the issuer answers again: %q", code)
			}
		})
	})
}

// addressed is a connection to an address.
type addressed struct {
	net.Conn
	to     net.IP
	closed bool
}

func (a *addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: a.to} }
func (a *addressed) Close() error         { a.closed = true; return nil }

func TestLocalhostThatIsAnotherMachineIsNotAsked(t *testing.T) {
	for _, c := range []struct {
		address, leadsTo string
		asked            bool
	}{
		{"localhost:80", "127.0.0.1", true}, {"localhost:80", "::1", true}, {"localhost:80", "192.0.2.1", false},
		{"keys.example.org:443", "192.0.2.1", true},
	} {
		conn := &addressed{to: net.ParseIP(c.leadsTo)}
		dial := dialLocalhost(func(context.Context, string, string) (net.Conn, error) { return conn, nil })
		got, err := dial(t.Context(), "tcp", c.address)
		if asked := err == nil && got != nil; asked != c.asked || conn.closed == c.asked {
			t.Errorf("%s at %s: %v, %v", c.address, c.leadsTo, got, err)
		}
	}
}
