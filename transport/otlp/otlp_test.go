package otlp_test

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/otlp"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	spanID      = "b7ad6b7169203331"
	traceparent = "00-" + traceID + "-" + spanID + "-01"
)

// patience is how long a test waits for what is to happen.
const patience = 20 * time.Second

// run starts a Tracer and returns what ends it and waits for its end.
func run(t *testing.T, config otlp.Config) (tracer *otlp.Tracer, end func()) {
	t.Helper()
	if config.Rate == 0 {
		config.Rate = 1000
	}
	if config.Timeout == 0 {
		config.Timeout = patience
	}
	made, err := otlp.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- made.Run(ctx) }()
	return made, func() {
		t.Helper()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(2 * patience):
			t.Fatal("it does not end")
		}
	}
}

// start is when the messages of these tests come in.
var start = time.UnixMilli(1_700_000_000_000)

// hopOf is a hop of alice's message m1 to bob, so many milliseconds after the first.
func hopOf(kind actors.HopKind, after int) actors.Hop {
	h := actors.Hop{
		At: start.Add(time.Duration(after) * time.Millisecond), Kind: kind, Sender: "alice", Receiver: "bob", ID: "m1",
		Traceparent: traceparent, Size: 5, Shard: 3,
	}
	switch kind {
	case actors.HopRead, actors.HopRouted, actors.HopHeld, actors.HopRefused:
	case actors.HopHanded, actors.HopWritten, actors.HopAcknowledged, actors.HopDropped:
		h.Session, h.Device = 9, "phone"
		fallthrough
	default:
		h.Seq = 7
	}
	return h
}

func tell(tracer *otlp.Tracer, kinds ...actors.HopKind) {
	for i, kind := range kinds {
		tracer.Hop(hopOf(kind, i))
	}
}

var whole = []actors.HopKind{
	actors.HopRead, actors.HopRouted, actors.HopNumbered, actors.HopKept, actors.HopAnswered, actors.HopHanded, actors.HopWritten,
	actors.HopAcknowledged,
}

func TestMessageIsThreeSpansBelowItsSenders(t *testing.T) {
	e := newEndpoint(t)
	tracer, end := run(t, otlp.Config{Endpoint: e.URL, Service: "callboard-test", Headers: http.Header{"X-Key": {"secret"}}})
	tell(tracer, whole...)
	end() // flushes

	spans := e.wait(t, 3)
	if len(spans) != 3 || e.service != "callboard-test" || e.headers.Get("X-Key") != "secret" {
		t.Fatalf("%d spans of %s: %v", len(spans), e.service, spans)
	}
	for i, want := range []struct {
		name       string
		begin, end int
		kind       tracepb.Span_SpanKind
	}{
		{"admission", 0, 2, tracepb.Span_SPAN_KIND_SERVER},
		{"journal", 2, 3, tracepb.Span_SPAN_KIND_INTERNAL},
		{"delivery", 5, 7, tracepb.Span_SPAN_KIND_PRODUCER},
	} {
		s := spans[i]
		at := func(ms int) uint64 { return uint64(start.Add(time.Duration(ms) * time.Millisecond).UnixNano()) }
		if s.Name != want.name || s.Kind != want.kind || s.StartTimeUnixNano != at(want.begin) || s.EndTimeUnixNano != at(want.end) || s.Status != nil {
			t.Errorf("want %+v: %v", want, s)
		}
		if trace(s) != traceID || parent(s) != spanID || len(s.SpanId) != 8 || hex.EncodeToString(s.SpanId) == spanID {
			t.Errorf("it is not below the sender's span: %v", s)
		}
		if value(s, "messaging.message.id") != "m1" || value(s, "messaging.message.body.size") != 5 || value(s, "callboard.seq") != 7 {
			t.Errorf("it does not say which message: %v", s.Attributes)
		}
		if text := s.String(); strings.Contains(text, "alice") || strings.Contains(text, "bob") || strings.Contains(text, "phone") {
			t.Errorf("it names users: %s", text)
		}
	}
	if got := spans[2]; value(got, "callboard.acknowledged") != true || len(got.Events) != 1 || got.Events[0].Name != "written" {
		t.Errorf("delivery: %v", got)
	}
	if m := tracer.Metrics(); m != (otlp.Metrics{Exported: 3}) {
		t.Errorf("%+v", m)
	}
}

func TestUsersAreNamedOnlyIfTheOperatorWantsIt(t *testing.T) {
	e := newEndpoint(t)
	tracer, end := run(t, otlp.Config{Endpoint: e.URL, Live: otlp.Live{Rate: 1000, Users: true}})
	tell(tracer, whole...)
	end()
	if s := e.wait(t, 3)[2]; value(s, "callboard.sender") != "alice" || value(s, "callboard.receiver") != "bob" || value(s, "callboard.device") != "phone" {
		t.Errorf("%v", s.Attributes)
	}
}

func TestRefusalIsTheErrorOfTheSpanThatItEnds(t *testing.T) {
	e := newEndpoint(t)
	tracer, end := run(t, otlp.Config{Endpoint: e.URL})
	refused := hopOf(actors.HopRefused, 1)
	refused.Code, refused.Reason = protocol.CodeInboxFull, "receiver: 100000 messages wait for user bob"
	tracer.Hop(hopOf(actors.HopRead, 0))
	tracer.Hop(refused)
	second := []actors.Hop{hopOf(actors.HopRead, 10), hopOf(actors.HopNumbered, 11), refused}
	second[2].At, second[2].Seq, second[2].Code = start.Add(12*time.Millisecond), 7, protocol.CodeStorageFull
	for _, h := range second {
		tracer.Hop(h)
	}
	end()
	spans := e.wait(t, 3)
	for i, code := range []protocol.ErrorCode{protocol.CodeInboxFull, "", protocol.CodeStorageFull} {
		s := spans[i]
		if failed := s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR; failed != (code != "") || s.GetStatus().GetMessage() != string(code) {
			t.Errorf("%s has %v, want %q", s.Name, s.Status, code)
		}
		if strings.Contains(s.String(), "bob") {
			t.Errorf("the words of the refusal name a user: %v", s)
		}
	}
}

func TestSpanOfATraceThatBeginsHereIsItsFirst(t *testing.T) {
	e := newEndpoint(t)
	tracer, end := run(t, otlp.Config{Endpoint: e.URL, Live: otlp.Live{Rate: 1000, Sample: 1}})
	begun := tracer.Begin()
	if !protocol.IsTraceparent(begun) || !protocol.Sampled(begun) || !tracer.Follows(begun) || begun == tracer.Begin() {
		t.Fatalf("%q", begun)
	}
	for i, kind := range whole {
		h := hopOf(kind, i)
		h.Traceparent, h.Begun, h.ID = begun, kind == actors.HopRead, ""
		tracer.Hop(h)
	}
	end()
	for i, s := range e.wait(t, 3) {
		id, above := hex.EncodeToString(s.SpanId), parent(s)
		if own := begun[36:52]; trace(s) != begun[3:35] || i == 0 && (id != own || above != "") || i > 0 && above != own {
			t.Errorf("%s has %s, below %q", s.Name, id, above)
		}
	}
}

func TestSampleIsAShareOfTheMessages(t *testing.T) {
	tracer, end := run(t, otlp.Config{Endpoint: "http://127.0.0.1:1", Live: otlp.Live{Rate: 1000, Sample: 0.25}})
	defer end()
	count := func() (begun int) {
		for range 10_000 {
			if tracer.Begin() != "" {
				begun++
			}
		}
		return begun
	}
	if n := count(); n < 2200 || n > 2800 {
		t.Errorf("%d of 10000 messages at a quarter", n)
	}
	if err := tracer.Reload(otlp.Live{Rate: 1000}); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 0 {
		t.Errorf("%d of 10000 messages at nothing", n)
	}
	if tracer.Follows(traceparent[:53]+"00") || !tracer.Follows(traceparent) {
		t.Error("what comes sampled is followed, and nothing else")
	}
	if tracer.Reload(otlp.Live{Sample: 2, Rate: 1}) == nil || tracer.Reload(otlp.Live{}) == nil {
		t.Error("a wrong setting is taken")
	}
}

// A client that sends everything sampled gets a bounded part of it, and others theirs.
func TestClientsCannotForceMoreThanTheRate(t *testing.T) {
	e := newEndpoint(t)
	tracer, end := run(t, otlp.Config{Endpoint: e.URL, Live: otlp.Live{Rate: 100, Sample: 1}})
	// send sends a hundred, and returns how many of them are followed.
	send := func() (followed int) {
		for range 100 {
			if traceparent := tracer.Begin(); traceparent != "" {
				for _, kind := range whole {
					h := hopOf(kind, 0)
					h.Traceparent, h.ID = traceparent, traceparent
					tracer.Hop(h)
				}
				followed++
			}
		}
		return followed
	}
	begin, down := time.Now(), false
	for time.Since(begin) < 2*time.Second || (!down || e.number() < 100) && time.Since(begin) < patience {
		followed := 0
		for range 100 { // as many as may be recorded in 100 s
			followed += send()
			time.Sleep(time.Millisecond)
		}
		down = down || followed < 500
	}
	took := time.Since(begin).Seconds()
	end()
	spans := float64(len(e.wait(t, 1)))
	if most := 3 * 100 * (2*took + 1); spans > most {
		t.Errorf("%.0f spans in %.1f s, want %.0f at most", spans, took, most)
	}
	if spans < 100 {
		t.Errorf("%.0f spans: hardly anything is left of what is to be recorded", spans)
	}
	if !down {
		t.Error("most messages are followed: the share does not go down")
	}
}

func TestCollectorThatIsDownCostsNobodyTime(t *testing.T) {
	hangs := newEndpoint(t)
	letGo := make(chan struct{})
	defer close(letGo)
	hangs.answer = func(http.ResponseWriter, int) bool { <-letGo; return true }
	for name, url := range map[string]string{"nobody listens": "http://127.0.0.1:1", "it hangs": hangs.URL} {
		t.Run(name, func(t *testing.T) {
			tracer, end := run(t, otlp.Config{Endpoint: url, Timeout: 300 * time.Millisecond, Live: otlp.Live{Rate: 1_000_000}})
			begin := time.Now()
			for i := range 20_000 {
				for _, kind := range whole {
					h := hopOf(kind, 0)
					h.Seq = uint64(i)
					tracer.Hop(h)
				}
			}
			if took := time.Since(begin); took > patience {
				t.Errorf("20000 messages waited %s for a collector", took)
			}
			begin = time.Now()
			end()
			if took := time.Since(begin); took > patience {
				t.Errorf("the end took %s, and may take the timeout", took)
			}
			if m := tracer.Metrics(); m.Exported > 0 || m.Failed == 0 || m.Dropped+m.Hops == 0 {
				t.Errorf("%+v: what is lost is counted", m)
			}
		})
	}
}

func TestRequestIsRepeatedWhereThatMayHelp(t *testing.T) {
	e := newEndpoint(t)
	e.answer = func(w http.ResponseWriter, call int) bool {
		if call == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return call == 1
	}
	tracer, end := run(t, otlp.Config{Endpoint: e.URL})
	tell(tracer, whole...)
	end()
	if m := tracer.Metrics(); m.Exported != 3 || len(e.calls) < 2 || e.calls[0] != e.calls[1] || repeated(e.calls) != 1 {
		t.Errorf("%+v after %d calls", m, len(e.calls))
	}

	e.answer = func(w http.ResponseWriter, _ int) bool { w.WriteHeader(http.StatusForbidden); return true }
	e.calls = nil
	tracer, end = run(t, otlp.Config{Endpoint: e.URL})
	tell(tracer, whole...)
	end()
	if m := tracer.Metrics(); m.Failed != 3 || repeated(e.calls) != 0 {
		t.Errorf("%+v after %d calls: a refusal is final", m, len(e.calls))
	}
}

// repeated is how many calls are one that came before: spans that come late are in a call of their own.
func repeated(calls []string) int {
	return len(calls) - len(slices.Compact(slices.Sorted(slices.Values(calls))))
}

func TestSecretsDoNotFollowARedirect(t *testing.T) {
	other := newEndpoint(t)
	e := newEndpoint(t)
	e.answer = func(w http.ResponseWriter, _ int) bool {
		w.Header().Set("Location", other.URL+"/v1/traces")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return true
	}
	tracer, end := run(t, otlp.Config{Endpoint: e.URL, Headers: http.Header{"X-Key": {"secret"}}})
	tell(tracer, whole...)
	end()
	if len(other.calls) != 0 || tracer.Metrics().Failed != 3 {
		t.Errorf("the other has %d calls: %+v", len(other.calls), tracer.Metrics())
	}
}

func TestSpansThatTheCollectorDoesNotWantAreCounted(t *testing.T) {
	e := newEndpoint(t)
	e.answer = func(w http.ResponseWriter, call int) bool { // spans that come late are in a call of their own
		if call == 1 {
			_, _ = io.WriteString(w, "\x0a\x02\x08\x01") // partial_success with a rejected span
		}
		return true
	}
	tracer, end := run(t, otlp.Config{Endpoint: e.URL})
	tell(tracer, whole...)
	end()
	if m := tracer.Metrics(); m != (otlp.Metrics{Exported: 2, Failed: 1}) {
		t.Errorf("%+v", m)
	}
}

// What has no end when the service ends is sent as it is; a delivery ends when it was written.
func TestEndSendsWhatIsOpen(t *testing.T) {
	e := newEndpoint(t)
	tracer, end := run(t, otlp.Config{Endpoint: e.URL})
	tell(tracer, whole[:len(whole)-1]...)
	second := hopOf(actors.HopRead, 20)
	second.ID = "m2"
	tracer.Hop(second)
	end()
	spans := e.wait(t, 4)
	if s := spans[2]; s.Name != "delivery" || value(s, "callboard.acknowledged") != false || s.EndTimeUnixNano != uint64(start.Add(6*time.Millisecond).UnixNano()) {
		t.Errorf("%v", s)
	}
	if s := spans[3]; s.Name != "admission" || value(s, "callboard.unfinished") != true {
		t.Errorf("%v", s)
	}
}

func TestConfigurationSaysWhatToGive(t *testing.T) {
	for _, config := range []otlp.Config{
		{Live: otlp.Live{Rate: 1}},
		{Endpoint: "127.0.0.1:4318", Live: otlp.Live{Rate: 1}},
		{Endpoint: "http://127.0.0.1:4318"},
		{Endpoint: "http://127.0.0.1:4318", Live: otlp.Live{Rate: 1, Sample: 1.5}},
	} {
		if _, err := otlp.New(config); err == nil || !strings.Contains(err.Error(), "give") {
			t.Errorf("%+v: %v", config, err)
		}
	}
}
