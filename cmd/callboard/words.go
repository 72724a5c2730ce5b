package main

import (
	"time"

	"github.com/dustin/go-humanize"

	"callboard/cmd/callboard/top"
)

// What numbers are for people. Programs ask for json or yaml, and get them as they are.

// since is how long ago a moment was, which is given in milliseconds.
func since(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return top.Span(time.Since(time.UnixMilli(ms)))
}

// moment is a time in milliseconds, as the log has it, and how long ago or ahead it is.
func moment(ms int64) string {
	if ms == 0 {
		return "-"
	}
	at := time.UnixMilli(ms)
	if ahead := time.Until(at); ahead > 0 {
		return at.UTC().Format(time.RFC3339) + " (in " + top.Span(ahead) + ")"
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
