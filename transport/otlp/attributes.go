package otlp

import (
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"

	"callboard/actors"
)

// attributes say which message it is, with the names of OpenTelemetry's conventions for messaging
// where they have one. Traces go to another service, and often to another company: so no contents
// ever, and users only if the operator wants it.
func attributes(h *actors.Hop, users bool) []*commonpb.KeyValue {
	all := []*commonpb.KeyValue{
		text("messaging.system", "callboard"),
		number("messaging.message.body.size", uint64(h.Size)),
	}
	if h.ID != "" {
		all = append(all, text("messaging.message.id", h.ID))
	}
	if h.Seq != 0 {
		all = append(all, number("callboard.seq", h.Seq))
	}
	if h.Session != 0 {
		all = append(all, number("callboard.session", h.Session))
	}
	if h.Shard >= 0 {
		all = append(all, number("callboard.shard", uint64(h.Shard)))
	}
	if !users {
		return all
	}
	all = append(all, text("callboard.sender", string(h.Sender)), text("callboard.receiver", string(h.Receiver)))
	if h.Device != "" {
		all = append(all, text("callboard.device", h.Device))
	}
	return all
}

func text(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}

func number(key string, value uint64) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: int64(value)}}}
}

func flag(key string, value bool) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: value}}}
}
