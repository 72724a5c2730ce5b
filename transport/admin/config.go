package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"callboard/transport"
	"callboard/transport/otlp"
)

// Config says who may call and what a call may cost. Zero values take the default.
type Config struct {
	// Tokens are those that are let in. At least one must be given.
	Tokens []Token

	// Certificates are the client certificates that are let in without a token. They count
	// only on connections whose TLS has verified them.
	Certificates []Certificate

	// TLS is for listeners whose connections are encrypted; its NextProtos are h2 and http/1.1.
	// Default: they are not.
	TLS *tls.Config

	// Users is the server of the users' connections, for /metrics; nil if there is none.
	Users *transport.Server

	// Traces says what has become of spans, for /metrics; nil if none are recorded.
	Traces func() otlp.Metrics

	// OpenMetrics has /metrics answer without a token.
	OpenMetrics bool

	// Version is what GetStats and /metrics say was built.
	Version string

	// Settings says how the service is configured, for GetConfig. Default: it is not said.
	Settings func() []Setting

	// Backup copies the inboxes, on the machine's disk and under a name, and says on the way how far it is. It ends
	// with its context, and then leaves nothing. Default: there is nothing to copy.
	Backup func(ctx context.Context, name string, progress func(files, bytes int64)) (Backup, error)

	// Drain is how long a drain takes whose caller does not say. It is asked for each, from any goroutine. Default: 10 s.
	Drain func() time.Duration

	// MaxConnections bounds the connections; one more is closed at once. Default 256.
	MaxConnections int

	// MaxRequestBytes bounds a request, decompressed. Default 256 KiB: the longest
	// message fits, however its JSON is escaped.
	MaxRequestBytes int

	// CallTimeout is the longest that a call takes. Default 10 s.
	CallTimeout time.Duration

	// HeartbeatEvery is the time between two heartbeats of a stream. Default 5 s.
	HeartbeatEvery time.Duration

	// StreamPatience is how long a stream waits for a caller who does not read; then it is
	// cut off. Default 1 min.
	StreamPatience time.Duration

	// MaxTrace is how long a Trace lasts at most. Default 1 h.
	MaxTrace time.Duration

	// HeaderTimeout is how long a request's header may take. Default 5 s.
	HeaderTimeout time.Duration

	// IdleTimeout is how long a connection is kept between two requests. Default 60 s.
	IdleTimeout time.Duration

	// Failures is how many sign-ins may fail from one address at once; each second one
	// more may. Until then the address is refused, unless it has a Generated token. Default 10.
	Failures int

	// Log takes what goes wrong. Default: nothing is logged.
	Log *slog.Logger

	// Audit takes the audit log: who has made which call, and what was refused for the role. Its handler is to let
	// LevelInfo pass, whatever level the service logs at. Default: Log.
	Audit *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	setDefault(&c.MaxConnections, 256)
	setDefault(&c.MaxRequestBytes, 256<<10)
	setDefault(&c.CallTimeout, 10*time.Second)
	setDefault(&c.HeartbeatEvery, 5*time.Second)
	setDefault(&c.StreamPatience, time.Minute)
	setDefault(&c.MaxTrace, time.Hour)
	setDefault(&c.HeaderTimeout, 5*time.Second)
	setDefault(&c.IdleTimeout, time.Minute)
	setDefault(&c.Failures, 10)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	setDefault(&c.Audit, c.Log)
	if c.Drain == nil {
		c.Drain = func() time.Duration { return 10 * time.Second }
	}
	var errs []error
	access := Access{c.Tokens, c.Certificates}
	errs = append(errs, access.validate())
	if c.MaxConnections < 1 || c.MaxRequestBytes < 1 || c.Failures < 1 {
		errs = append(errs, errors.New("MaxConnections, MaxRequestBytes or Failures is negative: give at least 1"))
	}
	if min(c.CallTimeout, c.HeaderTimeout, c.IdleTimeout, c.HeartbeatEvery, c.StreamPatience, c.MaxTrace) < 0 {
		errs = append(errs, errors.New("a timeout is negative: give a positive one"))
	}
	return c, errors.Join(errs...)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
