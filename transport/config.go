package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/identity"
)

// Config says how a Server serves. Zero values take the default.
type Config struct {
	// MaxConnections bounds the WebSocket connections; one more is answered with
	// 503 and Retry-After. Default 100,000.
	MaxConnections int

	// MaxPending bounds the TCP connections that have not been upgraded. One more
	// takes the place of one that is kept alive between two requests or, if there is none, of
	// the one that has taken longest over its request. As many again may be upgraded and still have to show
	// their token in CONNECT: one more takes the place of the one that has been silent longest. Default 4,096.
	MaxPending int

	// Attempts is how many connections an address may ask for in a time, of IPv6 its /64. More are
	// answered with 429 and Retry-After, and as many more as that are cut without a word. Default:
	// nothing is bounded.
	Attempts actors.Rate

	// Exempt are the networks whose addresses may ask as often as they like.
	Exempt []netip.Prefix

	// Proxies are the networks of proxies. What they pass on counts for the last address in
	// X-Forwarded-For that is none of theirs, which is also what operators are shown; without one
	// it counts for the proxy.
	Proxies []netip.Prefix

	// AllowOrigins are the origins, besides the server's own, whose pages may
	// connect, each as a browser sends it: https://example.org. Requests without
	// an Origin come from no browser and always may.
	AllowOrigins []string

	// TLS is for listeners whose connections are encrypted; its NextProtos are http/1.1, for
	// WebSockets begin with that. Default: they are not.
	TLS *tls.Config

	// Identity verifies the tokens of those who connect. Default: nobody has to prove who
	// they are, and the path says it.
	Identity *identity.Verifier

	// TokenGrace is how long a session goes on after its token has expired; it ends with
	// token_expired up to protocol.PingInterval later than that. Default 30 s.
	TokenGrace time.Duration

	// TokenInQuery takes tokens from the parameter token of the URL, too. Proxies log URLs.
	TokenInQuery bool

	// HandshakeTimeout is how long a request's header, and the upgrade, may take.
	// Default protocol.HandshakeTimeout.
	HandshakeTimeout time.Duration

	// IdleTimeout is how long a connection that is no WebSocket is kept between
	// two requests. Default 60 s.
	IdleTimeout time.Duration

	// WriteTimeout is how long a peer may take none of what is sent to it before
	// it is cut: half of it until it is closed as a slow consumer, half for it to
	// see that. Default protocol.WriteTimeout.
	WriteTimeout time.Duration

	// Log takes what happens to connections. Default: nothing is logged.
	Log *slog.Logger
}

// withDefaults fills in what was left zero and checks the rest.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.MaxConnections, 100_000)
	setDefault(&c.MaxPending, 4096)
	setDefault(&c.HandshakeTimeout, protocol.HandshakeTimeout)
	setDefault(&c.IdleTimeout, time.Minute)
	setDefault(&c.WriteTimeout, protocol.WriteTimeout)
	setDefault(&c.TokenGrace, 30*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	var errs []error
	if c.MaxPending < 1 {
		errs = append(errs, fmt.Errorf("MaxPending is %d: give at least 1", c.MaxPending))
	}
	if c.TokenGrace < 0 || c.HandshakeTimeout < 0 || c.IdleTimeout < 0 || c.WriteTimeout < 0 {
		errs = append(errs, errors.New("a timeout is negative: give a positive one"))
	}
	live := c.live()
	return c, errors.Join(append(errs, live.validate())...)
}

// live is what of it can change.
func (c Config) live() Live {
	return Live{
		MaxConnections: c.MaxConnections, AllowOrigins: c.AllowOrigins, MaxPending: c.MaxPending,
		Attempts: c.Attempts, Exempt: c.Exempt, Proxies: c.Proxies,
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
