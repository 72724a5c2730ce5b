package otlp

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"

	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"callboard/actors"
	"callboard/protocol"
)

const (
	// maxOpenTime is how long a span waits for the hop that ends it. What takes longer, as an
	// ACK may, is sent without.
	maxOpenTime = 30 * time.Second

	// expireEvery is how often those are looked for that have waited longer.
	expireEvery = time.Second

	// maxOpen is how many spans wait at once. With more, the new ones are left out.
	maxOpen = 32768

	// maxEvents is how many events a span has.
	maxEvents = 16
)

// An assembler makes spans of hops. It is a function of what it is told: it has no clock and no
// goroutine, and one goroutine calls it.
type assembler struct {
	done func(*tracepb.Span) // takes a span that has ended
	open map[spanKey]*span
}

// spanKey tells the spans that are open from each other. Before a message has its number, its
// sender's name for it is its own; a message without one is told by its trace, which was begun with it.
type spanKey struct {
	stage            stage
	sender, receiver protocol.UserID
	name             string
	seq, session     uint64
}

// stage is which of a message's spans it is.
type stage uint8

const (
	admission stage = iota
	journal
	delivery
)

func (s stage) String() string { return [...]string{"admission", "journal", "delivery"}[s] }

func (s stage) kind() tracepb.Span_SpanKind {
	return [...]tracepb.Span_SpanKind{
		tracepb.Span_SPAN_KIND_SERVER, tracepb.Span_SPAN_KIND_INTERNAL, tracepb.Span_SPAN_KIND_PRODUCER,
	}[s]
}

// span is one that has not ended.
type span struct {
	*tracepb.Span
	began   time.Time
	written time.Time // delivery: when the session has written it
}

func newAssembler(done func(*tracepb.Span)) *assembler {
	return &assembler{done: done, open: make(map[spanKey]*span)}
}

// hop takes the next hop, with or without the names of users.
func (a *assembler) hop(h *actors.Hop, users bool) {
	admitted := admissionKey(h)
	kept := spanKey{stage: journal, receiver: h.Receiver, seq: h.Seq}
	delivered := spanKey{stage: delivery, receiver: h.Receiver, seq: h.Seq, session: h.Session}
	switch h.Kind {
	case actors.HopRead:
		a.begin(admitted, h, users)
	case actors.HopRouted, actors.HopHeld:
		a.event(admitted, h)
	case actors.HopRepeated:
		a.end(admitted, h.At, flag("callboard.repeated", true), number("callboard.seq", h.Seq))
	case actors.HopNumbered:
		a.end(admitted, h.At, number("callboard.seq", h.Seq))
		a.begin(kept, h, users)
	case actors.HopKept:
		a.end(kept, h.At)
	case actors.HopRefused:
		if h.Seq == 0 {
			a.fail(admitted, h, users)
		} else {
			a.fail(kept, h, users)
		}
	case actors.HopHanded:
		a.begin(delivered, h, users)
	case actors.HopWritten:
		if s := a.event(delivered, h); s != nil {
			s.written = h.At
		}
	case actors.HopDropped: // it comes again: it is still in the inbox
		a.end(delivered, h.At, flag("callboard.acknowledged", false), text("callboard.dropped", h.Reason))
	case actors.HopAcknowledged:
		a.end(delivered, h.At, flag("callboard.acknowledged", true))
	case actors.HopAnswered, actors.HopWaiting, actors.HopGone: // between two spans
	}
}

func admissionKey(h *actors.Hop) spanKey {
	k := spanKey{stage: admission, sender: h.Sender, receiver: h.Receiver, name: h.ID}
	if h.ID == "" {
		k.name = h.Traceparent
	}
	return k
}

// begin opens a span.
func (a *assembler) begin(key spanKey, h *actors.Hop, users bool) {
	if s := a.open[key]; s != nil { // sent again before it was answered
		a.finish(key, s, h.At, flag("callboard.unfinished", true))
	}
	if len(a.open) >= maxOpen {
		return
	}
	trace, _ := hex.DecodeString(h.Traceparent[3:35])
	parent, _ := hex.DecodeString(h.Traceparent[36:52])
	s := &tracepb.Span{
		TraceId: trace, ParentSpanId: parent, SpanId: appendID(nil), Flags: 1,
		Name: key.stage.String(), Kind: key.stage.kind(), StartTimeUnixNano: uint64(h.At.UnixNano()),
		Attributes: attributes(h, users),
	}
	if h.Begun {
		s.SpanId, s.ParentSpanId = parent, nil
	}
	a.open[key] = &span{Span: s, began: h.At}
}

// appendID appends 8 random bytes that are not all 0: a span's id, or half of a trace's.
func appendID(b []byte) []byte { return binary.BigEndian.AppendUint64(b, 1+rand.Uint64N(1<<64-1)) }

// event notes a hop on the way, and returns the span.
func (a *assembler) event(key spanKey, h *actors.Hop) *span {
	s := a.open[key]
	if s == nil || len(s.Events) >= maxEvents {
		return s
	}
	e := &tracepb.Span_Event{TimeUnixNano: uint64(h.At.UnixNano()), Name: string(h.Kind)}
	if h.Reason != "" {
		e.Attributes = []*commonpb.KeyValue{text("callboard.reason", h.Reason)}
	}
	s.Events = append(s.Events, e)
	return s
}

// fail ends a span with the code of a refusal. The words of it may name users.
func (a *assembler) fail(key spanKey, h *actors.Hop, users bool) {
	s := a.open[key]
	if s == nil {
		return
	}
	s.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: string(h.Code)}
	more := []*commonpb.KeyValue{text("error.type", string(h.Code))}
	if users && h.Reason != "" {
		more = append(more, text("callboard.reason", h.Reason))
	}
	a.finish(key, s, h.At, more...)
}

// end ends a span, if it is open.
func (a *assembler) end(key spanKey, at time.Time, more ...*commonpb.KeyValue) {
	if s := a.open[key]; s != nil {
		a.finish(key, s, at, more...)
	}
}

func (a *assembler) finish(key spanKey, s *span, at time.Time, more ...*commonpb.KeyValue) {
	delete(a.open, key)
	s.EndTimeUnixNano = max(s.StartTimeUnixNano, uint64(at.UnixNano()))
	s.Attributes = append(s.Attributes, more...)
	a.done(s.Span)
}

// expire ends the spans that were begun before a moment. A delivery without its ACK ends when it
// was written.
func (a *assembler) expire(before time.Time) {
	for key, s := range a.open {
		switch {
		case !s.began.Before(before):
		case !s.written.IsZero():
			a.finish(key, s, s.written, flag("callboard.acknowledged", false))
		default:
			a.finish(key, s, s.began, flag("callboard.unfinished", true))
		}
	}
}
