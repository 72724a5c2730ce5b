package main

import (
	"fmt"
	"io"
	"maps"
	"os"

	"callboard/transport/admin/adminv1"
)

// tally adds up the calls of a broadcast, and shows how far it is.
type tally struct {
	sum   *adminv1.BroadcastResponse
	notes io.Writer
	live  bool // notes is a terminal: a line there is written over and over
	shown bool // there is such a line
}

// counts are those of a sum at a moment.
type counts struct {
	sent    uint64
	refused map[string]uint64
}

func snapshot(sum *adminv1.BroadcastResponse) counts {
	return counts{sum.Sent, maps.Clone(sum.Refused)}
}

// add sets the sum to what there was before a call and what the call has done so far.
func (t *tally) add(before counts, now *adminv1.BroadcastResponse) {
	t.sum.Sent = before.sent + now.Sent
	refused := uint64(0)
	for code, n := range now.Refused {
		t.sum.Refused[code] = before.refused[code] + n
	}
	for _, n := range t.sum.Refused {
		refused += n
	}
	t.sum.Total = max(t.sum.Total, now.Total)
	for _, one := range now.Refusals {
		t.clear()
		_, _ = fmt.Fprintf(t.notes, "%s: refused: %s\n", printable(one.User), printable(one.Code)) // the exit status says it too
	}
	if t.live {
		t.shown = true
		_, _ = fmt.Fprintf(t.notes, "\r\x1b[K%d of %d sent, %d refused", t.sum.Sent, t.sum.Total, refused)
	}
}

// clear removes the line that says how far it is.
func (t *tally) clear() {
	if t.shown {
		t.shown = false
		_, _ = fmt.Fprint(t.notes, "\r\x1b[K")
	}
}

// isTerminal is whether somebody watches.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
