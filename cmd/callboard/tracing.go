package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"callboard/actors"
	"callboard/cmd/callboard/config"
	"callboard/transport/otlp"
)

// traces records the traces of messages until end is called. The zero traces records none.
type traces struct {
	tracer *otlp.Tracer
	ended  chan error
	cancel context.CancelFunc
}

// startTraces starts what the configuration asks for.
func startTraces(ctx context.Context, r *reloader) (*traces, error) {
	c := &r.loaded.Load().Config.Tracing
	if c.Endpoint == "" {
		return &traces{}, nil
	}
	trust, err := trustOf(c)
	if err != nil {
		return nil, err
	}
	headers := make(http.Header)
	for _, header := range c.Headers {
		name, value, _ := strings.Cut(header, "=") // the configuration has checked it
		headers.Add(name, value)
	}
	tracer, err := otlp.New(otlp.Config{
		Endpoint: c.Endpoint, Headers: headers, TLS: trust, Service: c.Service, Version: buildVersion().String(),
		Timeout: c.Timeout, Live: liveTracing(c), Log: r.log,
	})
	if err != nil {
		return nil, err
	}
	r.part(func(c *config.Config) error { return tracer.Reload(liveTracing(&c.Tracing)) })
	running, cancel := context.WithCancel(context.WithoutCancel(ctx)) // the drain is recorded too
	t := &traces{tracer, make(chan error, 1), cancel}
	go func() { t.ended <- tracer.Run(running) }() // end waits for it
	r.log.Info("recording traces", slog.String("endpoint", c.Endpoint), slog.Float64("sample", c.Sample), slog.Int("rate", c.Rate))
	return t, nil
}

func liveTracing(c *config.Tracing) otlp.Live {
	return otlp.Live{Sample: c.Sample, Rate: c.Rate, Users: c.Users}
}

func trustOf(c *config.Tracing) (*tls.Config, error) {
	if c.CA == "" {
		return nil, nil //nolint:nilnil // the system's authorities are no error
	}
	text, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("tracing.ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("tracing.ca: there is no certificate in %s: give those of the authorities, as PEM", c.CA)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// forActors is nil, and not a nil of some type, if nothing is recorded.
func (t *traces) forActors() actors.Tracer {
	if t.tracer == nil {
		return nil
	}
	return t.tracer
}

// metrics is for the admin API, likewise.
func (t *traces) metrics() func() otlp.Metrics {
	if t.tracer == nil {
		return nil
	}
	return t.tracer.Metrics
}

// end sends what there is, for the timeout at most.
func (t *traces) end() error {
	if t.tracer == nil {
		return nil
	}
	t.cancel()
	return <-t.ended
}
