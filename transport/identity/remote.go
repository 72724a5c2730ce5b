package identity

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
)

const (
	fetchTimeout = 5 * time.Second
	maxSetBytes  = 1 << 20 // of a JWK Set
	maxRedirects = 3
	minRetry     = time.Second // after an attempt that failed; doubles up to maxRetry
	maxRetry     = 5 * time.Minute
	maxWaiting   = 256 // tokens that wait for one issuer's keys: each has a place among the pending connections
)

// remote fetches the keys of one issuer from a URL. Its goroutine is the only one that
// fetches; the others ask it to, and wait.
type remote struct {
	issuer string
	keys   *keys
	config *Config
	client *http.Client
	ask    chan struct{} // a token names a key that is not there; holds one

	waiting atomic.Int64 // tokens

	mu        sync.Mutex // held for moments; it guards what follows
	url       string
	attempted time.Time // when the last attempt began
	succeeded time.Time // when the last one that succeeded ended
	running   bool
	failures  int           // in a row
	done      chan struct{} // closed and replaced when an attempt ends
}

func newRemote(issuer Issuer, keys *keys, config *Config) *remote {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // the next attempt is minutes away
	transport.MaxResponseHeaderBytes = 64 << 10
	transport.DialContext = dialLocalhost(transport.DialContext)
	return &remote{
		issuer: issuer.Name, url: issuer.KeyURL, keys: keys, config: config, ask: make(chan struct{}, 1), done: make(chan struct{}),
		client: &http.Client{Transport: bounded{transport}, CheckRedirect: checkRedirect},
	}
}

type dial = func(ctx context.Context, network, address string) (net.Conn, error)

// dialLocalhost dials, and sees that localhost is this machine: it is trusted without TLS, and its
// name may lead elsewhere.
func dialLocalhost(dial dial) dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if host, _, _ := net.SplitHostPort(address); err != nil || host != localhost {
			return conn, err
		}
		if to, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !to.IP.IsLoopback() {
			_ = conn.Close() // nothing was said
			return nil, errors.New("localhost is another machine here: give the address 127.0.0.1")
		}
		return conn, nil
	}
}

// checkRedirect goes only where the configuration could have sent us.
func checkRedirect(to *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	target := Issuer{Name: "redirect", Audiences: []string{"any"}, KeyURL: to.URL.String()}
	if target.validate() != nil || via[0].URL.Scheme == "https" && to.URL.Scheme != "https" {
		return errors.New("a redirect leads to an address that is not https")
	}
	return nil
}

// bounded cuts what is longer than a JWK Set may be.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = http.MaxBytesReader(nil, answer.Body, maxSetBytes)
	}
	return answer, err
}

// run fetches until the context is done.
func (r *remote) run(ctx context.Context) {
	for ctx.Err() == nil {
		r.fetch(ctx)
		select {
		case <-time.After(r.pause()):
		case <-r.ask:
		case <-ctx.Done():
		}
	}
}

// pause is the time up to the next attempt that nobody asks for. It varies, so that many
// nodes do not all come at once.
func (r *remote) pause() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := r.config.Refresh
	if r.failures > 0 {
		wait = min(minRetry<<min(r.failures-1, 16), maxRetry, r.config.Refresh)
	}
	return wait - rand.N(wait/5+1)
}

// fetch is one attempt. The old keys stay if it fails.
func (r *remote) fetch(ctx context.Context) {
	r.mu.Lock()
	r.attempted, r.running = time.Now(), true
	select {
	case <-r.ask: // whoever asked waits for this one
	default:
	}
	url := r.url // after that: who asks for another URL from now on asks for another attempt
	r.mu.Unlock()
	// One fetch into the keys we have: the library's own refreshing knows no backoff.
	_, err := jwkset.NewStorageFromHTTP(url, jwkset.HTTPClientStorageOptions{
		Client: r.client, Ctx: ctx, HTTPTimeout: fetchTimeout, Storage: r.keys,
	})
	all, none := r.keys.KeyReadAll(ctx)
	r.mu.Lock()
	first := r.succeeded.IsZero()
	if r.failures++; err == nil {
		r.succeeded, r.failures = time.Now(), 0
	}
	r.running = false
	close(r.done)
	r.done = make(chan struct{})
	r.mu.Unlock()
	log := r.config.Log.With(slog.String("issuer", r.issuer))
	switch {
	case ctx.Err() != nil:
	case err != nil:
		log.Error("issuer's keys not fetched", slog.Any("error", withoutQuery(err)), slog.Int("keys", len(all)))
	case none != nil:
		log.Error("issuer has no key that could be used: nobody is let in by its tokens")
	case first:
		log.Info("issuer's keys fetched", slog.Int("keys", len(all)))
	}
}

// withoutQuery is an error of a fetch as the log may have it: the query of a URL, which the configuration or
// a redirect gave, may be secret.
func withoutQuery(err error) error {
	of, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	bare, _, _ := strings.Cut(of.URL, "?")
	return &url.Error{Op: of.Op, URL: bare, Err: of.Err}
}

// usable is whether the keys at hand still count.
func (r *remote) usable() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.succeeded.IsZero() && time.Since(r.succeeded) <= r.config.MaxStale
}

// fetched has the keys fetched and waits for that. The refusal says that they could not
// be, or not now: many tokens with keys that nobody knows cost the issuer one request
// each MinRefresh. Those beyond maxWaiting do not wait: while an issuer is silent, tokens that name
// keys nobody knows are not to take the places of those whose keys are known. Without a refusal, certain
// says that the attempt began after the question: a key that did not come with it is not there.
func (r *remote) fetched(ctx context.Context) (certain bool, refusal *RefusedError) {
	done, certain, wait := r.want()
	if wait > 0 {
		return false, unavailable(wait)
	}
	defer r.waiting.Add(-1)
	if r.waiting.Add(1) > maxWaiting {
		return false, unavailable(0)
	}
	select {
	case <-done:
	case <-ctx.Done():
		return false, unavailable(0)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, none := r.keys.KeyReadAll(ctx); r.failures > 0 || none != nil {
		return false, unavailable(r.config.MinRefresh)
	}
	return certain, nil
}

// want asks for an attempt, unless one is under way or it is too early: then wait says for how long. done is
// closed when the attempt ends; fresh says that it has yet to begin.
func (r *remote) want() (done <-chan struct{}, fresh bool, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait = r.config.MinRefresh - time.Since(r.attempted)
	switch {
	case r.running: // the key may come with this one
		wait = 0
	case wait <= 0:
		r.wake() // under the lock: an attempt that begins meanwhile is the one that is asked for, and no other follows
		fresh = true
	}
	return r.done, fresh, wait
}

// from has the keys fetched anew, from a URL that may be another.
func (r *remote) from(url string) {
	r.mu.Lock()
	r.url = url
	r.mu.Unlock()
	r.wake()
}

// wake has run fetch now.
func (r *remote) wake() {
	select {
	case r.ask <- struct{}{}:
	default: // it has been asked
	}
}
