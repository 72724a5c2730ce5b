package transport

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Live is what of a Server can change while it serves.
type Live struct {
	// MaxConnections and AllowOrigins are those of Config. Connections that there are already
	// stay, whatever comes.
	MaxConnections int
	AllowOrigins   []string

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
	s.live.Store(newLive(to))
	return nil
}
