// Package bench loads a Callboard service, measures it and checks its promises.
//
// [Run] drives the workloads that measure: connections with bare frames, so that the
// load generator costs little. Its latencies count from the moment at which a message
// was due, not from the one at which there was time to write it, so that a service
// that stalls cannot hide it (Gil Tene, "How NOT to Measure Latency", 2013:
// coordinated omission). With Config.Check it also compares what was confirmed with
// what was seen; [Ledger] does that.
//
// [Chaos] drives a real service process through the SDK and kills it, again and
// again; [Chronicle] is its checker. [Stall] watches the memory of a service whose
// devices have stopped.
//
// The users of a run have fresh numbers, so that no run meets another's inboxes, or
// those of real users: a random number of 13 digits and those behind it.
package bench
