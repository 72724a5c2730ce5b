package admin

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Access is who is let in. It is replaced as a whole, so that a call sees one or the other.
type Access struct {
	Tokens       []Token
	Certificates []Certificate
}

// Certificate lets those in who come with a client certificate of that name and without a token.
// Whether the certificate is genuine, TLS has seen to by then.
type Certificate struct {
	Name string // the common name, or one of the alternative names
	Role Role
}

func (a *Access) validate() error {
	var errs []error
	if len(a.Tokens) == 0 {
		errs = append(errs, errors.New("there are no Tokens: give one, like NewToken's, or nobody can call"))
	}
	check := func(what, name string, role Role) {
		if name == "" || role < Viewer || role > Admin {
			errs = append(errs, fmt.Errorf("%s %q has the role %d: give it a name, and Viewer, Operator or Admin", what, name, role))
		}
	}
	for _, t := range a.Tokens {
		check("token", t.Name, t.Role)
	}
	for _, c := range a.Certificates {
		check("certificate", c.Name, c.Role)
	}
	return errors.Join(errs...)
}

// Reload lets others in from the next call on. An error changes nothing. Any goroutine may call it.
func (s *Server) Reload(access Access) error {
	if err := access.validate(); err != nil {
		return fmt.Errorf("configuration of the admin API: %w", err)
	}
	s.access.Store(&access)
	return nil
}

// bearer finds who makes a request: by its token or, if it has none, by its certificate.
func (a *Access) bearer(r *http.Request) (Token, bool) {
	if given := r.Header.Get("Authorization"); given != "" {
		scheme, secret, _ := strings.Cut(given, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return Token{}, false
		}
		return bearer(a.Tokens, strings.TrimSpace(secret))
	}
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return Token{}, false
	}
	names := namesOf(r.TLS.VerifiedChains[0][0])
	for _, c := range a.Certificates {
		if slices.Contains(names, c.Name) {
			return Token{Name: c.Name, Role: c.Role}, true
		}
	}
	return Token{}, false
}

// namesOf are the names that a certificate has.
func namesOf(c *x509.Certificate) []string {
	names := append([]string{c.Subject.CommonName}, c.DNSNames...)
	names = append(names, c.EmailAddresses...)
	for _, uri := range c.URIs {
		names = append(names, uri.String())
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
