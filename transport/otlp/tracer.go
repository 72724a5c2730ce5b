package otlp

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"callboard/actors"
	"callboard/protocol"
)

const (
	// maxHops is how many hops wait to become spans: with the longest about 2 MB.
	maxHops = 8192

	// maxSpans is how many spans wait for the collector, with those that are being sent.
	maxSpans = 4096
)

// Tracer makes spans of hops and sends them. Any goroutine may call it.
type Tracer struct {
	config   Config
	live     atomic.Pointer[Live]
	throttle *throttle
	hops     chan actors.Hop
	spans    chan *tracepb.Span
	counts   counts
}

var _ actors.Tracer = (*Tracer)(nil)

// counts are totals since the start.
type counts struct{ exported, failed, dropped, hops atomic.Uint64 }

// Metrics is what has become of spans since the start.
type Metrics struct {
	Exported uint64 // that the collector has taken
	Failed   uint64 // that it has refused, or was not there for
	Dropped  uint64 // that there was no room for, as the collector was too slow
	Hops     uint64 // hops that there was no room for: their spans lack something, or are not there
}

// New makes a Tracer. It does nothing until Run.
func New(config Config) (*Tracer, error) {
	config, err := config.complete()
	if err != nil {
		return nil, fmt.Errorf("configuration of the traces: %w", err)
	}
	t := &Tracer{
		config: config, throttle: newThrottle(config.Rate),
		hops: make(chan actors.Hop, maxHops), spans: make(chan *tracepb.Span, maxSpans),
	}
	t.live.Store(&config.Live)
	return t, nil
}

// Reload changes what can change.
func (t *Tracer) Reload(live Live) error {
	if err := live.validate(); err != nil {
		return fmt.Errorf("configuration of the traces: %w", err)
	}
	t.live.Store(&live)
	return nil
}

// Metrics counts.
func (t *Tracer) Metrics() Metrics {
	c := &t.counts
	return Metrics{c.exported.Load(), c.failed.Load(), c.dropped.Load(), c.hops.Load()}
}

// Begin implements actors.Tracer.
func (t *Tracer) Begin() string {
	if sample := t.live.Load().Sample; sample == 0 || rand.Float64() >= sample {
		return ""
	}
	traceparent := newTraceparent()
	if !t.throttle.follows(traceparent) {
		return ""
	}
	return traceparent
}

// newTraceparent names a new trace, and the span that it begins with.
func newTraceparent() string {
	ids := appendID(appendID(appendID(make([]byte, 0, 24))))
	text := make([]byte, 0, protocol.TraceparentBytes)
	text = hex.AppendEncode(append(text, "00-"...), ids[:16])
	text = hex.AppendEncode(append(text, '-'), ids[16:])
	return string(append(text, "-01"...))
}

// Follows implements actors.Tracer.
func (t *Tracer) Follows(traceparent string) bool {
	return protocol.Sampled(traceparent) && t.throttle.follows(traceparent)
}

// Hop implements actors.Tracer.
func (t *Tracer) Hop(hop actors.Hop) {
	if t.throttle.take() {
		select {
		case t.hops <- hop:
			return
		default:
		}
	}
	t.counts.hops.Add(1)
}

// Run makes spans and sends them until the context is done. Then it ends the spans that are open
// and sends what there is, for Config.Timeout at most. One goroutine calls it, once.
func (t *Tracer) Run(ctx context.Context) error {
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() { newSender(t).run(ctx) })
	defer close(t.spans)

	a := newAssembler(func(s *tracepb.Span) {
		select {
		case t.spans <- s:
		default:
			t.counts.dropped.Add(1)
		}
	})
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	expired := time.Now()
	for {
		select {
		case hop := <-t.hops:
			a.hop(&hop, t.live.Load().Users)
		case now := <-ticker.C:
			t.throttle.tick(t.live.Load().Rate)
			if now.Sub(expired) >= expireEvery {
				expired = now
				a.expire(now.Add(-maxOpenTime))
			}
		case <-ctx.Done():
			for len(t.hops) > 0 {
				hop := <-t.hops
				a.hop(&hop, t.live.Load().Users)
			}
			a.expire(time.Now())
			return nil
		}
	}
}
