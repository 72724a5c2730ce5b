package memory

import (
	"fmt"

	"callboard/actors/inbox"
)

// DefaultMaxBytes is the default of Config.MaxBytes.
const DefaultMaxBytes = 256 << 20

// Remembered is how many messages of a user Find still knows after they went.
const Remembered = 128

// Config says what a Store may cost. The zero Config has the defaults.
type Config struct {
	// MaxBytes is how much memory all inboxes together may take, in bytes, about:
	// messages, users and devices are counted with what they cost besides their
	// strings. A Commit that would go beyond it is answered with inbox.ErrFull, and so is
	// the empty batch while there is no room for the longest message.
	// 0 means DefaultMaxBytes.
	MaxBytes int64

	// RetentionEntries is how many messages of one inbox are kept, of those that some
	// device of the user has and another has not. 0 means 10,000.
	RetentionEntries int

	// Epoch is the State.Epoch of all inboxes, for tests that want a certain one.
	// 0 means another one for each Store: what it numbers ends with it.
	Epoch uint32
}

// validate fills in the defaults. A limit below 1 is a fault of the program.
func (c *Config) validate() {
	if c.MaxBytes < 0 {
		panic(fmt.Sprintf("memory.Config.MaxBytes is %d: give a number of bytes, or 0 for the default", c.MaxBytes))
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.RetentionEntries < 0 {
		panic(fmt.Sprintf("memory.Config.RetentionEntries is %d: give a number, or 0 for the default", c.RetentionEntries))
	}
	if c.RetentionEntries == 0 {
		c.RetentionEntries = 10_000
	}
	if c.Epoch == 0 {
		c.Epoch = inbox.NewEpoch(0)
	}
}

// What things cost in memory besides their strings, in bytes: measured by
// TestIdleUserCostsLittle, and rounded up.
const (
	userCost   = 160
	deviceCost = 48
	entryCost  = 192 // the message, its place in the inbox, and its place in the index of ids
)
