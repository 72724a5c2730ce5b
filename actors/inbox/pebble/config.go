package pebble

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// memTables is how many of what MemTableBytes says there are at most.
const memTables = 4

// level0Compaction is with how many flushes in level 0 a compaction begins.
const level0Compaction = 8

// Config says where a Store keeps its files, how much memory it may take, and how long
// it keeps messages. The zero Config has the defaults.
type Config struct {
	// FS is the file system; nil means the machine's.
	FS vfs.FS

	// ReadOnly opens a store to look into it, and changes nothing on the disk: Commit is
	// refused, and there is no retention. The directory is locked all the same.
	ReadOnly bool

	// CacheBytes is the size of the cache of blocks read from disk, in bytes. A quarter as much
	// again, 1 GiB at most, says which ids are known, and twice that while it is made anew. 0 means 64 MiB.
	CacheBytes int64

	// MemTableBytes is how much is collected in memory before it becomes a file, in bytes;
	// up to four times as much is in memory while the disk is behind. What of these four is not in
	// use serves as further cache. 0 means 32 MiB.
	MemTableBytes int64

	// RetentionAge is how long a message is kept at most, and how long a device that is past
	// everything left is remembered. 0 means 30 days.
	RetentionAge time.Duration

	// RetentionEntries is how many messages an inbox keeps at most, of those that at least one
	// device of the user has. 0 means 100,000.
	RetentionEntries int

	// RetentionInterval is the time between two rounds of retention. 0 means 10 minutes.
	RetentionInterval time.Duration

	// Log is told of trouble with the disk and of what retention took. nil means nobody is.
	Log *slog.Logger

	// Now is the clock that ages are measured with; nil means time.Now.
	Now func() time.Time

	restoring bool // set by Restore alone, to open what it has copied
}

// complete returns the config with its defaults filled in, or says which field is wrong.
func (c Config) complete() (Config, error) {
	switch {
	case c.CacheBytes < 0:
		return c, fmt.Errorf("CacheBytes is %d: give a number of bytes, or 0 for the default", c.CacheBytes)
	case c.MemTableBytes < 0 || c.MemTableBytes > 1<<30:
		return c, fmt.Errorf("MemTableBytes is %d: give at most 1 GiB, or 0 for the default", c.MemTableBytes)
	case c.RetentionAge < 0:
		return c, fmt.Errorf("RetentionAge is %v: give a duration, or 0 for the default", c.RetentionAge)
	case c.RetentionEntries < 0:
		return c, fmt.Errorf("RetentionEntries is %d: give a number of messages, or 0 for the default", c.RetentionEntries)
	case c.RetentionInterval < 0:
		return c, fmt.Errorf("RetentionInterval is %v: give a duration, or 0 for the default", c.RetentionInterval)
	}
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 64 << 20
	}
	if c.MemTableBytes == 0 {
		c.MemTableBytes = 32 << 20
	}
	if c.RetentionAge == 0 {
		c.RetentionAge = 30 * 24 * time.Hour
	}
	if c.RetentionEntries == 0 {
		c.RetentionEntries = 100_000
	}
	if c.RetentionInterval == 0 {
		c.RetentionInterval = 10 * time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}
