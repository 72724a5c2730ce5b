package main_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pasted is a line of README that people paste, and what it says that is printed.
type pasted struct {
	line   string
	prints []string
}

// walkOf are the pasted lines of a chapter.
func walkOf(t *testing.T, chapter string) (walk []pasted) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	must(t, err)
	_, lines, found := strings.Cut(string(text), "\n## "+chapter+"\n")
	if !found {
		t.Fatalf("README has no chapter %q", chapter)
	}
	lines, _, _ = strings.Cut(lines, "\n## ")
	for line := range strings.Lines(lines) {
		line, indented := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "    ")
		if command, typed := strings.CutPrefix(line, "$ "); typed && indented {
			walk = append(walk, pasted{line: command})
		} else if indented {
			last := &walk[len(walk)-1]
			last.prints = append(last.prints, line)
		}
	}
	return walk
}

// freePort is an address that nobody listens on, for who is to listen on it again and again. It is below those that the
// system gives away by itself, so that no other connection takes it between.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(20_000))
		if listener, err := net.Listen("tcp", address); err == nil {
			must(t, listener.Close())
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// onOurPorts is the binary as a script that has other ports, for those of README may be taken.
func onOurPorts(t *testing.T, users, operators string) (script string) {
	t.Helper()
	return fmt.Sprintf(`#!/bin/sh
case "$1 $*" in
serve*) exec %[1]s "$@" --listen %[2]s --admin %[3]s ;;
health*) exec %[1]s "$@" --url http://%[2]s ;;
listen* | send*--as*) exec %[1]s "$@" --url ws://%[2]s ;;
*) exec %[1]s "$@" --admin http://%[3]s ;;
esac
`, binary, users, operators)
}

// inTheirTime are functions for what takes people some time, and a busy machine too: the time in which a trace begins, and the
// one in which what was sent is there.
const inTheirTime = `
waits() { for _ in {1..200}; do if "$@"; then break; fi; command sleep 0.1; done; }
traces() { grep -q 'AdminService/Trace .*result=begun' callboard.log; }
sleep() { if [[ $(jobs) == *'user trace'* ]]; then waits traces; command sleep 0.5; else command sleep "$1"; fi; }
has() { ./callboard user show 2 2>/dev/null | grep -Eq '^phone +[0-9]+ +0 '; }
settled() { waits has; }
`

// The first hour is walked as README has it: every line is given to a shell, word for word, in an empty
// folder, and prints what README says.
func TestReadmeWalk(t *testing.T) {
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s: apt-get install %s", program, program)
		}
	}
	walk := walkOf(t, "The first hour")
	if len(walk) < 10 || walk[0].line != "go build -o callboard ./cmd/callboard" {
		t.Fatalf("README begins with %q and has %d lines", walk[0].line, len(walk))
	}
	folder, users, operators := t.TempDir(), freePort(t), freePort(t)
	must(t, os.WriteFile(filepath.Join(folder, "callboard"), []byte(onOurPorts(t, users, operators)), 0o700))

	const mark = "@@ line "
	script := "set -m\n" + inTheirTime // as a terminal has it: jobs have numbers
	for i, p := range walk[1:] {
		script += fmt.Sprintf("echo '%s%d'\n", mark, i+1)
		if strings.HasPrefix(p.line, "./callboard user list") || strings.HasPrefix(p.line, "./callboard user show") {
			script += "settled\n"
		}
		script += strings.ReplaceAll(p.line, "127.0.0.1:8081", operators) + "\n"
	}
	shell := exec.CommandContext(t.Context(), "bash", "-c", script)
	shell.Dir, shell.WaitDelay = folder, patience
	shell.Env = append(os.Environ(), "XDG_CACHE_HOME="+folder, "TZ=UTC")
	written, err := shell.CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	for i, p := range walk {
		// What a job in the background prints may come later.
		_, after, _ := strings.Cut(string(written), fmt.Sprintf("%s%d\n", mark, i))
		for _, line := range p.prints {
			// Columns are as wide as what is in them.
			pattern := strings.ReplaceAll(strings.Join(strings.Fields(regexp.QuoteMeta(line)), " +"), "…", ".*")
			if !regexp.MustCompile("(?m)^" + pattern + "$").MatchString(after) {
				t.Errorf("%s\ndoes not print\n%s", p.line, line)
			}
		}
	}
	if t.Failed() {
		t.Logf("printed was\n%s", written)
	}
}
