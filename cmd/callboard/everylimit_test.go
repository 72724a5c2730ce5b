package main_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"callboard/protocol"
)

// limitRow is a row of the table of limits in deploy/README.md, reached on purpose.
type limitRow struct {
	what  string                         // the row's first cell
	words []string                       // of callboard_limits_hit_total
	args  []string                       // of the service; each limit is above what the bystanders do
	reach func(*siege) (hits [2]float64) // how often the last word must have been counted, at least and at most
}

var limitRows = []limitRow{
	{
		"sends of a session",
		[]string{"rate_slowed", "rate_limited"},
		[]string{"--limits-sends-session-rate", "40", "--limits-sends-session-burst", "10", "--limits-sends-slow-for", "100ms", "--limits-sends-refusals", "256"},
		(*siege).pressesOn,
	},
	{
		"sends of a user, all sessions on this node",
		[]string{"rate_limited"},
		[]string{"--limits-sends-user-rate", "40", "--limits-sends-slow-for", "0s", "--limits-sends-refusals", "256"},
		(*siege).sendsOverTwoSessions,
	},
	{
		"connections an address asks for",
		[]string{"too_many_attempts"},
		[]string{"--limits-attempts-rate", "1", "--limits-attempts-burst", "3", "--limits-attempts-exempt", "127.0.0.1/32"},
		(*siege).asksTooOften,
	},
	{
		"sessions of a user",
		[]string{"too_many_sessions"},
		[]string{"--limits-sessions-per-user", "2"},
		(*siege).opensTooManySessions,
	},
	{
		"connections",
		[]string{"too_many_connections"},
		[]string{"--max-connections", "2"}, // the bystanders'
		(*siege).findsNoRoom,
	},
	{
		"connections before the upgrade",
		[]string{"too_many_pending"},
		[]string{"--limits-pending", "5"},
		(*siege).leavesHandshakesHalfOpen,
	},
	{
		"bytes of a frame",
		[]string{"too_large"},
		[]string{"--limits-frame-bytes", "8192"},
		(*siege).sendsALongFrame,
	},
	{
		"inbox",
		[]string{"inbox_full"},
		[]string{"--inbox-entries", "9"},
		(*siege).fillsAnInbox,
	},
}

// rowsElsewhere are rows of that table whose tests need another service, with their word and their test.
var rowsElsewhere = map[string]struct{ word, test string }{
	"connections that are to show a token in CONNECT": {"too_many_pending", "TestWhoShowsNoTokenGivesWayAsConfigured"}, // it wants a sign-in
}

// limitsElsewhere are the words of callboard_limits_hit_total that no setting leads to, or not soon, with the tests that reach them
// where the clock, the disk or the actors are in the test's hand.
var limitsElsewhere = map[string]struct{ test, why string }{
	"in_flight":                  {"TestSenderWithoutCreditsWaitsForAnswers", "no fault: the answers must be held back for it"},
	"storage_full":               {"TestFullDiskIsSaidAndGotOver", "wants a disk that is full"},
	"too_many_users":             {"TestEveryLimitThatIsHitIsAnEvent", "a million of them at once"},
	"too_many_devices":           {"TestEveryLimitThatIsHitIsAnEvent", "a constant of the protocol"},
	"slow_consumer":              {"TestSlowConsumerIsTold", "wants small buffers of the kernel, and the write timeout"},
	"heartbeat_timeout":          {"TestEveryLimitThatIsHitIsAnEvent", "takes minutes of a clock"},
	"handshake_timeout":          {"TestEveryLimitThatIsHitIsAnEvent", "takes the time of a handshake"},
	"too_many_blocked":           {"TestEveryLimitThatIsHitIsAnEvent", "an operator's, who blocks very many"},
	"too_many_streams":           {"TestEveryLimitThatIsHitIsAnEvent", "an operator's, who watches from very many places"},
	"too_many_broadcasts":        {"TestBroadcastsAreBoundedAndEndWithTheirCaller", "an operator's"},
	"too_many_failures":          {"TestLimitsOfTheAdminListenerAreCounted", "of the admin listener"},
	"too_many_admin_connections": {"TestConnectionsAreBounded", "of the admin listener"},
}

// Every limit that operators set is reached over real sockets, in every dialect, by somebody who is told what happened and when
// to come back; it is counted under its word, and two others go on as if nothing were.
func TestEveryLimitIsReachedAndOthersNoticeNothing(t *testing.T) {
	for _, row := range limitRows {
		t.Run(row.what, func(t *testing.T) {
			t.Parallel()
			_, url, caller := serveWithAdmin(t, row.args...)
			bystanders := startBystanders(t, url)
			word := row.words[len(row.words)-1]
			for i, codec := range []protocol.Codec{protocol.Seed, protocol.JSON, protocol.Proto} {
				at := &siege{t: t, url: url, codec: codec, user: fmt.Sprint("mallory-", i), from: fmt.Sprint("127.0.9.", i+1)}
				before := scrape(t, caller)
				hits := row.reach(at)
				grown := func(after families, word string) float64 {
					return after.value(t, "callboard_limits_hit_total", "limit", word) - before.value(t, "callboard_limits_hit_total", "limit", word)
				}
				after := scrapeUntil(t, caller, func(after families) bool { return grown(after, word) >= hits[0] })
				if n := grown(after, word); n < hits[0] || n > hits[1] {
					t.Errorf("%q: %s is counted %v times, want %v", codec, word, n, hits)
				}
				for _, word := range row.words[:len(row.words)-1] {
					if grown(after, word) == 0 {
						t.Errorf("%q: %s is not counted", codec, word)
					}
				}
			}
			bystanders.goOn()
		})
	}
}

func TestEveryLimitInTheOperatorsTableIsTested(t *testing.T) {
	text, err := os.ReadFile(deploy + "README.md")
	must(t, err)
	_, chapter, _ := strings.Cut(string(text), "\n## Limits\n")
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	documented := map[string]string{}
	for _, cells := range regexp.MustCompile(`(?m)^\| ([^|]+) \| [^|]* \| ([^|]+) \|.*\|$`).FindAllStringSubmatch(chapter, -1) {
		documented[cells[1]] = cells[2]
	}
	delete(documented, "what") // the heading
	words := map[string]bool{}
	for _, row := range limitRows {
		cell, known := documented[row.what]
		for _, word := range row.words {
			words[word] = true
			if !known || cell != "the same" && !strings.Contains(cell, "`"+word+"`") {
				t.Errorf("%s is documented as %q, and acts as %s", row.what, cell, word)
			}
		}
		delete(documented, row.what)
	}
	tests := testsOf(t)
	for what, cell := range documented {
		if row := rowsElsewhere[what]; !tests[row.test] || cell != "`"+row.word+"`" {
			t.Errorf("%s is documented as %q and not tested", what, cell)
		}
	}
	_, _, caller := serveWithAdmin(t)
	for _, m := range scrape(t, caller)["callboard_limits_hit_total"].Metric {
		word := m.Label[0].GetValue()
		if word == "other" { // a fault of the program
			continue
		}
		switch row, elsewhere := limitsElsewhere[word]; {
		case elsewhere == words[word]:
			t.Errorf("%s is tested here: %t, and elsewhere: %t", word, words[word], elsewhere)
		case elsewhere && !tests[row.test]:
			t.Errorf("%s is said to be tested by %s, which does not exist", word, row.test)
		}
	}
}

// testsOf are the names of all tests.
func testsOf(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, name := range regexp.MustCompile(`(?m)func (Test\w+)\(`).FindAllStringSubmatch(run(t, "../..", "grep", "-rh", "--include=*_test.go", "^func Test", "."), -1) {
		found[name[1]] = true
	}
	return found
}
