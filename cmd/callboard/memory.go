package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	headroom     = 32 << 20 // bytes of garbage that are always worth waiting for
	leastPercent = 50       // of what lives, on a node with much to keep
	mostPercent  = 400      // of what lives, on a node with little
)

// paceCollector sets how much garbage may gather before the collector runs, until
// the context is done: 32 MiB, but at least half and at most four times of what
// lives. Go's own rule, as much as lives, collects a relay of few users hundreds
// of times a second, and lets one of many idle users take twice what it needs
// (the W64 and idle rows of README's table). With GOGC set the operator has decided.
func paceCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	last := 100
	for {
		metrics.Read(live)
		if percent := collectorPercent(live[0].Value.Uint64()); percent != last {
			debug.SetGCPercent(percent)
			last = percent
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// collectorPercent is the GOGC for so many live bytes, in steps of ten so that it
// does not change all the time.
func collectorPercent(live uint64) int {
	percent := headroom * 100 / max(live, 1)
	return int(min(max(percent, leastPercent), mostPercent)) / 10 * 10
}
