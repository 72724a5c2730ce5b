package actors

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// Config says how a System is built. Zero values take the default.
type Config struct {
	// Store keeps the inboxes. It must be given.
	Store inbox.Store

	// Shards is the number of slices that the users are spread over, 1 to 4,096.
	// Default 16. Scale changes it.
	Shards int

	// AutoScale leaves the number of shards to the service, which begins with Shards and
	// follows the processors and the load, until an operator asks for a number (steering.go).
	AutoScale bool

	// KeepShards is told the number of shards when it has changed, so that the next start
	// is with the same. It may take as long as a disk does, and is called by one goroutine
	// at a time. Default: it is not kept.
	KeepShards func(shards int) error

	// MaxUsers bounds the users of this node who have an actor, each shard taking
	// its part: with so many, one who is only written to gets none and the sender
	// is told unavailable. Who connects gets one always. Default 1,000,000.
	MaxUsers int

	// MaxSessionsPerUser bounds the sessions of one user.
	// Default protocol.MaxSessionsPerUser.
	MaxSessionsPerUser int

	// MaxFrameBytes bounds the frames that clients send, 8 KiB to protocol.MaxFrameBytes, which
	// is the default.
	MaxFrameBytes int

	// Rates bound what clients send in a time. Default: nothing.
	Rates Rates

	// MaxInFlight bounds the sends of one session that wait for their answer.
	// Default protocol.MaxInFlight, 1,048,576 at most.
	MaxInFlight int

	// MaxWaitingBytes bounds what waits in one session for the network to take
	// it. Default protocol.MaxWaitingBytes.
	MaxWaitingBytes int

	// MaxInboxEntries bounds the messages in an inbox that no device of the user has.
	// Default protocol.MaxInboxEntries.
	MaxInboxEntries int

	// MaxInboxBytes bounds their bytes. Default protocol.MaxInboxBytes.
	MaxInboxBytes int

	// MaxBlocked bounds the users who are blocked; each takes about 300 bytes of memory.
	// Default 100,000.
	MaxBlocked int

	// MaxDeadletters bounds the messages that are set aside because their receiver's actor
	// fails on them. With so many the oldest goes. Default 1,000.
	MaxDeadletters int

	// MaxDeadletterBytes bounds their bytes, likewise. Default 16 MiB.
	MaxDeadletterBytes int

	// ForgetDevicesAfter is how long a device must have been away before a new one
	// may take its place when the user has protocol.MaxDevices. Default 30 days.
	ForgetDevicesAfter time.Duration

	// HandshakeTimeout is how long a client may take to say CONNECT.
	// Default protocol.HandshakeTimeout.
	HandshakeTimeout time.Duration

	// IdleAfter is how long a user's actor stays, at least, when the last session
	// has gone; an eighth longer, or up to twice as long for one that comes and goes.
	// Default 10 s.
	IdleAfter time.Duration

	// PingInterval is the time between two pings of a session.
	// Default protocol.PingInterval.
	PingInterval time.Duration

	// CloseTimeout is how long a session waits for the peer's close frame.
	// Default protocol.CloseTimeout.
	CloseTimeout time.Duration

	// StuckAfter is how long an actor may be in one message before that is reported, with
	// the stack of its goroutine. Default 5 s.
	StuckAfter time.Duration

	// Intensity is how often a user's actor may fail before it is parked.
	// Default 3 failures in 10 s, then 100 ms to 30 s.
	Intensity Intensity

	// Supervision is how often the actors of the other levels may fail, and what comes then.
	Supervision Supervision

	// Tracer records the traces that messages belong to. Default: nobody does.
	Tracer Tracer

	// Log takes what happens to sessions and actors. Default: nothing is logged.
	Log *slog.Logger

	hooks hooks // tests only
}

// hooks let tests look at and break what they cannot reach from outside.
type hooks struct {
	fault     func(actor string, message any)          // called before an actor handles a message; may panic
	unhandled func(actor string, message any)          // a message that no actor should get
	deliver   func(protocol.UserID, *protocol.Receive) // called before a user's actor sends a message to a session; may panic
	exact     bool                                     // no rest varies
	cores     func() int                               // processors that there are
	maxAway   int                                      // see maxAway
}

// cores is how many processors there are, also when that changes.
func (c Config) cores() int {
	if c.hooks.cores != nil {
		return c.hooks.cores()
	}
	return runtime.GOMAXPROCS(0)
}

// withDefaults fills in what was left zero and checks the rest.
func (c Config) withDefaults() (Config, error) {
	c.Shards = or(c.Shards, 16)
	c.MaxUsers = or(c.MaxUsers, 1_000_000)
	c.MaxSessionsPerUser = or(c.MaxSessionsPerUser, protocol.MaxSessionsPerUser)
	c.MaxFrameBytes = or(c.MaxFrameBytes, protocol.MaxFrameBytes)
	c.Rates.MaxRefusals = or(c.Rates.MaxRefusals, 1000)
	c.MaxInFlight = or(c.MaxInFlight, protocol.MaxInFlight)
	c.MaxWaitingBytes = or(c.MaxWaitingBytes, protocol.MaxWaitingBytes)
	c.MaxInboxEntries = or(c.MaxInboxEntries, protocol.MaxInboxEntries)
	c.MaxInboxBytes = or(c.MaxInboxBytes, protocol.MaxInboxBytes)
	c.MaxBlocked = or(c.MaxBlocked, 100_000)
	c.MaxDeadletters = or(c.MaxDeadletters, 1000)
	c.MaxDeadletterBytes = or(c.MaxDeadletterBytes, 16<<20)
	c.ForgetDevicesAfter = or(c.ForgetDevicesAfter, 30*24*time.Hour)
	c.HandshakeTimeout = or(c.HandshakeTimeout, protocol.HandshakeTimeout)
	c.IdleAfter = or(c.IdleAfter, 10*time.Second)
	c.PingInterval = or(c.PingInterval, protocol.PingInterval)
	c.StuckAfter = or(c.StuckAfter, 5*time.Second)
	c.CloseTimeout = or(c.CloseTimeout, protocol.CloseTimeout)
	c.Intensity = c.Intensity.withDefaults()
	c.Supervision = c.Supervision.withDefaults()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, c.validate()
}

func (c Config) validate() error {
	var errs []error
	check := func(ok bool, field string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s is %v: give %s", field, value, want))
		}
	}
	check(c.Shards >= 1 && c.Shards <= MaxShards, "Shards", c.Shards, "1 to 4096")
	check(c.Store != nil, "Store", c.Store, "a store, like memory.New's")
	check(c.MaxBlocked > 0, "MaxBlocked", c.MaxBlocked, "at least 1")
	check(c.MaxUsers > 0, "MaxUsers", c.MaxUsers, "at least 1")
	check(c.MaxInFlight > 0 && c.MaxInFlight <= maxMaxInFlight, "MaxInFlight", c.MaxInFlight, fmt.Sprintf("1 to %d", maxMaxInFlight))
	check(c.MaxWaitingBytes >= protocol.MaxFrameBytes, "MaxWaitingBytes", c.MaxWaitingBytes,
		fmt.Sprintf("at least %d, the longest message", protocol.MaxFrameBytes))
	for field, d := range map[string]time.Duration{
		"HandshakeTimeout": c.HandshakeTimeout,
		"IdleAfter":        c.IdleAfter, "PingInterval": c.PingInterval, "CloseTimeout": c.CloseTimeout,
	} {
		check(d >= time.Millisecond, field, d, "at least 1ms")
	}
	return errors.Join(append(errs, c.Intensity.validate(), c.Supervision.validate(), limitsOf(&c).validate())...)
}

// or is v, or the default if v is zero.
func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
