package pebble

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// database is Pebble behind a fence. When the fence has fallen it can still be read, and a
// new one has to take its place.
type database struct {
	*pebble.DB

	fence   *fence
	pacer   *pacer
	version uint64 // of the layout, as the disk has it; written under the Store's commit
	epoch   uint32 // of all inboxes; 0 in one that is read only and was never opened to be written to
}

// openDatabase opens what the disk has, or creates it. The caller holds the lock.
func openDatabase(dir string, lock *pebble.Lock, c *Config) (d *database, err error) {
	fence := newFence(c.FS, func(f *fall) {
		c.Log.Error("the disk failed; nothing is confirmed until it works again",
			slog.String("dir", dir), slog.String("what", f.what), slog.Any("error", f.err))
	})
	defer func() {
		if r := recover(); r != nil { // Pebble's, where the files contradict each other
			d, err = nil, fmt.Errorf("%v", r)
		}
	}()
	pacer := &pacer{memtable: uint64(c.MemTableBytes)}
	pacer.hurry.Store(true)
	db, err := pebble.Open(dir, options(fence, pacer, lock, c))
	if err != nil {
		return nil, err
	}
	d = &database{DB: db, fence: fence, pacer: pacer}
	if fall := fence.fallen.Load(); fall != nil {
		_ = d.close()
		return nil, fall.error()
	}
	fence.waiting.Store(true)
	pacer.level0.Store(db.Metrics().Levels[0].TablesSize)
	pacer.hurry.Store(false)
	return d, nil
}

func (f *fall) error() error { return fmt.Errorf("%s: %w", f.what, f.err) }

// broken returns why nothing reaches the disk any more, or nil.
func (d *database) broken() error {
	if f := d.fence.fallen.Load(); f != nil {
		return f.error()
	}
	return nil
}

// write applies a batch, and returns when it is on the disk. After an error nobody knows
// whether it is.
func (d *database) write(b *pebble.Batch) error {
	err := d.Apply(b, pebble.Sync)
	if err == nil {
		err = d.broken() // to Pebble it was a success
	}
	if err != nil {
		return refine(err)
	}
	_ = b.Close() // gives its memory back; it cannot fail
	return nil
}

// scan calls do for the keys from lower up to, but without, upper, until it returns false. Key
// and value are lent to it.
func (d *database) scan(lower, upper []byte, do func(key, value []byte) (more bool, err error)) error {
	iter, err := d.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	err = func() error {
		for ok := iter.First(); ok; ok = iter.Next() {
			value, err := iter.ValueAndErr()
			if err != nil {
				return err
			}
			if more, err := do(iter.Key(), value); err != nil || !more {
				return err
			}
		}
		return iter.Error()
	}()
	return errors.Join(err, iter.Close())
}

// close closes the database. Nobody may be reading.
func (d *database) close() error {
	d.pacer.hurry.Store(true)
	d.fence.end()
	if err := d.Close(); err != nil {
		return err
	}
	return d.broken()
}

// options bounds what Pebble takes. Besides the cache and the memtables that are the
// compactions, one for each half of two cores, and 500 open files: a store of
// 100 GB has about 1,500, of which reads want a few at a time.
func options(fence *fence, pacer *pacer, lock *pebble.Lock, c *Config) *pebble.Options {
	o := &pebble.Options{
		FS:       fence,
		Lock:     lock,
		ReadOnly: c.ReadOnly,
		Logger:   logger{log: c.Log, fence: fence},

		FormatMajorVersion: pebble.FormatNewest,

		// Pebble takes what its memtables hold from its cache: with a cache no larger than
		// they are, a busy store has none, and each lookup of an id reads whole filters.
		CacheSize:                   c.CacheBytes + memTables*c.MemTableBytes,
		MemTableSize:                uint64(c.MemTableBytes),
		MemTableStopWritesThreshold: memTables,
		MaxOpenFiles:                500,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },

		// What is new is merged seldom and in large pieces: nearly all reads are of what
		// is newest, and merging early took a third of the processor time of a message.
		// Commits are stopped late, since one that stands still stands in everybody's way.
		L0CompactionThreshold: level0Compaction,
		LBaseMaxBytes:         512 << 20,
		L0StopWritesThreshold: 1000,

		// A sync of the log is what commits wait for. Syncing parts of it before would
		// only be in the way; Pebble preallocates log files and uses them again, so that a
		// sync need not write the file system's journal.
		WALBytesPerSync: 0,
	}
	for i := range o.Levels {
		// Ten bits for each key: in a hundred lookups of an unknown id one reads a block.
		o.Levels[i].FilterPolicy = pacedFilter{bloom.FilterPolicy(10), pacer}
		o.Levels[i].FilterType = pebble.TableFilter
	}
	o.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) {
			if fence.fallen.Load() == nil { // after the fall there will be many, and they mean nothing
				c.Log.Warn("work in the background failed", slog.Any("error", err))
			}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			if fence.fallen.Load() == nil {
				c.Log.Error("a file is corrupt; look at it with 'callboard inbox verify'",
					slog.String("file", info.Path), slog.Any("error", info.Details))
			}
		},
		CompactionEnd:   pacer.compactionEnds,
		FlushBegin:      pacer.flushBegins,
		FlushEnd:        pacer.flushEnds,
		WriteStallBegin: func(pebble.WriteStallBeginInfo) { fence.stall(true); pacer.commitsWait() },
		WriteStallEnd:   func() { fence.stall(false) },
	}
	return o
}

// logger takes Pebble's log. What it writes of its own accord is for somebody who
// looks for a fault in Pebble.
type logger struct {
	log   *slog.Logger
	fence *fence
}

// Infof implements pebble.Logger, as do the methods below.
func (l logger) Infof(format string, args ...any) {}

// Errorf tells of trouble that Pebble gets over by itself.
func (l logger) Errorf(format string, args ...any) {
	l.log.Warn("pebble", slog.String("text", fmt.Sprintf(format, args...)))
}

// Fatalf is called where Pebble would have the process exit. The fence falls instead, so
// that nothing that follows from it reaches the disk.
func (l logger) Fatalf(format string, args ...any) {
	l.fence.fall("pebble", fatal(fmt.Sprintf(format, args...)))
}

// fatal is what Pebble would have ended the process for.
type fatal string

func (f fatal) Error() string { return string(f) }

// makeDirectory creates a directory that survives a power loss.
func makeDirectory(fs vfs.FS, dir string) error {
	var missing []string
	for d := dir; ; d = fs.PathDir(d) {
		if _, err := fs.Stat(d); err == nil || fs.PathDir(d) == d {
			break
		}
		missing = append(missing, d)
	}
	if len(missing) == 0 {
		return nil
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, made := range missing {
		if err := syncDirectory(fs, fs.PathDir(made)); err != nil {
			return err
		}
	}
	return nil
}

// syncDirectory makes the names in a directory survive a power loss.
func syncDirectory(fs vfs.FS, dir string) error {
	opened, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}
