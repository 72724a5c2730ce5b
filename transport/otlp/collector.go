package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// firstPause is before the first repetition of a request; each further one is twice as long.
	firstPause = 250 * time.Millisecond

	// maxAnswer is how much of an answer is read, in bytes.
	maxAnswer = 64 << 10
)

// collector is the other end: OTLP over HTTP with protobuf, as "OTLP/HTTP" of its
// specification has it.
type collector struct {
	config *Config
	http   *http.Client
}

func newCollector(config *Config) *collector {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: config.TLS, ForceAttemptHTTP2: true,
		MaxIdleConns: 1, IdleConnTimeout: time.Minute,
	}
	return &collector{config, &http.Client{
		Transport: transport,
		// The headers may have secrets, which are for nobody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (c *collector) close() { c.http.CloseIdleConnections() }

// export sends a request, again if that may help, until the timeout. It returns how many of the
// spans the collector did not want.
func (c *collector) export(ctx context.Context, body []byte) (rejected uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	for pause := firstPause; ; pause *= 2 {
		rejected, err = c.post(ctx, body)
		again, ok := errors.AsType[*againError](err)
		if !ok {
			return rejected, err
		}
		select {
		case <-time.After(max(pause, again.after)):
		case <-ctx.Done():
			return 0, err
		}
	}
}

// againError is a failure after which the same request may succeed.
type againError struct {
	after time.Duration // which the collector asks to wait
	cause error
}

func (e *againError) Error() string { return e.cause.Error() }

func (e *againError) Unwrap() error { return e.cause }

func (c *collector) post(ctx context.Context, body []byte) (rejected uint64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.config.Endpoint, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("making a request: %w", err)
	}
	maps.Copy(request.Header, c.config.Headers)
	request.Header.Set("Content-Type", "application/x-protobuf")
	request.Header.Set("User-Agent", "callboard/"+c.config.Version)
	response, err := c.http.Do(request)
	if err != nil {
		return 0, &againError{cause: err}
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch {
	case err != nil:
		return 0, &againError{cause: fmt.Errorf("reading the answer: %w", err)}
	case response.StatusCode/100 == 2:
		return rejectedBy(answer), nil
	}
	err = fmt.Errorf("the collector answers %s", response.Status)
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 16)
		return 0, &againError{after: time.Duration(seconds) * time.Second, cause: err}
	}
	return 0, err
}

// rejectedBy is what an answer says of spans that were not taken.
func rejectedBy(answer []byte) uint64 {
	var response collectorpb.ExportTraceServiceResponse
	if proto.Unmarshal(answer, &response) != nil { // some answer with nothing, or in words
		return 0
	}
	return uint64(max(0, response.GetPartialSuccess().GetRejectedSpans()))
}
