package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Real processes, real sockets, a real disk: the number of shards changes three times under
// load in both protocols, and a checking load generator finds nothing.
func TestScaleUnderLoadLosesNothing(t *testing.T) {
	for _, load := range [][]string{
		{"random", "--users", "40", "--protocol", "proto", "--rate", "2000"},
		{"relay", "--users", "40", "--protocol", "seed", "--rate", "2000"},
	} {
		t.Run(load[0], func(t *testing.T) {
			_, url, caller := serveWithAdmin(t, "--shards", "8")
			args := append([]string{"bench"}, load...)
			args = append(args, "--url", url, "--check", "--settle", patience.String(), "--duration", "4s", "--warmup", "500ms")
			bench := start(t, nil, args...)
			for _, n := range []string{"32", "8", "1"} {
				out := call(t, caller, "tree", "scale", "--shards", n)
				if !regexp.MustCompile(`there are ` + n + ` shards, before \d+; \d+ users have moved, in \d+ ms\n$`).MatchString(out) {
					t.Errorf("%s", out)
				}
				if out := call(t, caller, "tree", "show"); strings.Count(out, "\nshard ") == 0 || !strings.Contains(out, "asked for by admin-token") {
					t.Errorf("%s", out)
				}
			}
			bench.ends(0)
			if out := bench.stdout.String(); !strings.Contains(out, "0 lost, 0 doubled, 0 reordered") {
				t.Errorf("%s", out)
			}
		})
	}
}

func TestNumberOfShardsSurvivesARestart(t *testing.T) {
	data := t.TempDir()
	shards := func(want string, scaleTo string, args ...string) {
		t.Helper()
		service := start(t, nil, append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", data}, args...)...)
		address := service.stderr.has(t, `msg="serving operators" address=(\S+)`)
		caller := []string{"--admin", "http://" + address, "--data", data}
		if out := call(t, caller, "tree", "show"); !strings.Contains(out, want+" shards") {
			t.Errorf("want %s shards: %s", want, out)
		}
		if scaleTo != "" {
			call(t, caller, "tree", "scale", "--shards", scaleTo)
			if out := call(t, caller, "tree", "scale", "--shards", scaleTo); !strings.Contains(out, "there are "+scaleTo+" shards") {
				t.Errorf("the number there is, is answered %q", out)
			}
		}
		service.signal(syscall.SIGTERM)
		service.ends(0)
	}
	shards("16", "5")
	shards("5", "")
	shards("3", "", "--shards", "3")
	shards("5", "7", "--shards", "auto")
	shards("7", "")
	if err := os.WriteFile(filepath.Join(data, "shards"), []byte("many\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", data).ends(1)
}

// What the operator asks for last holds, until a start, which goes by the setting.
func TestOperatorEndsAutoAndTurnsItOn(t *testing.T) {
	data := t.TempDir()
	for _, setting := range []struct{ shards, steered string }{{"auto", "auto"}, {"kept", "fixed"}, {"auto", "auto"}} {
		service := start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", data, "--shards", setting.shards)
		address := service.stderr.has(t, `msg="serving operators" address=(\S+)`)
		caller := []string{"--admin", "http://" + address, "--data", data}
		if out := call(t, caller, "tree", "show"); !strings.Contains(out, " shards, "+setting.steered) {
			t.Errorf("with %s it begins with %s", setting.shards, out)
		}
		for _, step := range []struct{ shards, says, shown string }{
			{"auto", "changes the number by itself, until", " shards, auto"},
			{"7", "by itself no more, until 'callboard tree scale --shards auto'", "7 shards, held (auto is off)"},
			{"7", "by itself no more", "7 shards, held (auto is off)"},
		} {
			if out := call(t, caller, "tree", "scale", "--shards", step.shards); !strings.Contains(out, step.says) {
				t.Errorf("scale to %s says %s", step.shards, out)
			}
			if out := call(t, caller, "tree", "show"); !strings.Contains(out, step.shown) {
				t.Errorf("after scale to %s the tree is %s", step.shards, out)
			}
		}
		service.stderr.has(t, `msg="number of shards is held, and left to the service no more" why="asked for by `)
		service.signal(syscall.SIGTERM)
		service.ends(0)
	}
}

func TestTreeComplaintsSayWhatToDo(t *testing.T) {
	_, _, caller := serveWithAdmin(t)
	start(t, nil, append([]string{"tree", "scale", "--shards", "5000"}, caller...)...).complains(2, "invalid_argument", "1 to 4096")
	start(t, nil, append([]string{"tree", "scale"}, caller...)...).complains(2, "shards")
	for _, nonsense := range []string{"lots", "0", "-1", "4294967297"} {
		start(t, nil, append([]string{"tree", "scale", "--shards", nonsense}, caller...)...).complains(2, "--shards", "auto")
	}
	start(t, nil, append([]string{"tree", "show", "--user", "no user"}, caller...)...).complains(2, "--user")
	start(t, nil, "serve", "--shards", "lots", "--listen", "127.0.0.1:0", "--admin", "", "--data", t.TempDir()).complains(2, "--shards", "auto")
}

func TestBranchOfAUserDownToItsSockets(t *testing.T) {
	_, url, caller := serveWithAdmin(t)
	start(t, nil, "listen", "--as", "42", "--device", "phone", "--url", url).stderr.has(t, `listening as 42\n`)
	out := call(t, caller, "tree", "show", "--user", "42")
	if !regexp.MustCompile(`registry\n  shard \d+\n    user 42 +active +0 restarts.*\n      session 1 +delivering .* phone +callboard\.v1\.\w+ +127\.0\.0\.1:\d+`).MatchString(out) {
		t.Errorf("%s", out)
	}
}

// The load generator changes the number itself, and says what the users notice of it.
func TestBenchScaleMeasuresEachMove(t *testing.T) {
	_, url, caller := serveWithAdmin(t, "--store", "memory", "--shards", "auto")
	type stage struct {
		From, To, Moved int
		Ratio           float64 `json:"throughput_ratio"`
		P99Ratio        float64 `json:"p99_ratio"`
		Messages        int
	}
	type result struct {
		Stages []stage
		Check  struct{ Confirmed, Seen int }
	}
	measured := func(s stage) bool { return s.From == s.To && s.Messages > 0 || s.From != s.To && s.P99Ratio > 0 }
	var got result
	for _, duration := range []string{"200ms", "1s", "5s"} { // a machine that stands still for all of it has measured nothing
		bench := start(t, nil, append([]string{"bench", "scale", "--url", url, "--users", "40", "--steps", "2,5,1", "--check", "--settle", patience.String(), "--json",
			"--duration", duration, "--warmup", "50ms"}, caller...)...)
		bench.ends(0)
		if duration == "200ms" { // the first
			bench.stderr.has(t, "the service changes the number by itself no more, until 'callboard tree scale --shards auto'")
		}
		got = result{}
		must(t, json.Unmarshal([]byte(bench.stdout.String()), &got))
		if !slices.ContainsFunc(got.Stages, func(s stage) bool { return !measured(s) }) {
			break
		}
	}
	var stages []string
	moved := 0
	for _, s := range got.Stages {
		stages = append(stages, fmt.Sprintf("%d-%d", s.From, s.To))
		if moves := s.From != s.To; moves != (s.Moved > 0) || !measured(s) {
			t.Errorf("%+v", s)
		}
		moved += s.Moved
	}
	if want := "2-2 2-5 5-5 5-1 1-1"; strings.Join(stages, " ") != want || got.Check.Confirmed == 0 || got.Check.Seen < got.Check.Confirmed {
		t.Errorf("%s, want %s; %+v", stages, want, got.Check)
	}
	if out := call(t, caller, "tree", "show"); !regexp.MustCompile(`\b1 shards`).MatchString(out) {
		t.Errorf("%s", out)
	}
}

// A watch of the tree goes on until it is ended, and says each time how every level is.
func TestTreeIsWatched(t *testing.T) {
	_, url, caller := serveWithAdmin(t, "--shards", "40")
	watch := start(t, nil, append([]string{"tree", "watch", "--every", "100ms"}, caller...)...)
	watch.stdout.has(t, `LEVEL +ACTORS +FAILURES +QUEUED +IN MESSAGE +STATE\nregistry +1 +0 .* 40 shards, fixed\n  shard +40 `)
	watch.stdout.has(t, `\nshard 0 .*(\nshard \d+ .*){15}\n\(and 24 more: 'tree show' has them\)\n`)
	start(t, nil, "listen", "--as", "42", "--device", "phone", "--url", url).stderr.has(t, `listening as 42\n`)
	watch.stdout.has(t, `\n    user +1 +0 +0 .*\ngateway .* 1 sessions, open\n  session +1 `)
	watch.signal(syscall.SIGINT)
	watch.ends(0)

	branch := start(t, nil, append([]string{"tree", "watch", "--user", "42", "--every=100ms", "-o", "json"}, caller...)...)
	branch.stdout.has(t, `(.*"sessions":\[{"session":"1",.*"queued":0,"in_message_ms":"0".*\n){3}`)
	branch.signal(syscall.SIGINT)
	branch.ends(0)
	start(t, nil, append([]string{"tree", "watch", "--every", "1ms"}, caller...)...).complains(2, "--every", "100ms to 1h")
}
