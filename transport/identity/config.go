package identity

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"time"
)

// Config says whose tokens are taken. Zero values take the default.
type Config struct {
	// Issuers are those whose tokens are taken, 1 to 16.
	Issuers []Issuer

	// Leeway is by how much the clocks of an issuer and of this service may differ, up to
	// 5 min. Default 10 s.
	Leeway time.Duration

	// Revoked are ids of tokens (jti) that are not taken whoever issued them. RevokedFile
	// names a file with one more on each line, which is read again when it changes. Both
	// together have 100,000 at most.
	Revoked     []string
	RevokedFile string

	// Refresh is the time after which the keys of a URL are fetched again. Default 15 min.
	Refresh time.Duration

	// MinRefresh is the time between two attempts because of a token with a key that is
	// not known. Default 10 s.
	MinRefresh time.Duration

	// MaxStale is how long keys count when they cannot be fetched any more. Default 24 h.
	MaxStale time.Duration

	// Poll is how often the files are looked at. Default 2 s.
	Poll time.Duration

	// Log takes what happens to keys. Default: nothing is logged.
	Log *slog.Logger
}

// An Issuer is somebody whose tokens are taken.
type Issuer struct {
	Name      string   // What its tokens have as iss.
	Audiences []string // A token is taken if one of them is in its aud. At least one.

	// KeyFile and KeyURL say where its keys are; one of them must be given. A file has public
	// keys or certificates in PEM, or a JWK or a JWK Set, which may have secrets for HS256.
	// If none of the keys has an id, as in PEM, a token may be signed by any of them, whatever id
	// it names.
	// A URL has a JWK Set and is https, or http on this machine.
	KeyFile string
	KeyURL  string
}

const (
	maxIssuers   = 16
	maxAudiences = 64
	maxLeeway    = 5 * time.Minute
)

// withDefaults fills in what was left zero and checks the rest.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Leeway, 10*time.Second)
	setDefault(&c.Refresh, 15*time.Minute)
	setDefault(&c.MinRefresh, 10*time.Second)
	setDefault(&c.MaxStale, 24*time.Hour)
	setDefault(&c.Poll, 2*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	var errs []error
	if len(c.Issuers) < 1 || len(c.Issuers) > maxIssuers {
		errs = append(errs, fmt.Errorf("there are %d issuers: give 1 to %d", len(c.Issuers), maxIssuers))
	}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		errs = append(errs, fmt.Errorf("the leeway is %s: give 0s to %s", c.Leeway, maxLeeway))
	}
	if min(c.Refresh, c.MinRefresh, c.MaxStale, c.Poll) < time.Millisecond {
		errs = append(errs, errors.New("a time is shorter than a millisecond: give a longer one"))
	}
	for i, issuer := range c.Issuers {
		if slices.ContainsFunc(c.Issuers[:i], func(other Issuer) bool { return other.Name == issuer.Name }) {
			errs = append(errs, fmt.Errorf("issuer %q is given twice", issuer.Name))
		}
		errs = append(errs, issuer.validate())
	}
	return c, errors.Join(errs...)
}

func (i *Issuer) validate() error {
	switch {
	case i.Name == "":
		return errors.New("an issuer has no name: give what its tokens have as iss")
	case len(i.Audiences) == 0 || len(i.Audiences) > maxAudiences || slices.Contains(i.Audiences, ""):
		return fmt.Errorf("issuer %q: give 1 to %d audiences, what its tokens for this service have as aud", i.Name, maxAudiences)
	case (i.KeyFile == "") == (i.KeyURL == ""):
		return fmt.Errorf("issuer %q: give a file of keys or a URL of a JWK Set, one of the two", i.Name)
	case i.KeyURL == "":
		return nil
	}
	u, err := url.Parse(i.KeyURL)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return fmt.Errorf("issuer %q: the URL of its keys must be https, for whoever changes them on the way can be anybody here; http is for this machine", i.Name)
	}
	return nil
}

const localhost = "localhost"

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == localhost || ip != nil && ip.IsLoopback()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
