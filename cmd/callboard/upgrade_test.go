package main_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"callboard/transport/client"
)

// earlier are the commits whose program an upgrade begins with: the last one, or with changes that are not committed
// the one that they are made to; and what was there before the inboxes or the protocol changed the last time.
// CALLBOARD_UPGRADE_FROM names others.
func earlier(t *testing.T) (commits []string) {
	t.Helper()
	git := func(args ...string) string {
		out, err := exec.Command("git", append([]string{"-C", "../.."}, args...)...).Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	if given := os.Getenv("CALLBOARD_UPGRADE_FROM"); given != "" {
		for name := range strings.FieldsSeq(given) {
			commit := git("rev-parse", "--verify", name+"^{commit}")
			if commit == "" {
				t.Fatalf("CALLBOARD_UPGRADE_FROM: there is no commit %s in this repository", name)
			}
			commits = append(commits, commit)
		}
		return commits
	}
	last := "HEAD^"
	if git("status", "--porcelain", "--untracked-files=no") != "" {
		last = "HEAD"
	}
	commits = append(commits, git("rev-parse", "--verify", "--quiet", last))
	if commits[0] == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no earlier commit to upgrade from: have CI clone with a depth of two at least")
		}
		t.Skip("there is no earlier commit here to upgrade from, for this is no clone with its history")
	}
	changed := git("log", "-1", "--format=%H", last, "--", "actors/inbox", "protocol", ":!*_test.go", ":!*.md")
	if before := git("rev-parse", "--verify", "--quiet", changed+"^"); changed != "" && before != "" && before != commits[0] {
		commits = append(commits, before)
	}
	return commits
}

// program builds the program of a commit.
func program(t *testing.T, commit string) string {
	t.Helper()
	folder := t.TempDir()
	archive := exec.Command("git", "-C", "../..", "archive", "--format=tar", commit, "go.mod", "go.sum", "cmd", "actors", "protocol", "transport")
	unpack := exec.Command("tar", "-x", "-C", folder)
	var problems bytes.Buffer
	archive.Stderr, unpack.Stderr = &problems, &problems
	var err error
	unpack.Stdin, err = archive.StdoutPipe()
	must(t, err)
	must(t, unpack.Start())
	if err := errors.Join(archive.Run(), unpack.Wait()); err != nil {
		t.Fatalf("%v\n%s", err, &problems)
	}
	built := filepath.Join(folder, "earlier")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", built, "./cmd/callboard")
	build.Dir = folder
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the program of %s: %v\n%s", commit, err, out)
	}
	return built
}

// Somebody sends and somebody listens all the while: the earlier program is killed, this one goes on with its
// directory, makes way for the earlier one, and goes on again. Nothing is lost, doubled or out of order, for the
// device that was there and for one that was away.
func TestUpgradeFromAnEarlierCommitAndBack(t *testing.T) {
	if underRace {
		t.Skip("the processes are built without the race detector")
	}
	for _, commit := range earlier(t) {
		t.Run(commit[:12], func(t *testing.T) {
			old, data, address := program(t, commit), t.TempDir(), freePort(t)
			begin := func(program string) (service *process, takes bool) {
				t.Helper()
				service = startProgram(t, program, nil, "serve", "--listen", address, "--admin", "", "--data", data, "--drain", "100ms")
				found := service.stderr.has(t, `(?:msg=serving address=|: )(127\S+|another version of callboard wrote)`)
				return service, strings.HasPrefix(found, "127")
			}
			service, _ := begin(old)
			url := "ws://" + address
			numbers := beginStream(t, url)
			phone := device(t, url, "phone", nil)
			away := counts(t, phone, 1, numbers.more(100))
			must(t, phone.Close(t.Context()))
			tablet := device(t, url, "tablet", nil)

			service.signal(syscall.SIGKILL)
			service.ends(-1)
			service, _ = begin(binary)
			numbers.more(100)
			service.signal(syscall.SIGTERM)
			service.ends(0)
			service, takes := begin(old)
			if takes {
				numbers.more(100)
				service.signal(syscall.SIGTERM)
				service.ends(0)
			} else { // it says so, and leaves the directory as it is
				service.ends(1)
			}
			service, _ = begin(binary)
			numbers.more(100)
			last := numbers.end()

			counts(t, tablet, 1, last)
			phone = device(t, url, "phone", &client.Cursor{Epoch: away.Epoch, Seq: away.Seq})
			if newest := counts(t, phone, int64(away.Seq)+1, last); newest.Epoch != away.Epoch {
				t.Errorf("the epoch went from %d to %d: the device was told that numbers are given anew", away.Epoch, newest.Epoch)
			}
			service.signal(syscall.SIGTERM)
			service.ends(0)
			start(t, nil, "inbox", "verify", "--data", data).ends(0)
		})
	}
}
