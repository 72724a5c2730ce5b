package main_test

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"callboard/protocol"
	"callboard/transport/client"
)

const (
	sampled   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unsampled = "00-11111111111111111111111111111111-2222222222222222-00"
)

// otlpCollector takes spans as any collector does.
type otlpCollector struct {
	url   string
	mu    sync.Mutex
	spans []*tracepb.Span
	text  string // all that came
}

func newOTLPCollector(t *testing.T) *otlpCollector {
	t.Helper()
	c, server := unstartedCollector()
	server.Start()
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// newSecureCollector is one with TLS, and the file of the authority to trust.
func newSecureCollector(t *testing.T) (c *otlpCollector, ca string) {
	t.Helper()
	c, server := unstartedCollector()
	server.StartTLS()
	t.Cleanup(server.Close)
	c.url, ca = server.URL, filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	return c, ca
}

func unstartedCollector() (*otlpCollector, *httptest.Server) {
	c := &otlpCollector{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collectorpb.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &request) != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Key") != "s3cret" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.text += request.String()
		for _, resource := range request.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of those who do not trust it
	return c, server
}

// take returns the spans since the last time, in the order in which they began.
func (c *otlpCollector) take() []*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	spans := c.spans
	c.spans = nil
	slices.SortStableFunc(spans, func(a, b *tracepb.Span) int { return cmp.Compare(a.StartTimeUnixNano, b.StartTimeUnixNano) })
	return spans
}

// wantStages checks that the spans are those of one message, one behind the other, in the trace.
func wantStages(t *testing.T, spans []*tracepb.Span, traceparent string, names ...string) {
	t.Helper()
	var found []string
	last := uint64(0)
	for _, s := range spans {
		found = append(found, s.Name)
		if hex.EncodeToString(s.TraceId) != traceparent[3:35] || hex.EncodeToString(s.ParentSpanId) != traceparent[36:52] {
			t.Errorf("%s is not below %s: %v", s.Name, traceparent, s)
		}
		if s.StartTimeUnixNano < last || s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("%s is from %d to %d, and the one before to %d", s.Name, s.StartTimeUnixNano, s.EndTimeUnixNano, last)
		}
		last = s.EndTimeUnixNano
	}
	if !slices.Equal(found, names) {
		t.Errorf("the spans are %v, want %v", found, names)
	}
}

func dialUser(t *testing.T, url string, user protocol.UserID) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), url, user, client.Config{Device: "phone"})
	must(t, err)
	return c
}

// receiveOne takes one message and acknowledges it.
func receiveOne(t *testing.T, c *client.Client) *client.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for m, err := range c.Messages(ctx) {
		must(t, err)
		m.Ack()
		return m
	}
	return nil
}

// stop ends a service in order; it has flushed its spans then.
func stop(t *testing.T, service *process) {
	t.Helper()
	service.signal(syscall.SIGTERM)
	service.ends(0)
}

// A message is in its sender's trace when it is delivered at once, and when its receiver comes
// after a restart of the service.
func TestTracesOfARealServiceReachACollector(t *testing.T) {
	collector := newOTLPCollector(t)
	data := t.TempDir()
	args := []string{
		"--data", data, "--drain", "50ms", "--tracing-endpoint", collector.url, "--tracing-headers", "[x-key=s3cret]",
		"--tracing-sample", "0", "--log-level", "debug",
	}
	service, url := serve(t, args...)
	alice, bob := dialUser(t, url, "alice"), dialUser(t, url, "bob")
	for _, traceparent := range []string{sampled, unsampled, "", "see you"} {
		_, err := alice.Send(t.Context(), "bob", "private words", client.WithTraceparent(traceparent))
		must(t, err)
		want := traceparent
		if traceparent == "see you" {
			want = ""
		}
		if m := receiveOne(t, bob); m.Traceparent != want {
			t.Errorf("bob has %q, want %q", m.Traceparent, want)
		}
	}
	must(t, bob.Close(t.Context()))
	stop(t, service)
	wantStages(t, collector.take(), sampled, "admission", "journal", "delivery")

	service, url = serve(t, args...)
	alice = dialUser(t, url, "alice")
	_, err := alice.Send(t.Context(), "bob", "private words", client.WithTraceparent(sampled))
	must(t, err)
	stop(t, service)
	wantStages(t, collector.take(), sampled, "admission", "journal")

	service, url = serve(t, args...)
	bob = dialUser(t, url, "bob")
	if m := receiveOne(t, bob); m.Traceparent != sampled {
		t.Errorf("after a restart bob has %q", m.Traceparent)
	}
	must(t, bob.Close(t.Context()))
	stop(t, service)
	wantStages(t, collector.take(), sampled, "delivery")

	for _, text := range []string{"private words", "alice", "bob", "phone"} {
		if strings.Contains(collector.text, text) {
			t.Errorf("the collector is told %q", text)
		}
	}
	if log := service.stderr.String(); strings.Contains(log, "s3cret") {
		t.Error("the log has the header")
	}
}

func TestTraceIsBegunBySampleAndReloads(t *testing.T) {
	collector := newOTLPCollector(t)
	file := filepath.Join(t.TempDir(), "callboard.yaml")
	write := func(sample, more string) {
		must(t, os.WriteFile(file, []byte("tracing:\n  endpoint: "+collector.url+"\n  headers: [x-key=s3cret]\n  sample: "+sample+"\n"+more), 0o600))
	}
	write("1", "")
	service, url, caller := serveWithAdmin(t, "--config", file, "--drain", "50ms")
	alice, bob := dialUser(t, url, "alice"), dialUser(t, url, "bob")
	_, err := alice.Send(t.Context(), "bob", "hello")
	must(t, err)
	begun := receiveOne(t, bob).Traceparent
	if len(begun) != 55 {
		t.Fatalf("bob has %q", begun)
	}

	write("0", "  service: other\n")
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `configuration needs a restart.*key=tracing.service`)
	service.stderr.has(t, `configuration reloaded`)
	_, err = alice.Send(t.Context(), "bob", "hello")
	must(t, err)
	if m := receiveOne(t, bob); m.Traceparent != "" {
		t.Errorf("with a sample of nothing bob has %q", m.Traceparent)
	}

	// An operator's program says its span in the header, as for any call.
	token, err := os.ReadFile(filepath.Join(caller[3], "admin-token"))
	must(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, caller[1]+"/callboard.admin.v1.AdminService/Send",
		strings.NewReader(`{"receiver":"bob","content":"from above"}`))
	must(t, err)
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("traceparent", sampled)
	answer, err := http.DefaultClient.Do(request)
	must(t, err)
	answer.Body.Close()
	if m := receiveOne(t, bob); answer.StatusCode != http.StatusOK || m.Traceparent != sampled {
		t.Errorf("%s, and bob has %q", answer.Status, m.Traceparent)
	}
	must(t, bob.Close(t.Context()))
	stop(t, service)

	spans := collector.take()
	if len(spans) != 6 {
		t.Fatalf("%d spans: %v", len(spans), spans)
	}
	first := spans[0]
	if hex.EncodeToString(first.SpanId) != begun[36:52] || len(first.ParentSpanId) > 0 || first.Name != "admission" {
		t.Errorf("the trace %s begins with %v", begun, first)
	}
	wantStages(t, spans[1:3], begun, "journal", "delivery")
	wantStages(t, spans[3:], sampled, "admission", "journal", "delivery")
}

// A collector that is not there is a line in the log and a metric, and nothing else.
func TestServiceWithoutItsCollectorServesAndEnds(t *testing.T) {
	service, url, caller := serveWithAdmin(t, "--tracing-endpoint", "http://127.0.0.1:1", "--tracing-timeout", "100ms", "--tracing-sample", "1", "--drain", "50ms")
	alice, bob := dialUser(t, url, "alice"), dialUser(t, url, "bob")
	for range 10 {
		_, err := alice.Send(t.Context(), "bob", "hello")
		must(t, err)
		receiveOne(t, bob)
	}
	service.stderr.has(t, `traces not exported`)
	if failed := scrape(t, caller).value(t, "callboard_trace_spans_total", "result", "failed"); failed == 0 {
		t.Error("no span has failed")
	}
	stop(t, service)
	if n := strings.Count(service.stderr.String(), "traces not exported"); n != 1 {
		t.Errorf("it is said %d times", n)
	}
}

func TestTracesAreAsConfigured(t *testing.T) {
	collector, ca := newSecureCollector(t)
	file := filepath.Join(t.TempDir(), "callboard.yaml")
	write := func(live string) {
		must(t, os.WriteFile(file, fmt.Appendf(nil, "tracing:\n  endpoint: %s\n  ca: %s\n  headers: [x-key=s3cret]\n  service: theatre\n  sample: 1\n%s", collector.url, ca, live), 0o600))
	}
	write("  rate: 1000000\n  users: true\n")
	service, url, caller := serveWithAdmin(t, "--config", file, "--drain", "50ms")
	alice, bob := dialUser(t, url, "alice"), dialUser(t, url, "bob")
	const messages = 200 // of three spans each
	send := func() {
		for range messages {
			_, err := alice.Send(t.Context(), "bob", "hello")
			must(t, err)
			receiveOne(t, bob)
		}
	}
	lost := func() float64 { return scrape(t, caller).value(t, "callboard_trace_hops_dropped_total") }
	said := func() string {
		collector.mu.Lock()
		defer collector.mu.Unlock()
		text := collector.text
		collector.text = ""
		return text
	}
	send()
	var spans int
	for limit := time.Now().Add(patience); spans < 3*messages && time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		spans += len(collector.take())
	}
	if spans != 3*messages || lost() != 0 {
		t.Errorf("%d messages have %d spans, and %v hops are lost", messages, spans, lost())
	}
	if text := said(); !strings.Contains(text, "theatre") || !strings.Contains(text, "alice") {
		t.Errorf("the collector is not told the service, or the users: %.500s", text)
	}

	write("  rate: 1\n  users: false\n")
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `configuration reloaded`)
	for limit := time.Now().Add(patience); lost() == 0; {
		if time.Now().After(limit) {
			t.Fatal("with a rate of 1 all is recorded")
		}
		send()
	}
	must(t, bob.Close(t.Context()))
	stop(t, service)
	if text := said(); strings.Contains(text, "alice") || strings.Contains(text, "phone") {
		t.Error("the collector is told users")
	}

	distrustful, url := serve(t, "--tracing-endpoint", collector.url, "--tracing-headers", "[x-key=s3cret]", "--tracing-sample", "1")
	_, err := dialUser(t, url, "alice").Send(t.Context(), "bob", "hello")
	must(t, err)
	distrustful.stderr.has(t, `traces not exported.*certificate`)
}

// A collector takes requests and does not answer: the service gives it the time that is configured, which is less
// than the default.
func TestEndWaitsForTheCollectorAsLongAsConfigured(t *testing.T) {
	asked, quit := make(chan struct{}, 100), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-quit
	}))
	t.Cleanup(func() { close(quit); server.Close() })
	service, url := serve(t, "--tracing-endpoint", server.URL, "--tracing-sample", "1", "--tracing-timeout", "300ms", "--drain", "50ms")
	alice := dialUser(t, url, "alice")
	_, err := alice.Send(t.Context(), "bob", "hello")
	must(t, err)
	select {
	case <-asked:
	case <-time.After(patience):
		t.Fatal("the collector is asked for nothing")
	}
	must(t, alice.Close(t.Context()))
	begun := time.Now()

	stop(t, service)

	if took := time.Since(begun); took >= 5*time.Second {
		t.Errorf("the end took %v", took)
	}
	if log := service.stderr.String(); !strings.Contains(log, "traces not exported") {
		t.Error("it does not say that the collector did not answer")
	}
}
