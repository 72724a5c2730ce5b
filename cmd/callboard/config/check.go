package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"
	"unicode"
)

// checks are those that a setting names with the tag check.
var checks = map[string]func(text string) error{
	"address":         checkAddress,
	"address or none": func(text string) error { return unlessEmpty(text, checkAddress) },
	"origin":          checkOrigin,
	"name":            CheckName,
	"sha256":          checkSHA256,
	"shards":          checkShards,
	"keys":            func(text string) error { return unlessEmpty(text, checkKeys) },
	"collector":       func(text string) error { return unlessEmpty(text, checkCollector) },
	"header":          checkHeader,
	"network":         checkNetwork,
}

func unlessEmpty(text string, check func(string) error) error {
	if text == "" {
		return nil
	}
	return check(text)
}

func checkAddress(text string) error {
	if _, _, err := net.SplitHostPort(text); err != nil {
		return fmt.Errorf("%q: %w; give host:port, like 127.0.0.1:8080", text, err)
	}
	return nil
}

func checkOrigin(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return fmt.Errorf("%q: give scheme and host as a browser sends them, like https://example.org", text)
	}
	return nil
}

// CheckName checks a name for the audit log, whose lines it is to keep apart.
func CheckName(text string) error {
	if text == "" || len(text) > 255 {
		return errors.New("is empty or longer than 255 bytes: give a name")
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%q: give a name of letters that can be printed", text)
		}
	}
	return nil
}

// maxShards is that of actors.MaxShards, which a test compares.
const maxShards = 4096

func checkShards(text string) error {
	if n, err := strconv.Atoi(text); text != AutoShards && text != KeptShards && (err != nil || n < 1 || n > maxShards) {
		return fmt.Errorf("%q: give 1 to %d, %s or %s", text, maxShards, AutoShards, KeptShards)
	}
	return nil
}

// checkKeys checks where keys come from: whoever changes them on the way can be anybody here. It says nothing of
// the URL, which may have a secret.
func checkKeys(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !IsLoopbackHost(u.Hostname())) {
		return errors.New("is no URL that keys may come from: give one with https, like https://login.example.org/jwks.json; http is for this machine")
	}
	return nil
}

func checkNetwork(text string) error {
	if _, err := Network(text); err != nil {
		return fmt.Errorf("%q: give an address or a network, like 10.0.0.7 or 10.0.0.0/8", text)
	}
	return nil
}

// Network reads an address, or a network with the number of its bits.
func Network(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Unmap().Prefix(addr.Unmap().BitLen())
	}
	network, err := netip.ParsePrefix(text)
	return network.Masked(), err
}

func checkSHA256(text string) error {
	if hash, err := hex.DecodeString(text); err != nil || len(hash) != 32 {
		return errors.New("is no SHA-256: give its 64 hexadecimal digits, as 'callboard admin token new' prints them")
	}
	return nil
}

// check is what several settings have to do with each other.
func (l *Loaded) check() (faults FaultError) {
	c := &l.Config
	bad := func(key, problem string, args ...any) {
		faults = append(faults, l.fault(key, fmt.Sprintf(problem, args...)))
	}

	if !c.Insecure && !c.Identity.Wanted() && !c.Loopback() {
		bad("listen", "%s would let other machines in, and anyone there could speak as any user, for no token is asked for; "+
			"ask with identity.issuer, listen on 127.0.0.1 behind a proxy that knows your users, or give --insecure", c.Listen)
	}
	c.Identity.check(bad)
	if !c.Insecure && c.Admin.Listen != "" && c.Admin.TLS.Cert == "" && !isLoopback(c.Admin.Listen) {
		bad("admin.listen", "%s would send the admin token over the network in clear; "+
			"give admin.tls.cert and admin.tls.key, listen on 127.0.0.1 and come by ssh, or give --insecure", c.Admin.Listen)
	}
	c.Supervision.check(bad)
	for prefix, t := range map[string]TLS{"tls": c.TLS, "admin.tls": c.Admin.TLS.TLS} {
		switch {
		case t.Cert != "" && t.Key == "":
			bad(prefix+".cert", "is given and %s.key is not: give both, or none for no TLS", prefix)
		case t.Cert == "" && t.Key != "":
			bad(prefix+".key", "is given and %s.cert is not: give both, or none for no TLS", prefix)
		}
	}
	if c.Admin.TLS.ClientCA != "" && c.Admin.TLS.Cert == "" {
		bad("admin.tls.client-ca", "asks for clients' certificates, which takes TLS: give admin.tls.cert and admin.tls.key too")
	}
	if len(c.Admin.TLS.Roles) > 0 && c.Admin.TLS.ClientCA == "" {
		bad("admin.tls.roles", "are for clients' certificates: give admin.tls.client-ca too")
	}
	if c.Store.Kind == "pebble" && c.Data == "" {
		bad("data", "is empty: give the directory to keep inboxes in")
	}
	if c.Tracing.Endpoint != "" && len(c.Tracing.Headers) > 0 && !c.Insecure && inClear(c.Tracing.Endpoint) {
		bad("tracing.headers", "would go over the network in clear; give a tracing.endpoint with https, or one on 127.0.0.1, or give --insecure")
	}
	seen := make(map[string]bool)
	for i, t := range c.Admin.Tokens {
		if seen[t.Name] {
			bad("admin.tokens", "has two with the name %q (the second is number %d): give each its own, the audit log has them", t.Name, i+1)
		}
		seen[t.Name] = true
	}
	return faults
}

// check tells bad which waits would shrink.
func (s *Supervision) check(bad func(key, problem string, args ...any)) {
	for _, pair := range []struct {
		section, first, longest string
		from, to                time.Duration
	}{
		{"", "park", "max-park", s.Park, s.MaxPark},
		{"", "retry-after", "max-retry-after", s.RetryAfter, s.MaxRetryAfter},
		{"registry.", "park", "max-park", s.Registry.Park, s.Registry.MaxPark},
		{"shard.", "park", "max-park", s.Shard.Park, s.Shard.MaxPark},
		{"gateway.", "park", "max-park", s.Gateway.Park, s.Gateway.MaxPark},
		{"doorkeeper.", "park", "max-park", s.Doorkeeper.Park, s.Doorkeeper.MaxPark},
		{"coroner.", "park", "max-park", s.Coroner.Park, s.Coroner.MaxPark},
		{"journal.", "park", "max-park", s.Journal.Park, s.Journal.MaxPark},
	} {
		if pair.to < pair.from {
			key := "supervision." + pair.section
			bad(key+pair.longest, "is %s, less than %s, which is %s: give at least that", pair.to, key+pair.first, pair.from)
		}
	}
}

// check tells bad what the settings of tokens have to do with each other.
func (i *Identity) check(bad func(key, problem string, args ...any)) {
	for _, part := range []struct {
		key   string
		given bool
	}{{"revoked", len(i.Revoked) > 0}, {"revoked-file", i.RevokedFile != ""}, {"query-token", i.QueryToken}} {
		if part.given && !i.Wanted() {
			bad("identity."+part.key, "is for tokens, and none is asked for: give identity.issuer too")
		}
	}
	if !i.issued() {
		return
	}
	const remedy = "an issuer needs identity.issuer, identity.audiences, and one of identity.jwks and identity.keys"
	switch {
	case i.Issuer == "" && len(i.Audiences) > 0:
		bad("identity.audiences", "is given and identity.issuer is not: "+remedy)
	case i.Issuer == "" && i.JWKS != "":
		bad("identity.jwks", "is given and identity.issuer is not: "+remedy)
	case i.Issuer == "":
		bad("identity.keys", "is given and identity.issuer is not: "+remedy)
	case len(i.Audiences) == 0:
		bad("identity.issuer", "is given and identity.audiences is not: "+remedy)
	case i.JWKS == "" && i.Keys == "":
		bad("identity.issuer", "has no keys: "+remedy)
	case i.JWKS != "" && i.Keys != "":
		bad("identity.jwks", "is given and identity.keys too: "+remedy)
	}
}

// fault is one with the value of a key, wherever that comes from.
func (l *Loaded) fault(key, problem string) Fault {
	at := l.origins[key]
	switch {
	case at.file != "":
		return Fault{File: at.file, Line: at.line, Key: key, Problem: problem}
	case at.name != "":
		return Fault{Key: at.name, Problem: problem}
	}
	return Fault{Key: key, Problem: problem}
}

// BoundUsers checks where users can come from in the end: the name that was given for this machine may lead
// elsewhere.
func (c *Config) BoundUsers(at net.Addr) error {
	if c.Insecure || c.Identity.Wanted() {
		return nil
	}
	return bound("listen", c.Listen, at)
}

// BoundAdmin is BoundUsers for operators.
func (c *Config) BoundAdmin(at net.Addr) error {
	if c.Insecure || c.Admin.TLS.Cert != "" {
		return nil
	}
	return bound("admin.listen", c.Admin.Listen, at)
}

func bound(key, given string, at net.Addr) error {
	if tcp, ok := at.(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		return nil
	}
	return FaultError{{Key: key, Problem: fmt.Sprintf("%s is %s here, which other machines can reach; give the address 127.0.0.1", given, at)}}
}

// Loopback is whether users come from this machine alone.
func (c *Config) Loopback() bool { return isLoopback(c.Listen) }

func isLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address) // checkAddress has looked at it
	return IsLoopbackHost(host)
}

// IsLoopbackHost is whether a host is this machine: localhost, or an address of its loopback.
func IsLoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
