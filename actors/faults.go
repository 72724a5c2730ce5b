package actors

// WithFaults returns the configuration with a function that every actor calls before
// it handles a message, with its own name and the message. A
// panic in it is a failure of that actor. The second function is told of each message
// that an actor had no case for. Both are for tests: of what outlives a failure, and that
// none is left out. A name is a user's id, "gateway/" and a session's number, "shard/" and its number, "journal",
// "gateway", "registry", "doorkeeper" or "coroner". A function that takes its time makes the actor slow.
// So that a test can be repeated, parked users rest as long as Intensity says, and not about as long,
// and when the number of shards changes users move one by one, so that there is much that comes in between.
func (c Config) WithFaults(fault, unhandled func(actor string, message any)) Config {
	c.hooks = hooks{fault: fault, unhandled: unhandled, exact: true, maxAway: 1}
	return c
}
