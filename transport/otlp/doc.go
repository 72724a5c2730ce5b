// Package otlp records the traces that messages belong to, and sends them to a collector of
// OpenTelemetry (OTLP over HTTP). A [Tracer] is what the actors tell of a message's hops, which
// are those that an operator's trace shows; here they become three spans of each message:
//
//	admission   from the reader to the receiver's actor, which has given the message its number
//	journal     from there to the commit that holds it
//	delivery    one for each session: from the commit, or from when there was room, to the ACK
//
// All three have the span as their parent that the message's traceparent names: that of the
// sender, or admission where the trace was begun here. So a message that has waited for days is
// delivered in the trace that it was sent in, whatever has been restarted meanwhile.
//
// What is recorded is a share (Live.Sample) of the messages without a traceparent, and those that
// come with one that is sampled; together no more than Live.Rate a second. Nobody on a message's
// road waits for any of it: every queue is bounded, and what has no room is counted and lost.
package otlp
