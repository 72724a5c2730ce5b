package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// configured writes a configuration, in one step: a service may be reading it again just now.
func configured(t *testing.T, name, text string) string {
	t.Helper()
	must(t, os.WriteFile(name+".new", []byte(text), 0o600))
	must(t, os.Rename(name+".new", name))
	return name
}

func TestReferenceIsUpToDate(t *testing.T) {
	for form, file := range map[string]string{"markdown": "CONFIGURATION.md", "yaml": "callboard.yaml"} {
		docs := start(t, nil, "config", "docs", "-o", form)
		docs.ends(0)
		kept, err := os.ReadFile(filepath.Join("..", "..", "deploy", file))
		if err != nil || string(kept) != docs.stdout.String() {
			t.Errorf("deploy/%s is not what 'callboard config docs -o %s' prints: go generate ./... (%v)", file, form, err)
		}
	}
	check := start(t, nil, "config", "check", filepath.Join("..", "..", "deploy", "callboard.yaml"))
	check.ends(0)
	check.stdout.has(t, `callboard\.yaml is right\n$`)
}

func TestConfigCheckNamesEveryFault(t *testing.T) {
	name := configured(t, filepath.Join(t.TempDir(), "c.yaml"), "drian: 5s\nlog:\n  level: loud\nlisten: 0.0.0.0:1\n")
	check := start(t, nil, "config", "check", name)
	check.ends(1)
	want := name + ":1: drian is no setting; did you mean drain\n" + name + ":3: log.level \"loud\": give debug, info, warn or error\n"
	if got := check.stdout.String(); got != want {
		t.Errorf("%q", got)
	}
	if got := check.stderr.String(); got != "callboard: there are 2 faults in the configuration; the lines above say which\n" {
		t.Errorf("%q", got)
	}
	configured(t, name, "listen: 0.0.0.0:1\n")
	start(t, nil, "config", "check", name, "--insecure").ends(0)
	start(t, nil, "config", "check", name).ends(1)
	start(t, nil, "config", "check", "/none").complains(3, "/none", "--config")
	start(t, nil, "config", "docs", "-o", "toml").complains(2, "toml", "markdown or yaml")
}

func TestServeTakesFileEnvironmentAndFlags(t *testing.T) {
	name := configured(t, filepath.Join(t.TempDir(), "c.yaml"), "max-connections: 1\nlog:\n  format: json\n")
	t.Setenv("CALLBOARD_CONFIG", name)
	t.Setenv("CALLBOARD_LOG_FORMAT", "text")
	t.Setenv("CALLBOARD_DRIAN", "1s")
	service, url := serve(t, "--inbox-entries", "1")
	service.stderr.has(t, `msg=environment problem="CALLBOARD_DRIAN is no setting; did you mean CALLBOARD_DRAIN"`)
	listener := start(t, nil, "listen", "--as", "1", "--url", url)
	listener.stderr.has(t, `listening as 1\n`)
	start(t, nil, "listen", "--as", "2", "--url", url).complains(5, "too_many_connections")
}

func TestServeRefusesAWrongFileInALine(t *testing.T) {
	name := configured(t, filepath.Join(t.TempDir(), "c.yaml"), "shards: 0\ndrian: 1s\n")
	start(t, nil, "serve", "--config", name).complains(2, name+":1: shards \"0\": give 1 to 4096", "the first of 2 faults", "config check")
	start(t, nil, "serve", "--config", "/none").complains(3, "/none", "--config", "CALLBOARD_CONFIG")
	t.Setenv("CALLBOARD_SHARDS", "0")
	start(t, nil, "serve").complains(2, "CALLBOARD_SHARDS \"0\": give 1 to 4096")
}

func TestHangupTakesWhatCanBeTaken(t *testing.T) {
	name := filepath.Join(t.TempDir(), "c.yaml")
	configured(t, name, "max-connections: 5\nshards: 4\ninbox: {entries: 10}\n")
	service, url := serve(t, "--config", name)
	dial(t, url, "1", "https://app.example.org").refused(t, "origin_not_allowed")

	configured(t, name, `max-connections: 1
shards: 8
allow-origins: [https://app.example.org]
drain: 1ms
inbox: {entries: 1, bytes: 65536}
retention: {age: 1m, entries: 1}
log: {level: debug, format: json}
`)
	service.signal(syscall.SIGHUP)

	service.stderr.has(t, `msg="configuration reloaded" file=\S+ changed=8 need_restart=2\n`)
	for _, line := range []string{
		`level=INFO msg="configuration changed" key=max-connections old=5 new=1\n`,
		`level=INFO msg="configuration changed" key=allow-origins old=\[\] new=\[https://app.example.org\]\n`,
		`level=INFO msg="configuration changed" key=log.level old=info new=debug\n`,
		`level=WARN msg="configuration needs a restart" key=shards running=4 configured=8\n`,
		`level=WARN msg="configuration needs a restart" key=log.format running=text configured=json\n`,
	} {
		service.stderr.has(t, line)
	}
	allowed := dial(t, url, "1", "https://app.example.org").accepted(t)
	defer allowed.Close()
	dial(t, url, "2", "").refused(t, "too_many_connections")
	allowed.Close()
	full := regexp.MustCompile(`(?m)^line 2: inbox_full: `)
	for limit := time.Now().Add(patience); ; { // until the service has missed the connection, whose place it takes
		sender := start(t, strings.NewReader("a\nb\n"), "send", "--as", "1", "--to", "2", "--url", url)
		_ = sender.cmd.Wait() // its status says it
		status := sender.cmd.ProcessState.ExitCode()
		if status == 5 && strings.Contains(sender.stderr.String(), "too_many_connections") && time.Now().Before(limit) {
			continue
		}
		if status != 4 || !full.MatchString(sender.stderr.String()) {
			t.Errorf("exit status %d: %s", status, sender.stderr)
		}
		break
	}
	configured(t, name, "max-connections: 1\nshards: 8\n") // the same shards again: said again
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `changed=7 need_restart=1\n`)
	service.signal(syscall.SIGTERM)
	service.ends(0)
}

func TestHangupWithAWrongFileChangesNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "c.yaml")
	configured(t, name, "max-connections: 1\n")
	service, url := serve(t, "--config", name)
	for i, wrong := range []string{
		"max-connections: 5\ndrian: 1s\n",
		"max-connections: none\n",
		"max-connections: 5\n\tdrain\n",
		"max-connections: 5\ntls: {cert: a}\n",
	} {
		configured(t, name, wrong)
		service.signal(syscall.SIGHUP)
		service.stderr.has(t, fmt.Sprintf(`(?s)(level=ERROR msg="configuration not reloaded" fault="%s:.*){%d}`, name, i+1))
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `msg="configuration not reloaded" error="there is no configuration in `)

	defer dial(t, url, "1", "").accepted(t).Close()
	dial(t, url, "2", "").refused(t, "too_many_connections")
	if strings.Contains(service.stderr.String(), "changed") {
		t.Errorf("%s", service.stderr)
	}
}

// SIGHUP without a file, and while the service starts, ends nothing.
func TestHangupEndsNothing(t *testing.T) {
	service, url := serve(t)
	for range 5 {
		service.signal(syscall.SIGHUP)
	}
	service.stderr.has(t, `msg="configuration reloaded" file="" changed=0 need_restart=0\n`)
	start(t, nil, "send", "--as", "1", "--to", "2", "--url", url, "hello").ends(0)
	service.signal(syscall.SIGTERM)
	service.ends(0)
}
