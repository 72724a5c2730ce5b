package main_test

import (
	"cmp"
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWatchShowsWhoComesAndGoes(t *testing.T) {
	_, url, caller := serveWithAdmin(t)
	watch := start(t, nil, append([]string{"watch", "--user", "2"}, caller...)...)
	watch.stdout.has(t, `^TIME +KIND +USER +SESSION +DEVICE +REMOTE +CODE +REASON\n`)

	start(t, nil, "send", "--as", "1", "--to", "2", "--url", url, "hello").ends(0)
	listener := start(t, nil, "listen", "--as", "2", "--device", "phone", "--url", url)
	listener.stdout.has(t, `hello`)
	call(t, caller, "user", "close", "2", "--reason", "enough")

	watch.stdout.has(t, `\n\d\d:\d\d:\d\d\.\d{3} +session_opened +2 +2 +phone +127\.0\.0\.1:\d+ +-\n`)
	watch.stdout.has(t, `\n\S+ +session_closed +2 +2 +phone +127\.0\.0\.1:\d+ +4003 closed_by_operator +enough\n`)
	watch.signal(os.Interrupt)
	watch.ends(0)
	if rest := watch.stderr.String(); rest != "" || strings.Count(watch.stdout.String(), "\n") != 3 {
		t.Errorf("stderr is %q, stdout %q", rest, watch.stdout)
	}
}

func TestWatchPrintsAnObjectALine(t *testing.T) {
	service, url, caller := serveWithAdmin(t)
	watch := start(t, nil, append([]string{"watch", "-o", "json", "--kind", "session_opened,session_closed", "--kind", "drain_begun"}, caller...)...)
	watching(t, watch, url)
	service.signal(syscall.SIGTERM)
	watch.complains(5, "the service ended it", "draining", "call again")
	var kinds []string
	for line := range strings.Lines(watch.stdout.String()) {
		var got struct {
			Event struct {
				Kind, User string
				AtMs       string `json:"at_ms"`
				Session    string
			}
			End struct{ Code string }
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if got.Event.User != "probe" {
			kinds = append(kinds, got.Event.Kind+got.End.Code)
		}
	}
	if want := "drain_begun draining"; strings.Join(kinds, " ") != want {
		t.Errorf("%q, want %q", kinds, want)
	}
}

// watching waits until a watch of sessions is under way.
func watching(t *testing.T, watch *process, url string) {
	t.Helper()
	until(t, watch, "probe", "send", "--as", "probe", "--to", "nobody", "--url", url, "are you watching?")
}

// tracing waits until a trace of a user is under way, whose inbox stays as it is.
func tracing(t *testing.T, trace *process, url, user string) {
	t.Helper()
	until(t, trace, `"probe"`, "send", "--as", user, "--to", "probe", "--url", url, "are you tracing?")
}

// until runs a command again and again until a process has printed a word.
func until(t *testing.T, p *process, word string, command ...string) {
	t.Helper()
	for limit := time.Now().Add(patience); !strings.Contains(p.stdout.String(), word); {
		if time.Now().After(limit) {
			t.Fatalf("%s was never printed, only %s", word, p.stdout)
		}
		start(t, nil, command...).ends(0)
	}
}

func TestTraceFollowsAMessage(t *testing.T) {
	service, url, caller := serveWithAdmin(t)
	listener := start(t, nil, "listen", "--as", "2", "--device", "phone", "--url", url)
	listener.stderr.has(t, `listening as 2\n`)
	trace := start(t, nil, append([]string{"user", "trace", "2"}, caller...)...)
	trace.stdout.has(t, `^TIME +FROM +TO +SEQ +HOP +SESSION +DEVICE +BYTES +ID +WHAT\n`)
	open := start(t, nil, append([]string{"user", "trace", "2", "--contents", "-o", "json"}, caller...)...)
	service.stderr.has(t, `target="user=\\"2\\" contents=true" result=begun`)
	tracing(t, open, url, "2") // it is in the log before it begins

	start(t, nil, "send", "--as", "1", "--to", "2", "--url", url, "a secret").ends(0)

	trace.stdout.has(t, `\n\S+ +1 +2 +- +read +\d+ +- +8 +\S+\n`)
	trace.stdout.has(t, `\n\S+ +1 +2 +1 +kept +- +- +8 +\S+\n(.*\n)*\S+ +1 +2 +1 +acknowledged +1 +phone +8 +\S+\n`)
	open.stdout.has(t, `\{"hop":\{"at_us":"\d+","kind":"numbered",.*"content":"a secret"\}\}\n`)
	open.stdout.has(t, `"kind":"acknowledged"`)
	for _, p := range []*process{trace, open} {
		p.signal(os.Interrupt)
		p.ends(0)
	}
	service.stderr.has(t, `call=/callboard.admin.v1.AdminService/Trace target="user=\\"2\\" contents=false" result=canceled`)
	if strings.Contains(trace.stdout.String()+service.stderr.String(), "secret") {
		t.Error("a content was shown to somebody who did not ask for it, or is in the log")
	}
	for line := range strings.Lines(open.stdout.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %q", line)
		}
	}
}

func TestTraceEndsAfterTheTimeGiven(t *testing.T) {
	_, _, caller := serveWithAdmin(t)
	trace := start(t, nil, append([]string{"user", "trace", "2", "--for", "100ms"}, caller...)...)
	trace.ends(0)
	trace.stderr.has(t, `^time_is_up: it has lasted 100ms, as long as it was to\n$`)
}

func TestWatchSaysThatTheServiceDied(t *testing.T) {
	service, _, caller := serveWithAdmin(t)
	watch := start(t, nil, append([]string{"watch"}, caller...)...)
	watch.stdout.has(t, `^TIME`)
	service.signal(syscall.SIGKILL)
	watch.complains(5, "broke", "callboard stats")
}

func TestStreamComplaintsSayWhatToDo(t *testing.T) {
	_, _, caller := serveWithAdmin(t)
	at := strings.Join(caller, " ")
	unusual := map[string]int{"watch " + at + " --admin http://127.0.0.1:1": 5}
	for line, words := range map[string][]string{
		"watch --kind party " + at:                    {"invalid_argument", `"party"`, "session_closed", "limit_hit"},
		"watch -o xml " + at:                          {"xml", "table, json or yaml"},
		"watch 2 " + at:                               {"watch --help"},
		"watch " + at + " --admin http://127.0.0.1:1": {"nobody listens", "callboard serve"},
		"user trace " + at:                            {"user trace --help"},
		"user trace b/b " + at:                        {`USER "b/b"`, "letters, digits"},
		"user trace 2 --for -1s " + at:                {"--for", "1m"},
		"user trace 2 --for 2h " + at:                 {"invalid_argument", "for_ms", "3600000"},
	} {
		t.Run(line, func(t *testing.T) {
			start(t, nil, strings.Fields(line)...).complains(cmp.Or(unusual[line], 2), words...)
		})
	}
	t.Run("wrong token", func(t *testing.T) {
		t.Setenv("CALLBOARD_TOKEN", "guess")
		start(t, nil, append([]string{"user", "trace", "2"}, caller...)...).complains(6, "unauthenticated", "admin-token")
	})
}
