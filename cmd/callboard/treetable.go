package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"callboard/cmd/callboard/top"
	"callboard/transport/admin/adminv1"
)

func tableOfTree(t *table, tree *adminv1.GetTreeResponse) {
	levelRows(t, tree)
	stuckRows(t, tree)
	notableRows(t, tree)
	shardRows(t, tree, tree.Shards)
	supervisionRows(t, tree)
}

// tableOfWatchedTree has no more rows than are of use when one looks at them as they change.
func tableOfWatchedTree(t *table, tree *adminv1.GetTreeResponse) {
	levelRows(t, tree)
	stuckRows(t, tree)
	notableRows(t, tree)
	shardRows(t, tree, strained(tree.Shards))
}

// levelRows are the levels of the tree, each with what is below it.
func levelRows(t *table, tree *adminv1.GetTreeResponse) {
	t.head("LEVEL\tACTORS\tFAILURES\tQUEUED\tIN MESSAGE\tSTATE")
	for _, l := range tree.Levels {
		t.row("%s\t%d\t%s\t%d\t%s\t%s", indented(printable(l.Name)), l.Actors, countWord(l.Failures), l.Queued, inMessage(l.LongestMs), levelWords(l, tree))
	}
}

// indented puts the name of a level below that of its parent.
func indented(level string) string {
	switch level {
	case "shard", "session":
		return "  " + level
	case "user":
		return "    " + level
	}
	return level
}

// inMessage is how long an actor has been in its current message; less than a tick is not known.
func inMessage(ms uint64) string {
	if ms == 0 {
		return "-"
	}
	d := time.Duration(ms) * time.Millisecond
	if d < 10*time.Second {
		return d.Round(min(100*time.Millisecond, max(d/10, time.Millisecond))).String()
	}
	return top.Span(d)
}

// levelWords is what there is to say of a level besides its counts.
func levelWords(l *adminv1.Level, tree *adminv1.GetTreeResponse) string {
	var words []string
	if l.Stuck > 0 {
		words = append(words, badStyle.Render(fmt.Sprintf("%d stuck", l.Stuck)))
	}
	if sick := l.Sick; sick != nil {
		words = append(words, badStyle.Render(fmt.Sprintf("%s sick after %d failures", printable(sick.Actor), sick.Failures)))
	}
	switch l.Name {
	case "registry":
		words = append(words, fmt.Sprintf("%d shards", len(tree.Shards)), scalingWords(tree))
	case "user":
		parked := uint32(0)
		for _, s := range tree.Shards {
			parked += s.Parked
		}
		if parked > 0 {
			words = append(words, badStyle.Render(fmt.Sprintf("%d parked", parked)))
		}
	case "gateway":
		word := "open"
		if tree.Gateway.GetDraining() {
			word = stateWord("draining")
		}
		words = append(words, fmt.Sprintf("%d sessions", tree.Gateway.GetSessions()), word)
	case "journal":
		if tree.Journal.GetPresent() {
			words = append(words, working(tree.Journal.Trouble))
		}
	}
	return strings.Join(words, ", ")
}

// notableRows are the users and sessions that stand out, each once, with what for.
func notableRows(t *table, tree *adminv1.GetTreeResponse) {
	type key struct {
		user    string
		session uint64
	}
	why := make(map[key][]string)
	var order []*adminv1.Notable
	for _, part := range []struct {
		word string
		all  []*adminv1.Notable
	}{{"time in message", tree.Slowest}, {"queue", tree.Deepest}, {"restarts", tree.Sickest}} {
		for _, n := range part.all {
			k := key{n.User.GetUser(), n.Session}
			if why[k] == nil {
				order = append(order, n)
			}
			why[k] = append(why[k], part.word)
		}
	}
	for i, n := range order {
		if i == 0 {
			t.row("")
			t.head("STANDS OUT\tSHARD\tSTATE\tSESSIONS\tQUEUED\tIN MESSAGE\tRESTARTS\tBY")
		}
		name := "user " + printable(n.User.GetUser())
		if n.Session != 0 {
			name = fmt.Sprintf("session %d of %s", n.Session, printable(n.User.GetUser()))
		}
		t.row("%s\t%d\t%s\t%d\t%d\t%s\t%s\t%s", name, n.User.GetShard(), stateWord(printable(n.User.GetState())), n.User.GetSessions(),
			n.Queued, inMessage(n.InMessageMs), countWord(n.User.GetRestarts()), strings.Join(why[key{n.User.GetUser(), n.Session}], ", "))
	}
}

// shardRows are some of the shards.
func shardRows(t *table, tree *adminv1.GetTreeResponse, some []*adminv1.Shard) {
	t.row("")
	t.head("SHARD\tBELOW IT\tPARKED\tFAILURES\tQUEUED\tIN MESSAGE\tSTATE")
	busiest, sickest := extremes(tree.Shards)
	for _, s := range some {
		var remarks []string
		if s == busiest {
			remarks = append(remarks, "busiest")
		}
		if s == sickest {
			remarks = append(remarks, "sickest")
		}
		if s.Stuck {
			remarks = append(remarks, stuckWord())
		}
		t.row("shard %d\t%d users\t%s\t%s\t%d\t%s\t%s", s.Number, s.Users, countWord(s.Parked), countWord(s.Failures), s.Queued,
			inMessage(s.InMessageMs), strings.Join(remarks, ", "))
	}
	if more := len(tree.Shards) - len(some); more > 0 {
		t.row("(and %d more: 'tree show' has them)", more)
	}
}

// maxStrained is how many shards a watch shows.
const maxStrained = 16

// strained are the shards that have the most trouble or the most to do, in their order.
func strained(shards []*adminv1.Shard) []*adminv1.Shard {
	if len(shards) <= maxStrained {
		return shards
	}
	some := slices.SortedStableFunc(slices.Values(shards), func(a, b *adminv1.Shard) int {
		return cmp.Or(cmp.Compare(b.InMessageMs, a.InMessageMs), cmp.Compare(b.Queued, a.Queued), cmp.Compare(b.Parked, a.Parked), cmp.Compare(b.Failures, a.Failures))
	})[:maxStrained]
	slices.SortFunc(some, func(a, b *adminv1.Shard) int { return cmp.Compare(a.Number, b.Number) })
	return some
}

// extremes are the shard with the longest queue, or else the most users, and the one
// whose users fail most; nil where all are alike.
func extremes(shards []*adminv1.Shard) (busiest, sickest *adminv1.Shard) {
	for _, s := range shards {
		if s.Users > 0 && (busiest == nil || s.Queued > busiest.Queued || s.Queued == busiest.Queued && s.Users > busiest.Users) {
			busiest = s
		}
		if s.Failures > 0 && (sickest == nil || s.Parked > sickest.Parked || s.Parked == sickest.Parked && s.Failures > sickest.Failures) {
			sickest = s
		}
	}
	if len(shards) < 2 {
		return nil, nil
	}
	return busiest, sickest
}

// scalingWords says how the number of shards came about.
func scalingWords(tree *adminv1.GetTreeResponse) string {
	s, by := tree.Scaling, "fixed"
	switch {
	case s.GetSteering() == "held":
		by = "held (auto is off)"
	case tree.AutoScale:
		by = "auto"
	}
	switch {
	case s == nil:
		return ""
	case s.Phase != settled:
		return fmt.Sprintf("%s, %s from %d to %d, %d of %d users have moved (%s)", by, printable(s.Phase), s.From, s.To, s.Moved, s.ToMove, printable(s.Why))
	case s.BeganMs == 0:
		return by
	}
	return fmt.Sprintf("%s, from %d to %d %s ago (%s)", by, s.From, s.To, since(s.BeganMs), printable(s.Why))
}

// supervisionRows say what happens when an actor fails.
func supervisionRows(t *table, tree *adminv1.GetTreeResponse) {
	for i, level := range tree.Levels {
		if i == 0 {
			t.row("")
			t.head("LEVEL\tON FAILURE\tWHY")
		}
		t.row("%s\t%s\t%s", printable(level.Name), printable(level.OnFailure), printable(level.Why))
	}
	intensityRows(t, tree.Levels)
	t.row("")
	t.row("An actor is stuck after %s in one message. At most %d messages with %d bytes are set aside.",
		span(tree.StuckAfterMs), tree.MaxDeadletters, tree.MaxDeadletterBytes)
}

// intensityRows say how often an actor may fail, and what comes then.
func intensityRows(t *table, levels []*adminv1.Level) {
	for i, level := range levels {
		if i == 0 {
			t.row("")
			t.head("LEVEL\tMAY FAIL\tWITHIN\tRESTS FOR\tTRIES AGAIN AFTER\tA REST")
		}
		often, within, rests, again := "-", "-", "-", "-"
		if i := level.Intensity; i != nil {
			often, within = fmt.Sprintf("%d times", i.Failures), span(i.WindowMs)
			rests = span(i.ParkMs) + " to " + span(i.MaxParkMs)
		}
		if level.MaxRetryAfterMs > 0 {
			again = span(level.RetryAfterMs) + " to " + span(level.MaxRetryAfterMs)
		}
		t.row("%s\t%s\t%s\t%s\t%s\t%s", printable(level.Name), often, within, rests, again, printable(level.Rest))
	}
}

func span(ms uint64) string { return (time.Duration(ms) * time.Millisecond).String() }
