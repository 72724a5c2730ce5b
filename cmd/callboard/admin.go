package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"callboard/actors"
	"callboard/cmd/callboard/config"
	"callboard/transport"
	"callboard/transport/admin"
)

// adminTokenName is the file that has the admin token.
const adminTokenName = "admin-token"

// openAdmin listens; the listener is nil if there is to be no admin API.
func openAdmin(ctx context.Context, c *config.Config) (net.Listener, error) {
	if c.Admin.Listen == "" {
		return nil, nil //nolint:nilnil // no admin API is no error
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Admin.Listen)
	if err != nil {
		return nil, fmt.Errorf("%w; is another callboard there? --admin gives another address, or with \"\" none", err)
	}
	if err := c.BoundAdmin(listener.Addr()); err != nil {
		_ = listener.Close()
		return nil, misconfigured(err)
	}
	return listener, nil
}

// serveAdmin serves operators until the function is called that it returns.
func serveAdmin(ctx context.Context, r *reloader, system *actors.System, users *transport.Server, o *opened) (end func(), err error) {
	if o.admins == nil {
		return func() {}, nil
	}
	c, logger := &r.loaded.Load().Config, r.log
	path := c.Admin.TokenFile
	if path == "" {
		if path, err = adminTokenPath(c); err != nil {
			return nil, err
		}
	}
	secret, err := admin.LoadSecret(path)
	if err != nil {
		return nil, err
	}
	own := admin.NewToken(adminTokenName, admin.Admin, secret)
	access := accessOf(c, own)
	server, err := admin.New(system, admin.Config{
		Tokens: access.Tokens, Certificates: access.Certificates, TLS: o.certificates.admins,
		Users: users, OpenMetrics: c.Admin.MetricsOpen, Version: buildVersion().String(),
		Drain:    func() time.Duration { return r.loaded.Load().Config.Drain },
		Settings: r.settings, Backup: backupOf(c, o.inboxes), Traces: o.traces.metrics(), Log: logger, Audit: r.audit,
	})
	if err != nil {
		return nil, err
	}
	r.part(func(c *config.Config) error { return server.Reload(accessOf(c, own)) })
	logger.Info("serving operators", slog.String("address", o.admins.Addr().String()), slog.String("token_file", path))
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	done.Go(func() {
		if err := server.Serve(serving, o.admins); err != nil { // users are served all the same
			logger.Error("admin API ended", slog.Any("error", err))
		}
	})
	return func() { stop(); done.Wait() }, nil
}

// accessOf is who the configuration lets in, besides the bearer of the service's own token.
func accessOf(c *config.Config, own admin.Token) admin.Access {
	access := admin.Access{Tokens: []admin.Token{own}}
	for _, t := range c.Admin.Tokens {
		token := admin.Token{Name: t.Name, Role: roles[t.Role]}
		_, _ = hex.Decode(token.Hash[:], []byte(t.SHA256)) // the configuration has checked it
		access.Tokens = append(access.Tokens, token)
	}
	for _, t := range c.Admin.TLS.Roles {
		access.Certificates = append(access.Certificates, admin.Certificate{Name: t.Name, Role: roles[t.Role]})
	}
	return access
}

// roles are the words that the configuration has for them.
var roles = map[string]admin.Role{"viewer": admin.Viewer, "operator": admin.Operator, "admin": admin.Admin}

// adminTokenPath is where the token of a service with this store is.
func adminTokenPath(c *config.Config) (string, error) {
	if c.Store.Kind != "memory" {
		return filepath.Join(c.Data, adminTokenName), nil
	}
	path, err := memoryTokenPath()
	if err != nil {
		return "", fmt.Errorf("%w; name a file with --admin-token-file, or have no admin API with --admin \"\"", err)
	}
	return path, nil
}

// memoryTokenPath is where services without a data directory have their token: they
// share it, as they are of the same user.
func memoryTokenPath() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", errors.New("there is no cache directory to keep the admin token in")
	}
	return filepath.Join(cache, "callboard", adminTokenName), nil
}
