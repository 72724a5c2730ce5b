package main_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"callboard/actors/inbox"
	"callboard/actors/inbox/pebble"
)

func TestDeadlettersOfTheLastRunAreShownRetriedAndDropped(t *testing.T) {
	data := t.TempDir()
	store, err := pebble.Open(data, pebble.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for number := range uint64(4) {
		letter := &inbox.Deadletter{
			Number: number + 1, At: time.Now().UnixMilli(), Sender: "alice", Receiver: "bob", ID: "id-" + string(rune('a'+number)),
			Content: "hello\x1b[31m", Crashes: 2, Reason: "nil map\x1b[0m", Stack: "goroutine 7 [running]:\n\tuser.go:12\n",
		}
		if err := store.SetAside(letter); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, caller := serveWithAdmin(t, "--data", data)
	caller[3] = data

	golden(t, "deadletter-list", call(t, caller, "deadletter", "list", "-o", "json"))
	if out := call(t, caller, "deadletter", "list", "--limit", "2"); !regexp.MustCompile(`\n2 +\S.* alice +bob +id-b +10 +2 +nil map\\x1b\[0m\n\(2 of 4: `).MatchString(out) {
		t.Errorf("%s", out)
	}
	if out := call(t, caller, "deadletter", "show", "2"); !strings.Contains(out, "goroutine 7 [running]:\n    user.go:12\n") || strings.Contains(out, "hello") {
		t.Errorf("%s", out)
	}
	golden(t, "deadletter-show-content", call(t, caller, "deadletter", "show", "2", "--content", "-o", "json"))
	golden(t, "deadletter-show", call(t, caller, "deadletter", "show", "2", "-o", "json"))
	if out := call(t, caller, "deadletter", "show", "2", "--content"); !strings.Contains(out, `hello\x1b[31m`) {
		t.Errorf("%s", out)
	}
	if out := call(t, caller, "deadletter", "retry", "2"); out != "message 2 is kept, at 1 of its receiver's inbox\n" {
		t.Errorf("%q", out)
	}
	p := start(t, nil, append([]string{"deadletter", "retry", "2", "3"}, caller...)...)
	p.ends(3)
	if p.stdout.String() != "message 3 is kept, at 2 of its receiver's inbox\n" || !strings.Contains(p.stderr.String(), "message 2: refused: not_found") {
		t.Errorf("%s%s", p.stdout, p.stderr)
	}
	golden(t, "deadletter-retry", call(t, caller, "deadletter", "retry", "4", "-o", "json"))
	start(t, nil, append([]string{"deadletter", "drop"}, caller...)...).complains(2, "--all")
	start(t, nil, append([]string{"deadletter", "drop", "x"}, caller...)...).complains(2, "deadletter list")
	if out := call(t, caller, "deadletter", "drop", "1"); out != "1 messages dropped\n" {
		t.Errorf("%q", out)
	}
	golden(t, "deadletter-drop", call(t, caller, "deadletter", "drop", "--all", "-o", "json"))
}
