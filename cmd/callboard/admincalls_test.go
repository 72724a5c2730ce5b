package main_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestBroadcastReachesEverybodyConnectedOrAList(t *testing.T) {
	_, url, caller := serveWithAdmin(t)
	listener := start(t, nil, "listen", "--as", "2", "--url", url)
	listener.stderr.has(t, `listening as 2\n`)

	if out := call(t, caller, "broadcast", "noon"); !regexp.MustCompile(`^sent to 1 of 1 users, id \w+\n$`).MatchString(out) {
		t.Errorf("%q", out)
	}
	listener.stdout.has(t, `^system: noon\n$`)

	file := filepath.Join(t.TempDir(), "users")
	var users strings.Builder
	for i := range 12_000 { // more than one call takes
		fmt.Fprintf(&users, "user-%d\n\n", i)
	}
	if err := os.WriteFile(file, []byte(users.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if out := call(t, caller, "broadcast", "--to-file", file, "--to", "2,3", "--as", "ops", "--id", "n1", "all"); out != "sent to 12002 of 12002 users, id n1\n" {
			t.Errorf("%q", out)
		}
	}
	listener.stdout.has(t, `^system: noon\nops: all\n$`)
	for _, user := range []string{"3", "user-0", "user-11999"} {
		if out := call(t, caller, "user", "show", user); !regexp.MustCompile(`\nhead +1\n`).MatchString(out) {
			t.Errorf("%s", out)
		}
	}

	p := start(t, strings.NewReader("3\n4\n"), append([]string{"broadcast", "--to-file", "-", "--id", "n1", "--as", "ops", "-o", "json", "another"}, caller...)...)
	p.ends(4)
	var sum struct {
		Sent    string
		Refused map[string]string
		Done    bool
	}
	if err := json.Unmarshal([]byte(p.stdout.String()), &sum); err != nil || sum.Sent != "1" || sum.Refused["conflict"] != "1" || !sum.Done {
		t.Errorf("%s: %v", p.stdout, err)
	}
	want := "3: refused: conflict\ncallboard: 1 of 2 users were refused; mend that and repeat it with --id n1, which reaches nobody twice\n"
	if got := p.stderr.String(); got != want {
		t.Errorf("stderr is %q", got)
	}
}

func TestBroadcastThatIsCutOffSaysHowFarItGot(t *testing.T) {
	service, _, caller := serveWithAdmin(t)
	var users strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&users, "user-%d\n", i)
	}
	p := start(t, strings.NewReader(users.String()), append([]string{"broadcast", "--to-file", "-", "--id", "n1", "hello"}, caller...)...)
	service.stderr.has(t, `msg="broadcast ended" .*id=n1`)
	p.signal(syscall.SIGINT)
	p.ends(130)
	if got := p.stderr.String(); !regexp.MustCompile(`^callboard: interrupted; \d+ users have got it, and --id n1 reaches the others\n$`).MatchString(got) {
		t.Errorf("stderr is %q", got)
	}
}

func TestBlockLastsOverARestart(t *testing.T) {
	service, url, caller := serveWithAdmin(t)
	listener := start(t, nil, "listen", "--as", "2", "--url", url)
	listener.stderr.has(t, `listening as 2\n`)

	if out := call(t, caller, "user", "block", "2", "--reason", "spam"); out != "2 is blocked until it is unblocked; 1 sessions closed\n" {
		t.Errorf("%q", out)
	}
	listener.complainsAfter("listening as 2\n", 4, "4005 blocked", "operator")
	start(t, nil, "listen", "--as", "2", "--url", url).complains(4, "blocked", "ask the operator")
	start(t, nil, "send", "--as", "2", "--to", "3", "--url", url, "hello").complains(4, "blocked")
	if out := call(t, caller, "user", "block", "3", "--for", "1h"); !regexp.MustCompile(`^3 is blocked until 20\S+Z \(in 5\dm\d+s\); 0 sessions closed\n$`).MatchString(out) {
		t.Errorf("%q", out)
	}
	call(t, caller, "send", "--to", "2", "for later")

	service.signal(syscall.SIGKILL)
	service.ends(-1)
	again := start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", caller[3])
	caller[1] = "http://" + again.stderr.has(t, `msg="serving operators" address=(\S+)`)
	url = "ws://" + again.stderr.has(t, `msg=serving address=(\S+)`)

	start(t, nil, "listen", "--as", "2", "--url", url).complains(4, "blocked")
	if out := call(t, caller, "user", "list", "--blocked"); !regexp.MustCompile(`^USER +BLOCKED +UNTIL +BY +REASON\n2 +20\S+ \([\dm]+s ago\) +- +admin-token +spam\n3 +20\S+ \([\dm]+s ago\) +20\S+ \(in 5\dm\d+s\) +admin-token +-\n$`).MatchString(out) {
		t.Errorf("%s", out)
	}
	if out := call(t, caller, "user", "show", "2"); !regexp.MustCompile(`\nblocked +until it is unblocked, by admin-token since 20\S+ \([\dm]+s ago\): spam\n`).MatchString(out) {
		t.Errorf("%s", out)
	}
	if out := call(t, caller, "user", "unblock", "2"); out != "2 may connect again\n" {
		t.Errorf("%q", out)
	}
	if out := call(t, caller, "user", "unblock", "2"); out != "2 was not blocked\n" {
		t.Errorf("%q", out)
	}
	listener = start(t, nil, "listen", "--as", "2", "--url", url)
	listener.stdout.has(t, `^system: for later\n$`)
}

func TestTrimMakesRoomWithoutARestart(t *testing.T) {
	_, url, caller := serveWithAdmin(t, "--inbox-entries", "2")
	call(t, caller, "send", "--to", "2", "a")
	call(t, caller, "send", "--to", "2", "b")
	start(t, nil, append([]string{"send", "--to", "2", "c"}, caller...)...).complains(4, "inbox_full")

	start(t, nil, append([]string{"user", "trim", "2", "--through", "1"}, caller...)...).
		complains(4, "unseen", "of the 1 messages", "no device has had 1", "--yes")
	if out := call(t, caller, "user", "trim", "2", "--through", "1", "--yes"); out != "1 messages of 2 removed, up to 1\nno device has had 1 of them\n" {
		t.Errorf("%q", out)
	}

	call(t, caller, "send", "--to", "2", "c")
	listener := start(t, nil, "listen", "--as", "2", "--device", "phone", "--url", url)
	listener.stdout.has(t, `^system: b\nsystem: c\n$`)

	start(t, nil, append([]string{"user", "forget-device", "2", "phone"}, caller...)...).complains(4, "device_connected", "is connected; close its sessions first, or set force\n")
	listener.signal(syscall.SIGTERM)
	listener.ends(0)
	out := ""
	for limit := time.Now().Add(patience); out == "" && time.Now().Before(limit); { // until the service has missed the listener
		p := start(t, nil, append([]string{"user", "forget-device", "2", "phone"}, caller...)...)
		_ = p.cmd.Wait()
		out = p.stdout.String()
	}
	if !strings.HasPrefix(out, "device phone of 2 forgotten, it had 3; 0 sessions closed") {
		t.Errorf("%q", out)
	}
	listener = start(t, nil, "listen", "--as", "2", "--device", "phone", "--url", url)
	listener.stdout.has(t, `^system: b\nsystem: c\n$`)
	if out := call(t, caller, "user", "forget-device", "2", "phone", "--force", "-o", "json"); !strings.Contains(out, `"sessions": 1`) {
		t.Errorf("%s", out)
	}
}

func TestConfigIsShownAsItIs(t *testing.T) {
	_, _, caller := serveWithAdmin(t, "--inbox-entries", "7")
	out := call(t, caller, "config", "show")
	for _, line := range []string{`(?m)^inbox\.entries +7 +--inbox-entries$`, `(?m)^shards +kept +default$`, `(?m)^admin\.listen +127.0.0.1:0 +--admin$`, `(?m)^admin\.tokens +\*\*\* \(0\) +default$`} {
		if !regexp.MustCompile(line).MatchString(out) {
			t.Errorf("no %s in %s", line, out)
		}
	}
	secret, err := os.ReadFile(filepath.Join(caller[3], "admin-token"))
	if err != nil || strings.Contains(out, strings.TrimSpace(string(secret))) {
		t.Errorf("the token is in it, %v: %s", err, out)
	}
}

func TestComplaintsOfTheCallsSayWhatToDo(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, _, caller := serveWithAdmin(t)
	at := strings.Join(caller, " ")
	bad := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(bad, []byte("a\nb c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	unusual := map[string]int{
		"broadcast --admin http://127.0.0.1:1 --data " + caller[3] + " hi": 5,
		"user forget-device 2 phone " + at:                                 3,
	}
	for line, words := range map[string][]string{
		"broadcast " + at:                                                  {"broadcast --help"},
		"broadcast --to b/b hi " + at:                                      {`--to "b/b"`, "letters, digits"},
		"broadcast --to-file /none/x hi " + at:                             {"/none/x", "a user on each line"},
		"broadcast --to-file " + bad + " hi " + at:                         {"line 2", "letters, digits"},
		"broadcast --to-file /dev/null hi " + at:                           {"no user in it", "everybody"},
		"broadcast --as b/b hi " + at:                                      {"invalid_user_id", "0 users"},
		"broadcast --admin http://127.0.0.1:1 --data " + caller[3] + " hi": {"nobody listens", "--admin"},
		"user block b/b " + at:                                             {`USER "b/b"`},
		"user block 2 --for -1s " + at:                                     {"--for is -1s", "1h"},
		"user unblock b/b " + at:                                           {`USER "b/b"`},
		"user list --blocked --prefix a " + at:                             {"--prefix", "--blocked"},
		"user trim 2 " + at:                                                {"--through", "user show 2"},
		"user forget-device 2 phone " + at:                                 {"not_found", "GetUser"},
		"user forget-device 2 " + at:                                       {"forget-device --help"},
		"config shwo":                                                      {"config --help"},
	} {
		t.Run(line, func(t *testing.T) {
			start(t, nil, strings.Fields(line)...).complains(cmp.Or(unusual[line], 2), words...)
		})
	}
}
