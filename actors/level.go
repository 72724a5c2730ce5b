package actors

import (
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/mailbox"
)

// Level is all actors of one kind, with the row of the table that says what happens when one
// of them fails.
type Level struct {
	Name      string
	OnFailure string // resume, stop or restart
	Why       string

	Intensity *Intensity // nil: there is none
	Rest      string     // what a rest is
	Sick      *Sick      // the actor of the level that is sick for the longest; nil: none is

	// RetryAfter and MaxRetryAfter are those of Supervision; 0: such an actor tries nothing again.
	RetryAfter, MaxRetryAfter time.Duration

	Actors   int
	Failures uint64        // since the start
	Queued   int           // messages that wait in their mailboxes
	Longest  time.Duration // the longest that one of them has been in its message; 0: less than a tick
	Stuck    int           // of them, see Config.StuckAfter
}

// levelNames are the rows of the table from the root down.
var levelNames = []string{"registry", "shard", "user", "gateway", "session", "doorkeeper", "coroner", "journal"}

// newLevels is the table from the root down.
func newLevels() (table []Level) {
	words := map[actor.Directive]string{
		actor.ResumeDirective: "resume", actor.StopDirective: "stop", actor.RestartDirective: "restart",
	}
	for _, name := range levelNames {
		row := supervision[name]
		table = append(table, Level{Name: name, OnFailure: words[row.onFailure], Why: row.why})
	}
	return table
}

// levelOf is the level of the actor of a name, or empty.
func levelOf(actor string) string {
	top, below, deeper := strings.Cut(actor, "/")
	switch {
	case top == "gateway" && deeper:
		return "session"
	case top == "registry" && strings.Contains(below, "/"):
		return "user"
	case top == "registry" && deeper:
		return "shard"
	}
	return top
}

// working adds what is seen of an actor of the level.
func (l *Level) working(one *mailbox.Working, now time.Time, stuckAfter time.Duration) {
	l.Queued += one.Queued
	d := inMessage(one, now)
	l.Longest = max(l.Longest, d)
	if d >= stuckAfter {
		l.Stuck++
	}
}

// inMessage is how long an actor has been in its message.
func inMessage(one *mailbox.Working, now time.Time) time.Duration {
	if one.Since.IsZero() {
		return 0
	}
	return max(0, now.Sub(one.Since))
}

// levels counts what the tree has of each level.
func (s *System) levels(tree *Tree) {
	tuned := s.supervision.Load()
	for i := range tree.Levels {
		l := &tree.Levels[i]
		l.Intensity, l.Rest, l.Sick = s.intensityOf(l.Name), rests[l.Name], s.sickest.now(l.Name)
		if supervision[l.Name].onFailure == actor.ResumeDirective {
			l.RetryAfter, l.MaxRetryAfter = tuned.RetryAfter, tuned.MaxRetryAfter
		}
		l.Failures, l.Actors = s.counts.failed[l.Name].Load(), 1
		switch l.Name {
		case "shard":
			l.Actors = len(tree.Shards)
		case "user":
			l.Failures, l.Actors = s.counts.failures.Load(), max(0, int(s.counts.users.Load()))
		case "session":
			l.Actors = tree.Gateway.Sessions
		case "journal":
			if s.journal == nil {
				l.Actors = 0
			}
		}
	}
}
