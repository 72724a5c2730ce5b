package otlp_test

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// endpoint is a collector: it takes OTLP as any collector does, and remembers.
type endpoint struct {
	*httptest.Server
	mu      sync.Mutex
	spans   []*tracepb.Span
	service string
	headers http.Header
	answer  func(w http.ResponseWriter, request int) (answered bool) // before it takes anything
	calls   []string                                                 // what came, taken or not
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collectorpb.ExportTraceServiceRequest
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" ||
		proto.Unmarshal(body, &request) != nil {
		http.Error(w, "no OTLP", http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, string(body))
	if e.answer != nil && e.answer(w, len(e.calls)) {
		return
	}
	e.headers = r.Header
	for _, resource := range request.ResourceSpans {
		e.service = resource.Resource.Attributes[0].Value.GetStringValue()
		for _, scope := range resource.ScopeSpans {
			e.spans = append(e.spans, scope.Spans...)
		}
	}
}

// number is how many spans have come.
func (e *endpoint) number() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.spans)
}

// wait returns the spans when there are so many, the oldest first.
func (e *endpoint) wait(t *testing.T, count int) []*tracepb.Span {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		e.mu.Lock()
		spans := slices.Clone(e.spans)
		e.mu.Unlock()
		if len(spans) >= count {
			slices.SortFunc(spans, func(a, b *tracepb.Span) int { return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano)) })
			return spans
		}
	}
	t.Fatalf("%d spans have not come", count)
	return nil
}

// value is an attribute of a span; nil if it has none of the name.
func value(s *tracepb.Span, key string) any {
	for _, a := range s.Attributes {
		if a.Key == key {
			switch v := a.Value; {
			case v.GetStringValue() != "":
				return v.GetStringValue()
			case v.GetIntValue() != 0:
				return int(v.GetIntValue())
			default:
				return v.GetBoolValue()
			}
		}
	}
	return nil
}

func trace(s *tracepb.Span) string { return hex.EncodeToString(s.TraceId) }

func parent(s *tracepb.Span) string { return hex.EncodeToString(s.ParentSpanId) }
