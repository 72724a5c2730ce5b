package main

import (
	"context"
	"errors"
	"fmt"
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
	if !c.Identity.Wanted() {
		return nil, nil //nolint:nilnil // that is no error
	}
	if c.Identity.Development {
		if _, err := identity.MakeKey(developmentKey(c)); err != nil {
			return nil, err
		}
	}
	verifier, err := identity.New(verified(c, logger))
	return verifier, naming(c, err)
}

// verified is the part of a configuration that says whose tokens are taken.
func verified(c *config.Config, logger *slog.Logger) identity.Config {
	o := &c.Identity
	of := identity.Config{Leeway: o.Leeway, Revoked: o.Revoked, RevokedFile: o.RevokedFile, Log: logger}
	if o.Issuer != "" {
		of.Issuers = append(of.Issuers, identity.Issuer{Name: o.Issuer, Audiences: o.Audiences, KeyFile: o.Keys, KeyURL: o.JWKS})
	}
	if o.Development {
		of.Issuers = append(of.Issuers, identity.Development(developmentKey(c)))
	}
	return of
}

func developmentKey(c *config.Config) string { return filepath.Join(c.Data, identityKeyName) }

// naming puts the setting before an error that names a file.
func naming(c *config.Config, err error) error {
	fault, ok := errors.AsType[*identity.FileError](err)
	switch {
	case !ok:
		return err
	case fault.File == "":
		return fmt.Errorf("identity.revoked: %w", err)
	case fault.File == c.Identity.RevokedFile:
		return fmt.Errorf("identity.revoked-file: %w", err)
	case fault.File == c.Identity.Keys:
		return fmt.Errorf("identity.keys: %w", err)
	}
	return fmt.Errorf("identity.development: %w", err)
}

// runIdentity keeps the verifier up to date until the function is called that it returns.
func runIdentity(ctx context.Context, r *reloader, verifier *identity.Verifier, server *transport.Server) (end func()) {
	if verifier == nil {
		return func() {}
	}
	r.prepared(func(c *config.Config) (commit func(), err error) {
		commit, err = verifier.Prepare(verified(c, r.log))
		return commit, naming(c, err)
	})
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	done.Go(func() {
		_ = verifier.Run(running, func(revoked *identity.Revoked) error { return server.CloseRevoked(running, revoked) }) // it returns none
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
		logger.Warn("development tokens are taken: whoever can read the key can sign as anybody", slog.String("key", developmentKey(c)))
	}
}
