package main_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"callboard/cmd/callboard/config"
)

// effects are the tests that show what each setting does in a service, and what a new value does that SIGHUP brings.
var effects = map[string]string{
	"listen":               "TestListenAndInsecureOpenAnAddress",
	"insecure":             "TestListenAndInsecureOpenAnAddress",
	"allow-origins":        "TestHangupTakesWhatCanBeTaken",
	"drain":                "TestDrainIsAsLongAsTheLastReloadSaid",
	"max-connections":      "TestHangupTakesWhatCanBeTaken",
	"shards":               "TestNumberOfShardsSurvivesARestart",
	"data":                 "TestStoreIsMadeAsConfigured",
	"backup-dir":           "TestBackupsAndTheTokenAreWhereConfigured",
	"supervision.failures": "TestIntensityIsWhatIsConfigured",
	"supervision.window":   "TestIntensityIsWhatIsConfigured",
	"supervision.park":     "TestIntensityIsWhatIsConfigured",
	"supervision.max-park": "TestIntensityIsWhatIsConfigured",

	"supervision.retry-after":         "TestHangupChangesAllOfTheSupervision",
	"supervision.max-retry-after":     "TestHangupChangesAllOfTheSupervision",
	"supervision.registry.failures":   "TestHangupChangesAllOfTheSupervision",
	"supervision.registry.window":     "TestHangupChangesAllOfTheSupervision",
	"supervision.registry.park":       "TestHangupChangesAllOfTheSupervision",
	"supervision.registry.max-park":   "TestHangupChangesAllOfTheSupervision",
	"supervision.shard.failures":      "TestHangupChangesAllOfTheSupervision",
	"supervision.shard.window":        "TestHangupChangesAllOfTheSupervision",
	"supervision.shard.park":          "TestHangupChangesAllOfTheSupervision",
	"supervision.shard.max-park":      "TestHangupChangesAllOfTheSupervision",
	"supervision.gateway.failures":    "TestHangupChangesAllOfTheSupervision",
	"supervision.gateway.window":      "TestHangupChangesAllOfTheSupervision",
	"supervision.gateway.park":        "TestHangupChangesAllOfTheSupervision",
	"supervision.gateway.max-park":    "TestHangupChangesAllOfTheSupervision",
	"supervision.doorkeeper.failures": "TestHangupChangesAllOfTheSupervision",
	"supervision.doorkeeper.window":   "TestHangupChangesAllOfTheSupervision",
	"supervision.doorkeeper.park":     "TestHangupChangesAllOfTheSupervision",
	"supervision.doorkeeper.max-park": "TestHangupChangesAllOfTheSupervision",
	"supervision.coroner.failures":    "TestHangupChangesAllOfTheSupervision",
	"supervision.coroner.window":      "TestHangupChangesAllOfTheSupervision",
	"supervision.coroner.park":        "TestHangupChangesAllOfTheSupervision",
	"supervision.coroner.max-park":    "TestHangupChangesAllOfTheSupervision",
	"supervision.journal.failures":    "TestHangupChangesAllOfTheSupervision",
	"supervision.journal.window":      "TestHangupChangesAllOfTheSupervision",
	"supervision.journal.park":        "TestHangupChangesAllOfTheSupervision",
	"supervision.journal.max-park":    "TestHangupChangesAllOfTheSupervision",

	"supervision.stuck-after":          "TestLimitsOfTheActorsAreWhatIsConfigured",
	"supervision.deadletters.messages": "TestLimitsOfTheActorsAreWhatIsConfigured",
	"supervision.deadletters.bytes":    "TestLimitsOfTheActorsAreWhatIsConfigured",

	"tls.cert":                   "TestCertificateIsRenewedWithoutARestart",
	"tls.key":                    "TestCertificateIsRenewedWithoutARestart",
	"identity.issuer":            "TestTokensAreTakenAndForgeriesAreNot",
	"identity.audiences":         "TestTokensAreTakenAndForgeriesAreNot",
	"identity.jwks":              "TestKeysOfTheIssuerComeChangeAndGo",
	"identity.keys":              "TestHangupTakesKeysAndRevokedTokens",
	"identity.development":       "TestDevelopmentTokensFromTheKeyToTheMessage",
	"identity.revoked":           "TestHangupTakesKeysAndRevokedTokens",
	"identity.revoked-file":      "TestSessionLastsAsLongAsItsToken",
	"identity.grace":             "TestSessionLastsAsLongAsItsToken",
	"identity.leeway":            "TestLeewayAndPlacesOfTokensAreAsConfigured",
	"identity.query-token":       "TestLeewayAndPlacesOfTokensAreAsConfigured",
	"limits.sessions-per-user":   "TestSessionsAndFramesAreBoundedAsConfigured",
	"limits.frame-bytes":         "TestSessionsAndFramesAreBoundedAsConfigured",
	"limits.pending":             "TestPendingConnectionsAreBoundedAsConfigured",
	"limits.sends.session-rate":  "TestSendsAreBoundedAsConfigured",
	"limits.sends.session-burst": "TestSendsAreBoundedAsConfigured",
	"limits.sends.user-rate":     "TestSendsAreBoundedAsConfigured",
	"limits.sends.user-burst":    "TestSendsAreBoundedAsConfigured",
	"limits.sends.slow-for":      "TestSendsAreBoundedAsConfigured",
	"limits.sends.refusals":      "TestSendsAreBoundedAsConfigured",
	"limits.attempts.rate":       "TestAttemptsAreBoundedAsConfigured",
	"limits.attempts.burst":      "TestAttemptsAreBoundedAsConfigured",
	"limits.attempts.exempt":     "TestAttemptsAreBoundedAsConfigured",
	"limits.attempts.proxies":    "TestAttemptsAreBoundedAsConfigured",
	"inbox.entries":              "TestHangupTakesWhatCanBeTaken",
	"inbox.bytes":                "TestInboxTakesAsManyBytesAsConfigured",
	"store.kind":                 "TestMemoryServiceHasItsTokenInTheCache",
	"store.cache":                "TestStoreIsMadeAsConfigured",
	"store.memtable":             "TestStoreIsMadeAsConfigured",
	"store.memory":               "TestStoreMemoryIsTheLimit",
	"retention.age":              "TestRetentionTakesWhatIsConfigured",
	"retention.entries":          "TestRetentionTakesWhatIsConfigured",
	"admin.listen":               "TestWithoutAdminNobodyListens",
	"admin.token-file":           "TestBackupsAndTheTokenAreWhereConfigured",
	"admin.metrics-open":         "TestMetricsCanBeLeftOpen",
	"admin.tokens":               "TestTokensOfTheConfigurationHaveTheirRoles",
	"admin.tls.cert":             "TestAdminSpeaksBothVersionsOfHTTPOverTLS",
	"admin.tls.key":              "TestAdminSpeaksBothVersionsOfHTTPOverTLS",
	"admin.tls.client-ca":        "TestOperatorsComeWithCertificates",
	"admin.tls.roles":            "TestOperatorsComeWithCertificates",
	"log.level":                  "TestLogIsAsConfigured",
	"log.format":                 "TestLogIsAsConfigured",
	"tracing.endpoint":           "TestTracesOfARealServiceReachACollector",
	"tracing.headers":            "TestTracesOfARealServiceReachACollector",
	"tracing.sample":             "TestTraceIsBegunBySampleAndReloads",
	"tracing.rate":               "TestTracesAreAsConfigured",
	"tracing.users":              "TestTracesAreAsConfigured",
	"tracing.ca":                 "TestTracesAreAsConfigured",
	"tracing.service":            "TestTracesAreAsConfigured",
	"tracing.timeout":            "TestEndWaitsForTheCollectorAsLongAsConfigured",
}

// A name alone may be that of any test: the source of this one, with the functions that it calls,
// must have the setting: its flag, its variable, or all words of its key.
func TestEverySettingHasATestOfItsEffect(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	must(t, err)
	sources := map[string]string{} // of functions, by name
	for _, name := range files {
		text, err := os.ReadFile(name)
		must(t, err)
		parsed, err := parser.ParseFile(gotoken.NewFileSet(), name, text, parser.SkipObjectResolution)
		must(t, err)
		for _, declared := range parsed.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok {
				sources[f.Name.Name] += string(text[f.Pos()-parsed.FileStart:f.End()-parsed.FileStart]) + "\n"
			}
		}
	}
	calls := regexp.MustCompile(`\b(\w+)\(`)
	for _, s := range config.Settings() {
		name := effects[s.Key]
		source := sources[name]
		if name == "" || !strings.Contains(source, "func "+name+"(t *testing.T) {") {
			t.Errorf("%s: there is no test %q of what it does: write one, and name it in effects", s.Key, name)
			continue
		}
		for _, called := range calls.FindAllStringSubmatch(source, -1) {
			source += sources[called[1]]
		}
		if !mentions(source, &s) {
			t.Errorf("%s: %s does not mention it: name in effects the test that shows what it does", s.Key, name)
		}
	}
}

// mentions says whether a source has a setting.
func mentions(source string, s *config.Setting) bool {
	if regexp.MustCompile(`"(?:--` + s.Flag + `|` + s.Env + `)[^\w-]`).MatchString(source) {
		return true
	}
	for word := range strings.SplitSeq(s.Key, ".") {
		if !regexp.MustCompile(`[^\w-]` + word + `[^\w-]`).MatchString(source) {
			return false
		}
	}
	return true
}

func TestListenAndInsecureOpenAnAddress(t *testing.T) {
	start(t, nil, "serve", "--listen", "0.0.0.0:0", "--admin", "", "--data", t.TempDir()).complains(2, "--listen", "--insecure")
	open := start(t, nil, "serve", "--listen", "0.0.0.0:0", "--insecure", "--admin", "", "--data", t.TempDir())
	port := open.stderr.has(t, `msg=serving address=\[::\]:(\d+)`)
	ready(t, "http://127.0.0.1:"+port+"/readyz")
}

// Of two sessions the second one goes after half of the time, which was a day before the reload.
func TestDrainIsAsLongAsTheLastReloadSaid(t *testing.T) {
	name := configured(t, filepath.Join(t.TempDir(), "c.yaml"), "drain: 24h\n")
	service, url := serve(t, "--config", name)
	device(t, url, "phone", nil)
	device(t, url, "tablet", nil)
	configured(t, name, "drain: 10ms\n")
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `key=drain old=24h new=10ms`)

	service.signal(syscall.SIGTERM)

	service.ends(0)

	lasting, url := serve(t, "--drain", "24h")
	device(t, url, "phone", nil)
	device(t, url, "tablet", nil)
	lasting.signal(syscall.SIGTERM)
	for limit := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) { // it listens no more; or else both signals could be one
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
		if err != nil {
			break
		}
		must(t, conn.Close())
		if time.Now().After(limit) {
			t.Fatal("the drain does not begin")
		}
	}
	ended := make(chan string, 1)
	go func() { ended <- fmt.Sprint(lasting.cmd.Wait()) }()
	select {
	case how := <-ended:
		t.Errorf("a drain of a day is over: %s", how)
	case <-time.After(time.Second):
	}
	lasting.signal(syscall.SIGTERM) // the second one ends it at once
	<-ended
}

func TestInboxTakesAsManyBytesAsConfigured(t *testing.T) {
	name := configured(t, filepath.Join(t.TempDir(), "c.yaml"), "inbox: {bytes: 65536}\n")
	service, url := serve(t, "--config", name)
	text := strings.Repeat("x", 40_000)
	send := func() *process {
		return start(t, strings.NewReader(text+"\n"), "send", "--as", "1", "--to", "2", "--url", url)
	}
	send().ends(0)
	send().ends(4)
	configured(t, name, "inbox: {bytes: 100000}\n")
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `key=inbox.bytes`)
	send().ends(0)
	send().ends(4)
}

func TestStoreIsMadeAsConfigured(t *testing.T) {
	data := filepath.Join(t.TempDir(), "inboxes")
	serve(t, "--data", data, "--store-cache", "5", "--store-memtable", "3")
	files, err := filepath.Glob(filepath.Join(data, "OPTIONS-*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	options, err := os.ReadFile(files[0])
	must(t, err)
	// Pebble's cache has room for four memtables besides, which it counts there.
	for _, line := range []string{fmt.Sprintf("cache_size=%d\n", 5<<20+4*3<<20), fmt.Sprintf("mem_table_size=%d\n", 3<<20)} {
		if !strings.Contains(string(options), line) {
			t.Errorf("pebble has no %q", line)
		}
	}
}

func TestBackupsAndTheTokenAreWhereConfigured(t *testing.T) {
	folder := t.TempDir()
	backups, token := filepath.Join(folder, "backups"), filepath.Join(folder, "token")
	_, _, caller := serveWithAdmin(t, "--backup-dir", backups, "--admin-token-file", token)
	call(t, []string{caller[0], caller[1], "--token-file", token}, "inbox", "backup", "--to", "one")
	for _, path := range []string{filepath.Join(backups, "one", "MANIFEST-000001"), token} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(caller[3], "admin-token")); err == nil {
		t.Error("there is a token in the data directory too")
	}
}

// The directory has messages of years ago; another user has new ones, and a device that has fetched them.
func TestRetentionTakesWhatIsConfigured(t *testing.T) {
	data := t.TempDir()
	must(t, os.CopyFS(data, os.DirFS("../../actors/inbox/pebble/testdata/version1")))
	name := configured(t, filepath.Join(t.TempDir(), "c.yaml"), "retention: {age: 876000h}\n")
	service, url := serve(t, "--config", name, "--data", data)
	first := func(user, device string) string {
		t.Helper()
		listener := start(t, nil, "listen", "--as", user, "--device", device, "--json", "--url", url)
		defer listener.signal(syscall.SIGTERM)
		return listener.stdout.has(t, `^(\{.*\})\n`)
	}
	sendAll(t, url, 1, 8)
	phone := device(t, url, "phone", nil)
	_, last := receive(t, phone, "8")
	last.Ack()
	must(t, phone.Close(t.Context()))
	if got := first("alice", "one"); !strings.Contains(got, `"seq":1,`) {
		t.Errorf("alice gets %s", got)
	}

	service.signal(syscall.SIGTERM) // the store has all cursors then
	service.ends(0)
	service, _ = serve(t, "--config", name, "--data", data)
	configured(t, name, "retention: {age: 1h, entries: 3}\n")
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `msg="retention took messages" entries=\d+`)

	service.signal(syscall.SIGTERM)
	service.ends(0)
	show := func(user string) string {
		p := start(t, nil, "inbox", "show", user, "--data", data)
		p.ends(0)
		return p.stdout.String()
	}
	for user, pattern := range map[string]string{"alice": `floor +2\n`, "bob": `head +13\n(?s:.*)floor +10\n`} {
		if out := show(user); !regexp.MustCompile(pattern).MatchString(out) {
			t.Errorf("%s has no %q: %s", user, pattern, out)
		}
	}
}

func TestLogIsAsConfigured(t *testing.T) {
	name := configured(t, filepath.Join(t.TempDir(), "c.yaml"), "log: {level: info, format: json}\n")
	service := start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "", "--data", t.TempDir(), "--config", name)
	url := "ws://" + service.stderr.has(t, `(?m)^\{.*"msg":"serving","address":"([^"]+)"`)
	send := func() { start(t, nil, "send", "--as", "1", "--to", "2", "--url", url, "hello").ends(0) }
	send()
	if strings.Contains(service.stderr.String(), "DEBUG") {
		t.Errorf("more is logged than was asked for: %s", service.stderr)
	}
	configured(t, name, "log: {level: debug, format: json}\n")
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `"key":"log.level","old":"info","new":"debug"`)
	send()
	service.stderr.has(t, `\n\{[^\n]*"level":"DEBUG","msg":"session ended"`)
}
