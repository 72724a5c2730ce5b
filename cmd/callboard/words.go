package main

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// What numbers are for people. Programs ask for json or yaml, and get them as they are.

// since is how long ago a moment was, which is given in milliseconds.
func since(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return span(time.Since(time.UnixMilli(ms)))
}

// span is a time, with the two units that matter.
func span(d time.Duration) string {
	d = max(0, d).Truncate(time.Second)
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return d.String()
}

// moment is a time in milliseconds, as the log has it, and how long ago or ahead it is.
func moment(ms int64) string {
	if ms == 0 {
		return "-"
	}
	at := time.UnixMilli(ms)
	if ahead := time.Until(at); ahead > 0 {
		return at.UTC().Format(time.RFC3339) + " (in " + span(ahead) + ")"
	}
	return at.UTC().Format(time.RFC3339) + " (" + since(ms) + " ago)"
}

// size is a number of bytes.
func size(bytes uint64) string { return humanize.IBytes(bytes) }

// count is a number that may be large.
func count(n uint64) string { return humanize.Comma(int64(min(n, 1<<62))) }

// dash stands for a word that is empty.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}
