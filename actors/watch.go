package actors

import (
	"slices"
	"strconv"
	"strings"
)

// MaxWatches bounds those who watch a node at once.
const MaxWatches = 16

// Watch is a stream of the node's events, from System.Watch until Stop. Its Next says how
// many are missing where its reader was too slow.
type Watch struct {
	feed[Event]
	system *System
	filter EventFilter
}

// EventFilter says which events a Watch is about. What it leaves out takes no room. The
// zero filter lets all through.
type EventFilter struct {
	Kinds      []EventKind // any of them; none: all
	UserPrefix string      // users whose id begins so; empty: also events without a user
	Codes      []string    // any of these codes, as words or as close codes; none: all
}

func (f *EventFilter) takes(e *Event) bool {
	return (len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind)) &&
		strings.HasPrefix(string(e.User), f.UserPrefix) &&
		(len(f.Codes) == 0 || slices.ContainsFunc(f.Codes, e.hasCode))
}

func (e *Event) hasCode(code string) bool {
	return code == string(e.Code) && code != "" || e.Close != 0 && code == strconv.Itoa(int(e.Close))
}

// Watch begins to collect the events that the filter lets through. The caller reads them
// with Next and ends it with Stop. With MaxWatches already there the error is
// ErrTooManyStreams.
func (s *System) Watch(filter EventFilter) (*Watch, error) {
	w := &Watch{system: s, filter: filter}
	w.open(s.registryDone, &s.counts.missedEvents)
	if !subscribe(&s.watches, w, 0, MaxWatches) {
		s.HitLimit(CodeTooManyStreams, "", "", ErrTooManyStreams.Reason)
		return nil, ErrTooManyStreams
	}
	return w, nil
}

// Stop ends the watch. It may be called again.
func (w *Watch) Stop() { unsubscribe(&w.system.watches, w, func(*Watch) uint64 { return 0 }) }
