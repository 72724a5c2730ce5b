package main_test

import (
	"cmp"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// serveWithAdmin starts the service with an admin API, and returns the flags by which
// the commands find it.
func serveWithAdmin(t *testing.T, args ...string) (service *process, url string, caller []string) {
	t.Helper()
	data := t.TempDir()
	service, url = serve(t, append([]string{"--admin", "127.0.0.1:0", "--data", data}, args...)...)
	address := service.stderr.has(t, `msg="serving operators" address=(\S+)`)
	return service, url, []string{"--admin", "http://" + address, "--data", data}
}

// call runs a command that is to succeed and returns what it printed.
func call(t *testing.T, caller []string, args ...string) string {
	t.Helper()
	p := start(t, nil, append(args, caller...)...)
	p.ends(0)
	return p.stdout.String()
}

func TestOperatorSendsLooksAndCloses(t *testing.T) {
	service, url, caller := serveWithAdmin(t)
	listener := start(t, nil, "listen", "--as", "2", "--device", "phone", "--url", url)
	listener.stderr.has(t, `listening as 2\n`)

	if out := call(t, caller, "send", "--to", "2", "-v", "hello"); out != "kept as message 1 of 2\n" {
		t.Errorf("%q", out)
	}
	listener.stdout.has(t, `^system: hello\n$`)

	if out := call(t, caller, "user", "list"); !regexp.MustCompile(`USER +STATE +SHARD.*\n2 +active `).MatchString(out) {
		t.Errorf("%s", out)
	}
	if out := call(t, caller, "session", "list"); !regexp.MustCompile(`\n1 +2 +phone +delivering +\d+s .* callboard\.v1\.\w+ +127\.0\.0\.1:\d+\n`).MatchString(out) {
		t.Errorf("%s", out)
	}
	if out := call(t, caller, "user", "show", "2"); !strings.Contains(out, "head") || !strings.Contains(out, "phone") {
		t.Errorf("%s", out)
	}
	if out := call(t, caller, "tree", "show"); len(regexp.MustCompile(`\nshard \d+ `).FindAllString(out, -1)) != 16 || !strings.Contains(out, "1 sessions") || !strings.Contains(out, "works") {
		t.Errorf("%s", out)
	}
	var stats struct{ Sessions, Users, Version string }
	if err := json.Unmarshal([]byte(call(t, caller, "stats", "-o", "json")), &stats); err != nil || stats.Sessions != "1" || stats.Version == "" {
		t.Errorf("%+v: %v", stats, err)
	}

	if out := call(t, caller, "session", "close", "1", "--reason", "enough"); out != "session 1 of 2 closed\n" {
		t.Errorf("%q", out)
	}
	listener.complainsAfter("listening as 2\n", 4, "4003", "enough")
	service.stderr.has(t, `msg="admin call" who=admin-token role=admin call=/callboard.admin.v1.AdminService/CloseSession target="session=1 .*result=ok`)
	if out := call(t, caller, "user", "show", "2", "-o", "json"); !strings.Contains(out, `"reason": "enough"`) || !strings.Contains(out, `"code": 4003`) {
		t.Errorf("%s", out)
	}
	if out := call(t, caller, "user", "close", "2"); out != "0 sessions of 2 closed\n" {
		t.Errorf("%q", out)
	}
	none := start(t, nil, append([]string{"user", "close", "2", "--device", "phone", "-o", "json"}, caller...)...)
	none.complains(3, `2 has no session of the device "phone"`, "callboard session list --user 2")
	if out := none.stdout.String(); out != "" {
		t.Errorf("%q", out)
	}
}

func TestDrainEndsSessionsAndTheServiceCanBeStopped(t *testing.T) {
	service, url, caller := serveWithAdmin(t)
	listener := start(t, nil, "listen", "--as", "2", "--url", url)
	listener.stderr.has(t, `listening as 2\n`)

	out := call(t, caller, "drain", "--over", "100ms")

	if !strings.HasPrefix(out, "draining 1 sessions over 100ms\n") || !strings.Contains(out, "no session is left") {
		t.Errorf("%q", out)
	}
	listener.stderr.has(t, `connection lost: closed by the server: 1001 draining`)
	service.signal(syscall.SIGTERM)
	service.ends(0)
}

// Without --over a drain is as long as the one at SIGTERM is.
func TestDrainIsAsLongAsTheServicesSetting(t *testing.T) {
	name := configured(t, filepath.Join(t.TempDir(), "c.yaml"), "drain: 24h\n")
	service, url, caller := serveWithAdmin(t, "--config", name)
	device(t, url, "phone", nil)
	configured(t, name, "drain: 70ms\n")
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `key=drain old=24h new=70ms`)

	if out := call(t, caller, "drain"); !strings.HasPrefix(out, "draining 1 sessions over 70ms\n") || !strings.Contains(out, "no session is left") {
		t.Errorf("%q", out)
	}
	if out := call(t, caller, "drain", "--over", "0s"); !strings.HasPrefix(out, "draining 0 sessions over 1ms\n") {
		t.Errorf("%q", out)
	}
}

// Who guesses from an operator's address does not keep out who has the service's token, and a script can tell a pause from a
// wrong token.
func TestGuessesDoNotKeepTheOperatorOut(t *testing.T) {
	text, operators := tokensOf()
	_, _, caller := serveWithAdmin(t, "--config", configured(t, filepath.Join(t.TempDir(), "c.yaml"), text))
	as := func(secret string) *process { return start(t, nil, "stats", caller[0], caller[1], "--token", secret) }
	as("wrong").complains(6, "unauthenticated", "admin-token")
	var refused atomic.Bool
	stop, stopped := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-stopped })
	go func() { // a guess more may fail each second, and who is right be let in
		defer close(stopped)
		for {
			answer, err := http.Get(caller[1] + "/metrics")
			if err != nil {
				t.Errorf("guessing: %v", err)
				return
			}
			answer.Body.Close()
			refused.Store(answer.StatusCode != http.StatusUnauthorized)
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	for limit := time.Now().Add(patience); !refused.Load() && time.Now().Before(limit); {
		time.Sleep(5 * time.Millisecond)
	}
	call(t, caller, "stats")
	for limit := time.Now().Add(patience); ; {
		viewer := as(operators[0].secret)
		_ = viewer.cmd.Wait() // its status says it
		if status := viewer.cmd.ProcessState.ExitCode(); status == 5 && strings.Contains(viewer.stderr.String(), "refused: too_many_failures: ") {
			return
		} else if status != 0 {
			t.Fatalf("exit status %d: %s", status, viewer.stderr)
		}
		if time.Now().After(limit) {
			t.Fatal("the address was never refused")
		}
	}
}

func TestSystemSendsALineEach(t *testing.T) {
	_, _, caller := serveWithAdmin(t, "--inbox-entries", "1")
	sender := start(t, strings.NewReader("a\nb\nc\n"), append([]string{"send", "--to", "2"}, caller...)...)
	sender.ends(4)
	want := regexp.MustCompile(`^line 2: refused: inbox_full: .*\nline 3: refused: inbox_full: .*\ncallboard: 2 of 3 messages were refused.*\n$`)
	if got := sender.stderr.String(); !want.MatchString(got) {
		t.Errorf("stderr is %q", got)
	}
}

func TestTokenSurvivesARestartAndIsOnlyForItsOwner(t *testing.T) {
	service, _, caller := serveWithAdmin(t)
	data := caller[3]
	first, err := os.ReadFile(filepath.Join(data, "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(data, "admin-token"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if strings.Contains(service.stderr.String(), strings.TrimSpace(string(first))) {
		t.Error("the token is in the log")
	}
	service.signal(syscall.SIGTERM)
	service.ends(0)
	again := start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", data)
	again.stderr.has(t, `msg="serving operators"`)
	second, err := os.ReadFile(filepath.Join(data, "admin-token"))
	if err != nil || string(second) != string(first) {
		t.Errorf("%q became %q: %v", first, second, err)
	}
}

func TestMemoryServiceHasItsTokenInTheCache(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	service, _ := serve(t, "--store", "memory", "--admin", "127.0.0.1:0")
	address := service.stderr.has(t, `msg="serving operators" address=(\S+)`)
	call(t, nil, "stats", "--admin", "http://"+address, "--data", t.TempDir())
}

func TestWithoutAdminNobodyListens(t *testing.T) {
	service, _ := serve(t) // with --admin ""
	if strings.Contains(service.stderr.String(), "operators") {
		t.Errorf("%s", service.stderr)
	}
}

func TestAdminComplaintsSayWhatToDo(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, url, caller := serveWithAdmin(t)
	at := strings.Join(caller, " ")
	mixedUp := strings.NewReplacer("@users", strings.Replace(url, "ws", "http", 1), "@operators", strings.Replace(caller[1], "http", "ws", 1))
	unusual := map[string]int{
		"stats --data /none":                                                 6,
		"stats --admin @users --data " + caller[3]:                           3,
		"listen --as 2 --url @operators":                                     4,
		"stats " + at + " --admin http://127.0.0.1:1":                        5,
		"user show nobody " + at:                                             3,
		"session close 99 " + at:                                             3,
		"send --to 2 --admin http://127.0.0.1:1 hi " + "--data " + caller[3]: 5,
	}
	for line, words := range map[string][]string{
		"serve --admin 0.0.0.0:0":                     {"0.0.0.0:0", "in clear", "--insecure"},
		"serve --admin nonsense":                      {"--admin", "host:port"},
		"stats --admin @users --data " + caller[3]:    {"not_found", "is this the admin API", "--admin"},
		"listen --as 2 --url @operators":              {"unimplemented", "is this where the users", "--url"},
		"stats --data /none":                          {"/none", "'callboard serve' writes it", "--data", "--token-file", "CALLBOARD_TOKEN"},
		"stats --admin 127.0.0.1:8081":                {"http://host:port"},
		"stats --admin http://192.0.2.1:1":            {"in clear", "https", "--insecure"},
		"stats " + at + " --admin http://127.0.0.1:1": {"nobody listens", "callboard serve", "--admin"},
		"stats -o xml " + at:                          {"xml", "table, json or yaml"},
		"user show b/b " + at:                         {`USER "b/b"`, "letters, digits"},
		"user show nobody " + at:                      {"not_found", "spelling"},
		"user close 2 --code 1006 " + at:              {"close code", "4003"},
		"session close x " + at:                       {"session list"},
		"session close 99 " + at:                      {"not_found", "ListSessions"},
		"user":                                        nil,
		"user shw":                                    {"user --help"},
		"send --to 2 --admin http://127.0.0.1:1 hi " + "--data " + caller[3]: {"nobody listens"},
	} {
		t.Run(line, func(t *testing.T) {
			p := start(t, nil, strings.Fields(mixedUp.Replace(line))...)
			if words == nil {
				p.ends(0)
				return
			}
			p.complains(cmp.Or(unusual[line], 2), words...)
		})
	}
	t.Run("wrong token", func(t *testing.T) {
		t.Setenv("CALLBOARD_TOKEN", "guess")
		start(t, nil, append([]string{"stats"}, caller...)...).complains(6, "unauthenticated", "admin-token")
	})
}
