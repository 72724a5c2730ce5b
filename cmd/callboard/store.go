package main

import (
	"log/slog"
	"time"

	"github.com/spf13/pflag"

	"callboard/actors/inbox"
	"callboard/actors/inbox/memory"
	"callboard/actors/inbox/pebble"
)

// storeOptions are the flags that say where inboxes are kept, and for how long.
type storeOptions struct {
	kind             string
	data             string
	retentionAge     time.Duration
	retentionEntries int
	cacheMiB         int
	memTableMiB      int
	memoryMiB        int
}

func (o *storeOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.kind, "store", "pebble", "where inboxes are kept: pebble (on disk) or memory (a pure relay: nothing survives the process)")
	f.StringVar(&o.data, "data", "./callboard-data", "directory of the pebble store")
	f.DurationVar(&o.retentionAge, "retention-age", 30*24*time.Hour, "how long a message is kept (pebble)")
	f.IntVar(&o.retentionEntries, "retention-entries", 100_000, "how many messages of one inbox are kept that some device has fetched (pebble)")
	f.IntVar(&o.cacheMiB, "store-cache", 64, "memory for what is read from the store, in MiB (pebble)")
	f.IntVar(&o.memTableMiB, "store-memtable", 32, "memory for what is new before it becomes a file, in MiB, 1 to 1024; up to four times as much while the disk is behind (pebble)")
	f.IntVar(&o.memoryMiB, "store-memory", memory.DefaultMaxBytes>>20, "memory that all inboxes may take, in MiB; what goes beyond it is refused as storage_full (memory)")
}

// maxMemoryMiB is 1 TiB: more is a slip of the hand.
const maxMemoryMiB = 1 << 20

// store is an inbox.Store with its end.
type store interface {
	inbox.Store
	Close() error
}

// open opens the store that the flags name.
func (o *storeOptions) open(logger *slog.Logger) (store, error) {
	switch {
	case o.kind == "memory" && (o.memoryMiB < 1 || o.memoryMiB > maxMemoryMiB):
		return nil, misused("--store-memory is %d: give 1 to %d", o.memoryMiB, maxMemoryMiB)
	case o.kind == "memory":
		return memory.New(memory.Config{MaxBytes: int64(o.memoryMiB) << 20}), nil
	case o.kind != "pebble":
		return nil, misused("--store %q: give pebble or memory", o.kind)
	case o.data == "":
		return nil, misused("--data is empty: give the directory to keep inboxes in")
	case o.retentionAge < time.Minute:
		return nil, misused("--retention-age is %s: give at least 1m", o.retentionAge)
	case o.retentionEntries < 1:
		return nil, misused("--retention-entries is %d: give at least 1", o.retentionEntries)
	case o.cacheMiB < 1:
		return nil, misused("--store-cache is %d: give at least 1", o.cacheMiB)
	case o.memTableMiB < 1 || o.memTableMiB > 1024:
		return nil, misused("--store-memtable is %d: give 1 to 1024", o.memTableMiB)
	}
	return pebble.Open(o.data, pebble.Config{
		CacheBytes: int64(o.cacheMiB) << 20, MemTableBytes: int64(o.memTableMiB) << 20,
		RetentionAge: o.retentionAge, RetentionEntries: o.retentionEntries,
		Log: logger,
	})
}
