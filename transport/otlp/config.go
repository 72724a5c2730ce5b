package otlp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// Config says where traces go.
type Config struct {
	// Endpoint is the collector's URL. Without a path it is that of OTLP: /v1/traces.
	Endpoint string

	// Headers go with each request.
	Headers http.Header

	// TLS is whom to trust, if the Endpoint begins with https. Default: the system's
	// authorities.
	TLS *tls.Config

	// Service and Version are the names of this service in the traces.
	Service, Version string

	// Timeout is how long an export may take, its repetitions included, and how long Run
	// goes on at the end to send what there is. Default 5 s.
	Timeout time.Duration

	// Live can be changed by Reload.
	Live

	// Log is told when exports begin to fail, and when they work again.
	Log *slog.Logger
}

// Live is what can change while the Tracer runs.
type Live struct {
	// Sample is the share of messages without a traceparent that a trace is begun with, 0 to 1.
	Sample float64

	// Rate is how many messages a second are recorded at most, whoever has begun their traces.
	Rate int

	// Users puts the ids of sender and receiver, the device's name, and the words of refusals,
	// which may name users, into the spans.
	Users bool
}

// tracesPath is where a collector takes traces (OTLP 1.x, OTLP/HTTP Request).
const tracesPath = "/v1/traces"

func (c Config) complete() (Config, error) {
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return c, errors.New("otlp: Endpoint: give a URL, like http://127.0.0.1:4318")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = tracesPath
	}
	c.Endpoint = u.String()
	return c, c.validate()
}

func (l Live) validate() error {
	switch {
	case !(l.Sample >= 0 && l.Sample <= 1):
		return fmt.Errorf("otlp: Sample is %v: give 0 to 1", l.Sample)
	case l.Rate < 1:
		return fmt.Errorf("otlp: Rate is %d: give at least 1", l.Rate)
	}
	return nil
}
