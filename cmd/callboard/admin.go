package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/pflag"

	"callboard/actors"
	"callboard/transport/admin"
)

// adminOptions are the flags of serve that have to do with the admin API.
type adminOptions struct {
	listen    string
	tokenFile string
}

// adminTokenName is the file that has the admin token.
const adminTokenName = "admin-token"

func (o *adminOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.listen, "admin", "127.0.0.1:8081", "address of the admin API, host:port; empty for none")
	f.StringVar(&o.tokenFile, "admin-token-file", "", "file of the admin token, made if it is not there (default admin-token in --data)")
}

// check keeps the admin API away from other machines: what is sent to it is not
// encrypted.
func (o *adminOptions) check(insecure bool) error {
	if o.listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return misused("--admin %q: %w; give host:port, like 127.0.0.1:8081", o.listen, err)
	}
	if insecure || isLoopback(host) {
		return nil
	}
	return misused("--admin %s would send the admin token over the network in clear; "+
		"listen on 127.0.0.1 and come by ssh or a proxy with TLS, or give --insecure", o.listen)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// open listens; the listener is nil if there is to be no admin API.
func (o *adminOptions) open(ctx context.Context) (net.Listener, error) {
	if o.listen == "" {
		return nil, nil //nolint:nilnil // no admin API is no error
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return nil, fmt.Errorf("%w; is another callboard there? --admin gives another address, or with \"\" none", err)
	}
	return listener, nil
}

// serveAdmin serves operators until the function is called that it returns.
func (o *serveOptions) serveAdmin(ctx context.Context, system *actors.System, listener net.Listener, logger *slog.Logger) (end func(), err error) {
	if listener == nil {
		return func() {}, nil
	}
	path := o.admin.tokenFile
	if path == "" {
		if path, err = o.store.adminTokenPath(); err != nil {
			return nil, err
		}
	}
	secret, err := admin.LoadSecret(path)
	if err != nil {
		return nil, err
	}
	server, err := admin.New(system, admin.Config{
		Tokens: []admin.Token{admin.NewToken(adminTokenName, admin.Admin, secret)}, Version: buildVersion().String(),
		Settings: o.settings, Log: logger,
	})
	if err != nil {
		return nil, err
	}
	logger.Info("serving operators", slog.String("address", listener.Addr().String()), slog.String("token_file", path))
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	done.Go(func() {
		if err := server.Serve(serving, listener); err != nil { // users are served all the same
			logger.Error("admin API ended", slog.Any("error", err))
		}
	})
	return func() { stop(); done.Wait() }, nil
}

// adminTokenPath is where the token of a service with this store is.
func (o *storeOptions) adminTokenPath() (string, error) {
	if o.kind != "memory" {
		return filepath.Join(o.data, adminTokenName), nil
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
