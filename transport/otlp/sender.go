package otlp

import (
	"context"
	"log/slog"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// maxBatch is how many spans a request has: with the longest ids less than the 4 MiB that
	// collectors take by default.
	maxBatch = 512

	// batchTime is how long a span waits for others.
	batchTime = time.Second
)

// sender sends spans to the collector, a batch at a time.
type sender struct {
	tracer    *Tracer
	collector *collector
	resource  *resourcepb.Resource
	batch     []*tracepb.Span
	failing   bool
}

func newSender(t *Tracer) *sender {
	resource := &resourcepb.Resource{Attributes: []*commonpb.KeyValue{text("service.name", t.config.Service)}}
	if t.config.Version != "" {
		resource.Attributes = append(resource.Attributes, text("service.version", t.config.Version))
	}
	return &sender{tracer: t, collector: newCollector(&t.config), resource: resource}
}

// run sends until there are no more spans. When the context is done it goes on for the timeout
// at most, with all that it then does.
func (s *sender) run(ctx context.Context) {
	defer s.collector.close()
	until, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(s.tracer.config.Timeout, cancel) })()
	for {
		first, more := <-s.tracer.spans
		if !more {
			return
		}
		s.batch = append(s.batch[:0], first)
		s.gather()
		s.send(until)
	}
}

// gather adds to the batch what comes within the time for it.
func (s *sender) gather() {
	enough := time.NewTimer(batchTime)
	defer enough.Stop()
	for len(s.batch) < maxBatch {
		select {
		case span, more := <-s.tracer.spans:
			if !more {
				return
			}
			s.batch = append(s.batch, span)
		case <-enough.C:
			return
		}
	}
}

// send sends the batch, and counts what became of it.
func (s *sender) send(ctx context.Context) {
	body, err := proto.Marshal(&collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource:   s.resource,
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: &commonpb.InstrumentationScope{Name: "callboard/transport/otlp"}, Spans: s.batch}},
	}}})
	count, rejected := uint64(len(s.batch)), uint64(0)
	if err == nil {
		rejected, err = s.collector.export(ctx, body)
	}
	clear(s.batch) // lets the spans go
	if err != nil {
		rejected = count
	}
	rejected = min(rejected, count)
	s.tracer.counts.failed.Add(rejected)
	s.tracer.counts.exported.Add(count - rejected)
	s.tell(err)
}

// tell says when exports begin to fail, and when they work again.
func (s *sender) tell(err error) {
	switch {
	case err != nil && !s.failing:
		s.tracer.config.Log.Warn("traces not exported; messages are not concerned", slog.Any("error", err))
	case err == nil && s.failing:
		s.tracer.config.Log.Info("traces are exported again")
	}
	s.failing = err != nil
}
