package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"

	"callboard/cmd/callboard/config"
	"callboard/transport"
	"callboard/transport/identity"
)

// identityKeyName is the file that has the key of development tokens.
const identityKeyName = "identity-key"

// openIdentity makes the verifier; nil if nobody has to prove who they are.
func openIdentity(c *config.Config, logger *slog.Logger) (*identity.Verifier, error) {
	o := &c.Identity
	if !o.Wanted() {
		return nil, nil //nolint:nilnil // that is no error
	}
	verified := identity.Config{Leeway: o.Leeway, Revoked: o.Revoked, RevokedFile: o.RevokedFile, Log: logger}
	if o.Issuer != "" {
		verified.Issuers = append(verified.Issuers, identity.Issuer{Name: o.Issuer, Audiences: o.Audiences, KeyFile: o.Keys, KeyURL: o.JWKS})
	}
	if o.Development {
		path := filepath.Join(c.Data, identityKeyName)
		if _, err := identity.MakeKey(path); err != nil {
			return nil, err
		}
		verified.Issuers = append(verified.Issuers, identity.Development(path))
	}
	return identity.New(verified)
}

// runIdentity keeps the verifier up to date until the function is called that it returns.
func runIdentity(ctx context.Context, r *reloader, verifier *identity.Verifier, server *transport.Server) (end func()) {
	if verifier == nil {
		return func() {}
	}
	// It is the last to be asked, and changes nothing if it refuses.
	r.prepared(func(*config.Config) (commit func(), err error) { return func() {}, verifier.Reload() })
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	done.Go(func() {
		_ = verifier.Run(running, func(revoked *identity.Revoked) { server.CloseRevoked(running, revoked) }) // it returns none
	})
	return func() { stop(); done.Wait() }
}

// sayIdentity says at the start who is let in.
func sayIdentity(c *config.Config, logger *slog.Logger) {
	switch {
	case !c.Identity.Wanted() && c.Loopback():
		logger.Warn("nobody has to prove who they are: whoever reaches this address can speak as any user, so it is loopback only; --identity-issuer asks for tokens")
	case !c.Identity.Wanted():
		logger.Warn("nobody has to prove who they are, and other machines are let in: whoever reaches this address can speak as any user; --identity-issuer asks for tokens")
	case !c.Loopback() && c.TLS.Cert == "":
		logger.Warn("tokens travel as clients send them: let nobody in but through TLS")
	}
	if c.Identity.Development {
		logger.Warn("development tokens are taken: whoever can read the key can sign as anybody", slog.String("key", filepath.Join(c.Data, identityKeyName)))
	}
}
