package certificate

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync/atomic"
	"time"
)

// Interval is the time between two looks at the files. They are small, and read whole: unlike the
// time of a change, or a notice of it, that is right for every file system and every way to
// put a file into a place.
const Interval = 5 * time.Second

// Certificate is the certificate of one listener. Any goroutine may use it.
type Certificate struct {
	name      string
	protocols []string
	log       *slog.Logger
	inForce   atomic.Pointer[pair]
}

// Load reads the files for the first time. The name is that of their section in the configuration
// and is in all errors; the protocols are those of the listener (ALPN), the best first. A
// certificate that has expired is taken, and the log says so: whoever checks sees it.
func Load(name string, files Files, protocols []string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{name: name, protocols: protocols, log: log}
	texts, err := files.read(name)
	if err != nil {
		return nil, err
	}
	first, err := files.parse(name, texts, protocols)
	if err != nil {
		return nil, err
	}
	if err := first.dated(name, time.Now()); err != nil {
		log.Error("certificate is of no use", slog.Any("error", err))
	}
	c.inForce.Store(first)
	return c, nil
}

// TLS is the configuration of the listener: every connection gets what is in force when it begins.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: c.protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.inForce.Load().config, nil },
	}
}

// Prepare reads files that are to take the place of those in force, which commit does. An error
// changes nothing.
func (c *Certificate) Prepare(files Files) (commit func(), err error) {
	next, err := c.next(c.inForce.Load(), files)
	if err != nil {
		return nil, err
	}
	return func() {
		if next != nil {
			c.inForce.Store(next)
			c.taken(next)
		}
	}, nil
}

// next is what is in the files; nil if it is in force already.
func (c *Certificate) next(now *pair, files Files) (*pair, error) {
	texts, err := files.read(c.name)
	if err != nil || now.has(files, texts) {
		return nil, err
	}
	next, err := files.parse(c.name, texts, c.protocols)
	if err != nil {
		return nil, err
	}
	if err := next.dated(c.name, time.Now()); err != nil {
		return nil, err
	}
	return next, nil
}

func (c *Certificate) taken(p *pair) {
	c.log.Info("certificate taken", slog.String("section", c.name), slog.String("subject", p.leaf.Subject.String()),
		slog.Time("not_after", p.leaf.NotAfter))
}

// Watch reads the files again and again, until the context is done. What cannot be used is said
// once, and left.
func (c *Certificate) Watch(ctx context.Context) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := c.inForce.Load()
		next, err := c.next(now, now.files)
		switch {
		case err != nil && err.Error() != said:
			said = err.Error()
			c.log.Error("certificate not taken; the one before stays", slog.Any("error", err))
		case err == nil:
			said = ""
			if next != nil && c.inForce.CompareAndSwap(now, next) { // else a reload was quicker
				c.taken(next)
			}
		}
	}
}
