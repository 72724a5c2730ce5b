package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"callboard/actors"
)

// Live is what of a Server can change while it serves.
type Live struct {
	// MaxConnections and AllowOrigins are those of Config. Connections that there are already
	// stay, whatever comes.
	MaxConnections int
	AllowOrigins   []string

	// MaxPending is that of Config. 0: what New was given.
	MaxPending int

	// Attempts, Exempt and Proxies are those of Config.
	Attempts actors.Rate
	Exempt   []netip.Prefix
	Proxies  []netip.Prefix

	// Drain is the time over which the sessions are closed at the end. 0: what Serve was given.
	Drain time.Duration
}

// live is a Live ready for use. Nobody changes one.
type live struct {
	Live
	origins map[string]bool
}

func newLive(from Live) *live {
	l := &live{from, make(map[string]bool, len(from.AllowOrigins))}
	for _, origin := range from.AllowOrigins {
		l.origins[origin] = true
	}
	return l
}

func (l *Live) validate() error {
	var errs []error
	if l.MaxConnections < 1 {
		errs = append(errs, fmt.Errorf("MaxConnections is %d: give at least 1", l.MaxConnections))
	}
	if l.MaxPending < 0 {
		errs = append(errs, fmt.Errorf("MaxPending is %d: give at least 1", l.MaxPending))
	}
	errs = append(errs, l.Attempts.Validate("the field Attempts"))
	if l.Drain < 0 {
		errs = append(errs, errors.New("the field Drain is negative: give a positive time"))
	}
	for _, origin := range l.AllowOrigins {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
			errs = append(errs, fmt.Errorf("origin %q: give scheme and host as a browser sends them, like https://example.org", origin))
		}
	}
	return errors.Join(errs...)
}

// Reload sets other values, for the handshakes and the end to come. An error changes nothing. Any
// goroutine may call it.
func (s *Server) Reload(to Live) error {
	if err := to.validate(); err != nil {
		return fmt.Errorf("configuration of the server: %w", err)
	}
	setDefault(&to.MaxPending, s.config.MaxPending)
	s.live.Store(newLive(to))
	return nil
}
