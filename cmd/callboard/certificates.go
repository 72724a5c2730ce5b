package main

import (
	"context"
	"crypto/tls"
	"sync"

	"callboard/cmd/callboard/config"
	"callboard/transport/certificate"
)

// certificates are those of the two listeners, watched for changes until the end.
type certificates struct {
	users, admins *tls.Config // nil without TLS
	end           func()
}

// loadCertificates reads what the configuration names, and has reloads replace it.
func loadCertificates(ctx context.Context, r *reloader) (*certificates, error) {
	c := &r.loaded.Load().Config
	watching, stop := context.WithCancel(context.WithoutCancel(ctx)) // sessions are drained with them
	var watchers sync.WaitGroup
	found := &certificates{end: func() { stop(); watchers.Wait() }}
	var err error
	load := func(section string, protocols []string, files func(*config.Config) certificate.Files) *tls.Config {
		if err != nil || files(c).Cert == "" {
			return nil
		}
		var one *certificate.Certificate
		if one, err = certificate.Load(section, files(c), protocols, r.log); err != nil {
			return nil
		}
		r.prepared(func(next *config.Config) (func(), error) { return one.Prepare(files(next)) })
		watchers.Go(func() { one.Watch(watching) })
		return one.TLS()
	}
	found.users = load("tls", []string{"http/1.1"}, func(c *config.Config) certificate.Files {
		return certificate.Files{Cert: c.TLS.Cert, Key: c.TLS.Key}
	})
	found.admins = load("admin.tls", []string{"h2", "http/1.1"}, func(c *config.Config) certificate.Files {
		return certificate.Files{Cert: c.Admin.TLS.Cert, Key: c.Admin.TLS.Key, ClientCA: c.Admin.TLS.ClientCA}
	})
	if err != nil {
		found.end()
		return nil, err
	}
	return found, nil
}
