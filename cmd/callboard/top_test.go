package main_test

import (
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// topOf starts top on a service with two users who listen.
func topOf(t *testing.T, caller []string, url string) (term *terminal, carol *process) {
	t.Helper()
	for _, user := range []string{"alice", "bob", "carol"} {
		p := start(t, nil, "listen", "--as", user, "--device", "phone", "--url", url)
		p.stderr.has(t, `listening as `)
		carol = p
	}
	return inTerminal(t, append([]string{"top", "--every", "200ms"}, caller...)...), carol
}

func TestTopShowsSortsFiltersOpensAndCloses(t *testing.T) {
	_, url, caller := serveWithAdmin(t)
	term, carol := topOf(t, caller, url)
	term.shows(`^sessions   3 `)
	term.shows(`^alice +0 +1 +active`)

	busy := regexp.MustCompile(`MSG/S▼.*\ncarol +\d`)
	term.waitFor(func(screen string) bool { // who is busy comes first, as long as that lasts
		call(t, caller, "send", "--to", "carol", "hello")
		return busy.MatchString(screen)
	}, "carol at the top")
	term.press("S") // back to USER
	term.shows(`USER▼.*\nalice.*\nbob.*\ncarol`)
	term.press("/", "a", "r")
	term.hides(`^(alice|bob)`)
	term.shows(`^carol`)
	term.press("Enter", "Enter")
	term.shows(`^user +carol\nstate +active\n(?s:.*)^SESSION +USER +DEVICE(?s:.*)^\d+ +carol +phone`)

	term.press("x")
	term.shows(`close all sessions of carol\? y/n`)
	term.press("n")
	term.shows(`nothing was closed`)
	term.press("x", "y")
	term.shows(`sessions of carol closed`)
	carol.complainsAfter("listening as carol\n", 4, "4003")
	term.shows(`^CLOSED +SESSION(?s:.*)4003`)
	term.press("Escape") // apart from the next, or they would be one key
	term.shows(`1-4 tab`)
	term.press("Escape")
	term.hides(`/ar`)
	term.press("4")
	term.shows(`^closed_by_operator +0 +0 +0 +0 +\S+ +1`)
	term.press("3")
	term.shows(`^registry .*16 shards`)
	term.press("?")
	term.shows(`any key goes back`)
	term.press("1", "q")
	term.ends("0")
}

func TestTopFollowsTheSizeOfItsTerminal(t *testing.T) {
	_, url, caller := serveWithAdmin(t)
	term, _ := topOf(t, caller, url)
	term.press("3")
	term.shows(`shard 14`)
	term.hides(`^journal`) // there is no room for it
	term.tmux("resize-window", "-x", "60", "-y", "40")
	term.waitFor(func(screen string) bool {
		lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
		return strings.Contains(screen, "\njournal") && len(lines) == 40 && strings.HasPrefix(lines[39], "1-4 tab")
	}, "40 lines, the journal among them")
}

func TestTopSurvivesARestartOfTheService(t *testing.T) {
	service, url, caller := serveWithAdmin(t, "--listen", freePort(t), "--admin", freePort(t))
	term, _ := topOf(t, caller, url)
	term.shows(`^alice`)
	service.signal(syscall.SIGKILL)
	term.shows(`^reconnecting: nobody listens at http`)
	term.shows(`^alice`) // what was known stays

	address := strings.TrimPrefix(caller[1], "http://")
	start(t, nil, "serve", "--listen", strings.TrimPrefix(url, "ws://"), "--admin", address, "--data", caller[3])

	term.hides(`reconnecting`)
	term.shows(`^sessions   3 `) // the listeners have come back
	term.press("C-c")
	term.ends("0")
}

func TestTopNeedsATerminalAndAToken(t *testing.T) {
	_, _, caller := serveWithAdmin(t)
	start(t, nil, append([]string{"top"}, caller...)...).complains(2, "needs a terminal", "stats --watch")
	start(t, nil, append([]string{"top", "--every", "1ms"}, caller...)...).complains(2, "--every", "200ms")
	t.Setenv("CALLBOARD_TOKEN", "guess")
	term := inTerminal(t, append([]string{"top"}, caller...)...)
	term.shows(`^refused: unauthenticated`)
	term.press("q")
	term.ends("0")
}
