package main

import (
	"log/slog"

	"callboard/actors/inbox"
	"callboard/actors/inbox/memory"
	"callboard/actors/inbox/pebble"
	"callboard/cmd/callboard/config"
)

// store is an inbox.Store with its end.
type store interface {
	inbox.Store
	Close() error
}

// openStore opens the store that the configuration names.
func openStore(c *config.Config, logger *slog.Logger) (store, error) {
	if c.Store.Kind == "memory" {
		return memory.New(memory.Config{MaxBytes: int64(c.Store.Memory) << 20}), nil
	}
	if err := checkBackups(c); err != nil {
		return nil, err
	}
	return pebble.Open(c.Data, pebble.Config{
		CacheBytes: int64(c.Store.Cache) << 20, MemTableBytes: int64(c.Store.MemTable) << 20,
		RetentionAge: c.Retention.Age, RetentionEntries: c.Retention.Entries,
		Log: logger,
	})
}
