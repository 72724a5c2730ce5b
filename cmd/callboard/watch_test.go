package main_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

func TestWatchAppendsAnObjectForEachLook(t *testing.T) {
	_, url, caller := serveWithAdmin(t)
	for _, args := range [][]string{{"stats"}, {"user", "list"}, {"session", "list"}, {"tree", "show"}} {
		watch := start(t, nil, append(append(args, "-o", "json", "--watch=100ms"), caller...)...)
		watch.stdout.has(t, `(?s)^\{.*\}\n\{.*\}\n\{.*\}\n`)
		watch.signal(os.Interrupt)
		watch.ends(0)
		for line := range strings.Lines(watch.stdout.String()) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%v: a line is no object: %q", args, line)
			}
		}
		if watch.stderr.String() != "" {
			t.Errorf("%v: stderr is %q", args, watch.stderr)
		}
	}
	listener := start(t, nil, "listen", "--as", "2", "--url", url)
	listener.stderr.has(t, `listening as 2\n`)
	yaml := start(t, nil, append([]string{"user", "show", "2", "-o", "yaml", "-w=100ms"}, caller...)...)
	yaml.stdout.has(t, `(?s)^---\nuser:\n  user: "2"\n.*\n---\nuser:\n`)
	yaml.signal(syscall.SIGTERM)
	yaml.ends(0)
	table := start(t, nil, append([]string{"user", "list", "--watch=100ms"}, caller...)...)
	table.stdout.has(t, `^USER .*\n2 .*\n\nUSER .*\n2 `)
	if out := table.stdout.String(); strings.Contains(out, "\x1b") {
		t.Errorf("a file gets what moves a cursor: %q", out)
	}
}

func TestWatchWaitsForAServiceThatGoes(t *testing.T) {
	service, _, caller := serveWithAdmin(t, "--admin", freePort(t))
	watch := start(t, nil, append([]string{"stats", "-o", "json", "--watch=100ms"}, caller...)...)
	watch.stdout.has(t, `\}\n`)
	service.signal(syscall.SIGKILL)
	watch.stderr.has(t, `callboard: nobody listens at .*; looking again\n`)
	seen := len(watch.stdout.String())
	start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", strings.TrimPrefix(caller[1], "http://"), "--data", caller[3])
	watch.stdout.hasBehind(t, seen, `\}\n`)
	watch.signal(os.Interrupt)
	watch.ends(0)
	// The look that was under way when the service died may have had another end, which is said too.
	said := regexp.MustCompile(`^(callboard: .* went away .*; looking again\n)?callboard: nobody listens at .*; looking again\n$`)
	if notes := watch.stderr.String(); !said.MatchString(notes) {
		t.Errorf("stderr is %q", notes)
	}
}

func TestWatchComplains(t *testing.T) {
	_, _, caller := serveWithAdmin(t)
	start(t, nil, append([]string{"stats", "--watch=1ms"}, caller...)...).complains(2, "--watch is 1ms", "100ms to 1h")
	start(t, nil, append([]string{"stats", "--watch=often"}, caller...)...).complains(2, "often", "stats --help")
	start(t, nil, append([]string{"user", "show", "nobody", "--watch"}, caller...)...).complains(3, "not_found")
	start(t, nil, "stats", "--watch", "--admin", "http://127.0.0.1:1", "--data", caller[3]).complains(5, "nobody listens")
}

func TestWatchRedrawsOnATerminal(t *testing.T) {
	_, url, caller := serveWithAdmin(t)
	listener := start(t, nil, "listen", "--as", "2", "--url", url)
	listener.stderr.has(t, `listening as 2\n`)
	args := append([]string{"session", "list", "--watch=100ms"}, caller...)
	term := inTerminal(t, args...)
	term.shows(`\A\d\d:\d\d:\d\d \(Ctrl-C ends\)  callboard session list .*\n\nSESSION .*\n1 +2 `)
	listener.signal(os.Interrupt)
	listener.ends(0)
	term.waitFor(func(screen string) bool { // in place: there is no older answer above
		return strings.Count(screen, "SESSION") == 1 && !strings.Contains(screen, "\n1  ")
	}, "the table without the session, in the place of the one with it")
	term.press("C-c")
	term.ends("0")
}

func TestColourIsForTerminalsAndThoseWhoWantIt(t *testing.T) {
	_, _, caller := serveWithAdmin(t)
	call(t, caller, "drain", "--over", "1ms")
	args := append([]string{"tree", "show", "--watch=100ms"}, caller...)
	const yellow = "\x1b[33m"

	term := inTerminal(t, args...)
	term.shows(`draining`)
	term.waitFor(func(string) bool { return strings.Contains(term.colours(), yellow+"draining") }, "a warning in yellow")
	t.Setenv("NO_COLOR", "1")
	plain := inTerminal(t, args...)
	plain.shows(`draining`)
	if colours := plain.colours(); strings.Contains(colours, yellow) {
		t.Errorf("there is colour: %q", colours)
	}
	if out := call(t, caller, "tree", "show"); strings.Contains(out, "\x1b") {
		t.Errorf("a file gets colour: %q", out)
	}
}
