package main_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// patience is how long a process may take to do what a test waits for.
const patience = 20 * time.Second

// binary is the program under test, built by TestMain.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "callboard-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(folder) }() // left over, it harms nobody
		binary = filepath.Join(folder, "callboard")
		if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// process is a run of the binary.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout *output
	stderr *output
}

// start runs the binary with nothing to read, or with what input has.
func start(t *testing.T, input io.Reader, args ...string) *process {
	t.Helper()
	return startProgram(t, binary, input, args...)
}

// startProgram is start for another program than the one under test.
func startProgram(t *testing.T, program string, input io.Reader, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*patience)
	p := &process{t: t, cmd: exec.CommandContext(ctx, program, args...), stdout: newOutput(), stderr: newOutput()}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = input, p.stdout, p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = p.cmd.Wait() // an error if the test has waited already, or it was killed just now
		if t.Failed() {
			t.Logf("callboard %s\nstdout: %s\nstderr: %s", strings.Join(args, " "), p.stdout, p.stderr)
		}
	})
	return p
}

// ends waits for the end and checks the exit status.
func (p *process) ends(status int) {
	p.t.Helper()
	err := p.cmd.Wait()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		p.t.Fatal(err)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != status {
		p.t.Errorf("exit status %d, want %d", got, status)
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// complains checks that the process ends with a status and one line on stderr
// that has all the words.
func (p *process) complains(status int, words ...string) {
	p.t.Helper()
	p.complainsAfter("", status, words...)
}

// complainsAfter is complains for a process that has written something before.
func (p *process) complainsAfter(before string, status int, words ...string) {
	p.t.Helper()
	p.ends(status)
	line, ok := strings.CutPrefix(p.stderr.String(), before)
	if !ok || strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "callboard: ") {
		p.t.Errorf("stderr is not %q and one line: %q", before, p.stderr)
	}
	for _, word := range words {
		if !strings.Contains(line, word) {
			p.t.Errorf("stderr has no %q: %q", word, line)
		}
	}
	clauses := strings.Split(strings.TrimSpace(line), "; ")
	if len(slices.Compact(slices.Sorted(slices.Values(clauses)))) != len(clauses) {
		p.t.Errorf("stderr says something twice: %q", line)
	}
}

// output is what a process has written so far.
type output struct {
	mu      sync.Mutex
	written bytes.Buffer
	grown   chan struct{} // closed and replaced with every write
}

func newOutput() *output { return &output{grown: make(chan struct{})} }

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.grown)
	o.grown = make(chan struct{})
	return o.written.Write(b)
}

// String is all of it.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.written.String()
}

// has waits until the output matches, and returns the first group.
func (o *output) has(t *testing.T, pattern string) string {
	t.Helper()
	return o.hasBehind(t, 0, pattern)
}

// hasBehind is has for what comes behind the first so many bytes.
func (o *output) hasBehind(t *testing.T, seen int, pattern string) string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	limit := time.After(patience)
	for {
		o.mu.Lock()
		match, grown := expression.FindStringSubmatch(o.written.String()[seen:]), o.grown
		o.mu.Unlock()
		if match != nil {
			return match[len(match)-1]
		}
		select {
		case <-grown:
		case <-limit:
			t.Fatalf("%q was never written, only %q", pattern, o)
		}
	}
}

// serve starts the service on a port of its own, with inboxes of its own.
func serve(t *testing.T, args ...string) (service *process, url string) {
	t.Helper()
	service = start(t, nil, append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "", "--data", t.TempDir()}, args...)...)
	address := service.stderr.has(t, `msg=serving address=(\S+)`)
	ready(t, "http://"+address+"/readyz")
	return service, "ws://" + address
}

// ready asks until the service is ready.
func ready(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return
		}
		time.Sleep(5 * time.Millisecond) // another process: nothing tells, and some count how often they are asked
	}
}

func TestReadmeSession(t *testing.T) {
	_, url := serve(t)
	listener := start(t, nil, "listen", "--as", "2", "--url", url)
	listener.stderr.has(t, `listening as 2\n`)

	start(t, nil, "send", "--as", "1", "--to", "2", "--url", url, "hello").ends(0)

	listener.stdout.has(t, `^1: hello\n$`)
	listener.signal(os.Interrupt)
	listener.ends(0)
	if notes := listener.stderr.String(); notes != "listening as 2\n" {
		t.Errorf("stderr is %q", notes)
	}
}

func TestListenPrintsFramesAsJSON(t *testing.T) {
	_, url := serve(t)
	for user, flags := range map[string][]string{"2": {"--json"}, "3": {"-o", "json"}, "4": {"--output=json"}} {
		listener := start(t, nil, append([]string{"listen", "--as", user, "--url", url}, flags...)...)
		listener.stderr.has(t, `listening as `+user+`\n`)

		start(t, nil, "send", "--as", "1", "--to", user, "--url", url, "two\nlines").ends(0)

		listener.stdout.has(t, `^\{"type":2,.*"sender":1,"receiver":`+user+`,"content":"two\\nlines".*\}\n$`)
	}
}

// Nobody can write a text that YAML does not take, or that reads as another.
func TestListenPrintsDocumentsAsYAML(t *testing.T) {
	_, url := serve(t)
	listener := start(t, nil, "listen", "--as", "2", "-o", "yaml", "--url", url)
	listener.stderr.has(t, `listening as 2\n`)
	texts := []string{"two\nlines", "\x01\x1b[2J\x7f\u0085\u2028\ufeff\ufffe", "no\n---\ntype: 4", "ü👩‍💻", "{a: 1}", ""}
	for i, text := range texts {
		start(t, nil, "send", "--as", "1", "--to", "2", "--url", url, text).ends(0)
		listener.stdout.has(t, `(^|\n)seq: `+strconv.Itoa(i+1)+`\n(.*\n)*at: \d+\n$`)
	}
	documents := yaml.NewDecoder(strings.NewReader(listener.stdout.String()))
	for i, text := range texts {
		var got struct {
			Type    int
			Seq     int
			Sender  int
			Content string
		}
		if err := documents.Decode(&got); err != nil || got.Type != 2 || got.Seq != i+1 || got.Sender != 1 || got.Content != text {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if err := documents.Decode(new(any)); !errors.Is(err, io.EOF) {
		t.Errorf("there is more: %v", err)
	}
}

// A text cannot pass for a message of somebody else, or move the cursor.
func TestListenPrintsAMessageOnOneLine(t *testing.T) {
	_, url := serve(t)
	listener := start(t, nil, "listen", "--as", "2", "--url", url)
	listener.stderr.has(t, `listening as 2\n`)

	start(t, nil, "send", "--as", "1", "--to", "2", "--url", url, "a\n9: b\x1b[2J\u202e ü👩‍💻").ends(0)

	listener.stdout.has(t, `^1: a\\n9: b\\x1b\[2J\\u202e ü👩‍💻\n$`)
}

func TestSendTakesAMessageFromEachLine(t *testing.T) {
	_, url := serve(t)
	listener := start(t, nil, "listen", "--as", "2", "--url", url)
	listener.stderr.has(t, `listening as 2\n`)
	var lines, want strings.Builder
	for i := range 1000 {
		fmt.Fprintln(&lines, i)
		fmt.Fprintln(&want, "1:", i)
	}

	start(t, strings.NewReader(lines.String()), "send", "--as", "1", "--to", "2", "--url", url).ends(0)

	listener.stdout.has(t, `\n1: 999\n$`)
	if got := listener.stdout.String(); got != want.String() {
		t.Errorf("other messages than were sent: %q", got)
	}
}

func TestMessageForAnAbsentUserWaits(t *testing.T) {
	_, url := serve(t)
	start(t, nil, "send", "--as", "1", "--to", "2", "--url", url, "hello").ends(0)
	listener := start(t, nil, "listen", "--as", "2", "--url", url)
	listener.stdout.has(t, `^1: hello\n$`)
}

func TestSendPrintsReceiptsWhenAsked(t *testing.T) {
	_, url := serve(t)
	quiet := start(t, nil, "send", "--as", "1", "--to", "2", "--url", url, "hello")
	quiet.ends(0)
	if printed := quiet.stdout.String() + quiet.stderr.String(); printed != "" {
		t.Errorf("printed was %q", printed)
	}
	start(t, nil, "send", "-v", "--as", "1", "--to", "2", "--url", url, "hello").stdout.has(t, `^kept as message 2 of 2\n$`)
	start(t, strings.NewReader("a\nb\n"), "send", "--json", "--as", "1", "--to", "2", "--url", url).
		stdout.has(t, `^\{"type":4,"id":"[^"]+","seq":3,"at":\d+\}\n\{"type":4,"id":"[^"]+","seq":4,"at":\d+\}\n$`)
	start(t, nil, "send", "-o", "json", "--as", "1", "--to", "2", "--url", url, "hello").stdout.has(t, `^\{"type":4,"id":"[^"]+","seq":5,"at":\d+\}\n$`)
	start(t, strings.NewReader("a\nb\n"), "send", "-o", "yaml", "--as", "1", "--to", "2", "--url", url).
		stdout.has(t, `^---\ntype: 4\nid: \S+\nseq: 6\nat: \d+\n---\ntype: 4\nid: \S+\nseq: 7\nat: \d+\n$`)
	start(t, nil, "send", "-o", "csv", "--as", "1", "--to", "2", "--url", url, "hello").complains(2, "table, json or yaml")
}

func TestSendNamesTheLinesThatWereRefused(t *testing.T) {
	_, url := serve(t, "--inbox-entries", "1")

	sender := start(t, strings.NewReader("a\nb\nc\n"), "send", "--as", "1", "--to", "2", "--url", url)

	sender.ends(4)
	want := regexp.MustCompile(`^line 2: inbox_full: .*\nline 3: inbox_full: .*\ncallboard: 2 of 3 messages were refused, .*\n$`)
	if got := sender.stderr.String(); !want.MatchString(got) {
		t.Errorf("stderr is %q", got)
	}
}

func TestListenGoesOnWhereTheDeviceStopped(t *testing.T) {
	_, url := serve(t)
	for _, text := range []string{"one", "two"} {
		start(t, nil, "send", "--as", "1", "--to", "2", "--url", url, text).ends(0)
		listener := start(t, nil, "listen", "--as", "2", "--device", "phone", "--url", url)
		listener.stdout.has(t, `^1: `+text+`\n$`)
		listener.signal(os.Interrupt)
		listener.ends(0)
	}
}

func TestSecondListenerOfADeviceReplacesTheFirst(t *testing.T) {
	_, url := serve(t)
	first := start(t, nil, "listen", "--as", "2", "--device", "phone", "--url", url)
	first.stderr.has(t, `listening as 2\n`)

	second := start(t, nil, "listen", "--as", "2", "--device", "phone", "--url", url)

	second.stderr.has(t, `listening as 2\n`)
	first.complainsAfter("listening as 2\n", 4, "4004 replaced", "two device names")
}

func TestSendNamesTheLineThatCannotBeSent(t *testing.T) {
	_, url := serve(t)
	listener := start(t, nil, "listen", "--as", "2", "--url", url)
	listener.stderr.has(t, `listening as 2\n`)
	status := map[string]int{"too_large": 4, "invalid_utf8": 2}
	for code, line := range map[string]string{
		"too_large":    strings.Repeat("x", 70_000),
		"invalid_utf8": "\xff",
	} {
		start(t, strings.NewReader("first\n"+line+"\nthird\n"), "send", "--as", "1", "--to", "2", "--url", url).
			complains(status[code], "line 2", code, "sent before it: 1")
	}
	listener.stdout.has(t, `^1: first\n1: first\n$`)
}

// The service goes and comes back: listen and send say so, and lose nothing.
func TestListenAndSendSurviveARestart(t *testing.T) {
	data := t.TempDir()
	service, url := serve(t, "--data", data, "--listen", freePort(t))
	listener := start(t, nil, "listen", "--as", "1", "--url", url)
	listener.stderr.has(t, `listening as 1\n`)
	input, typing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = typing.Close(), input.Close() })
	sender := start(t, input, "send", "--as", "1", "--to", "1", "--url", url)
	if _, err := typing.WriteString("hello\n"); err != nil {
		t.Fatal(err)
	}
	listener.stdout.has(t, `1: hello\n`)

	service.signal(syscall.SIGTERM)
	service.ends(0)
	listener.stderr.has(t, `^listening as 1\nconnection lost: closed by the server: 1001 draining.*; connecting again\n$`)
	sender.stderr.has(t, `^connection lost: .*; connecting again\n$`)
	if _, err := typing.WriteString("are you back?\n"); err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(url, "ws://")
	start(t, nil, "serve", "--listen", address, "--admin", "", "--data", data)
	listener.stderr.has(t, `connecting again\nlistening as 1\n$`)

	listener.stdout.has(t, `^1: hello\n1: are you back\?\n$`)
	if err := typing.Close(); err != nil {
		t.Fatal(err)
	}
	sender.ends(0)
	listener.signal(os.Interrupt)
	listener.ends(0)
}

func TestSendDoesNotWaitForeverForAServiceThatWent(t *testing.T) {
	service, url := serve(t)
	input, typing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = typing.Close(), input.Close() })
	sender := start(t, input, "send", "-v", "--as", "1", "--to", "1", "--wait", "5s", "--url", url)
	if _, err := typing.WriteString("hello\n"); err != nil {
		t.Fatal(err)
	}
	sender.stdout.has(t, `kept as message 1`)
	service.signal(syscall.SIGKILL)
	sender.stderr.has(t, `connection lost: .*\n`)
	if _, err := typing.WriteString("is anybody there?\n"); err != nil {
		t.Fatal(err)
	}
	sender.ends(5)
	sender.stderr.has(t, `\ncallboard: no confirmation within 5s: .*; 1 of 2 messages were confirmed\n$`)
}

func TestTermDrainsAndExitsWithZero(t *testing.T) {
	service, url := serve(t, "--drain", "2s")
	listener := start(t, nil, "listen", "--as", "2", "--url", url)
	listener.stderr.has(t, `listening as 2\n`)

	service.signal(syscall.SIGTERM)

	service.ends(0)
	service.stderr.has(t, `msg=stopped`)
	listener.stderr.has(t, `^listening as 2\nconnection lost: closed by the server: 1001 draining.*; connecting again\n$`)
}

func TestRefusedListenerSaysWhy(t *testing.T) {
	_, url := serve(t, "--max-connections", "1")
	listener := start(t, nil, "listen", "--as", "1", "--url", url)
	listener.stderr.has(t, `listening as 1\n`)

	start(t, nil, "listen", "--as", "2", "--url", url).complains(5, "too_many_connections", "try again")
}

func TestComplaintsSayWhatToDo(t *testing.T) {
	unusual := map[string]int{"listen --as 2 --url ws://127.0.0.1:1": 5, "send --to 2 --token-file /none hello": 6}
	for line, words := range map[string][]string{
		"srve":                                     {`"srve"`, "did you mean serve", "callboard --help"},
		"nonsense":                                 {`"nonsense"`, "callboard --help"},
		"nonsense --admin x":                       {`there is no command "nonsense"`, "callboard --help"},
		"user shwo 2 --admin x":                    {`there is no command "shwo"`, "did you mean show", "callboard user --help"},
		"user --nonsense":                          {"unknown flag: --nonsense", "callboard user --help"},
		"user show":                                {"received 0", "callboard user show USER", "callboard user show --help"},
		"stats 2":                                  {`"2" is too much`, "callboard stats --help"},
		"help nonsense":                            {`there is no command "nonsense"`, "callboard"},
		"help user shwo":                           {`there is no command "shwo"`, "did you mean show"},
		"serve --nonsense":                         {"--nonsense", "callboard serve --help"},
		"serve nonsense":                           {`"nonsense"`, "callboard serve --help"},
		"completion tcsh":                          {`"tcsh"`, "callboard completion --help"},
		"serve --listen 0.0.0.0:0":                 {"0.0.0.0:0", "any user", "--insecure"},
		"serve --listen :0":                        {"--insecure"},
		"serve --listen nonsense":                  {"--listen", "host:port"},
		"serve --drain 0s":                         {"--drain", "10s"},
		"listen":                                   {"--as is missing", "--as 2"},
		"listen --as system":                       {`--as "system"`, "nobody connects as it", "take another id"},
		"send --as system --to 2 hi":               {`--as "system"`, "nobody connects as it"},
		"token new --user system":                  {`--user "system"`, "nobody connects as it"},
		"listen --as a/b":                          {`--as "a/b"`, "letters, digits"},
		"listen --as 2 --url http://127.0.0.1":     {"http://127.0.0.1", "ws://127.0.0.1:8080"},
		"listen --as 2 --url ws://127.0.0.1:1":     {"connection refused", "callboard serve", "--url"},
		"send --as 1 hello":                        {"--to is missing", "--to 2"},
		"send --as 1 --to ! hello":                 {`--to "!"`, "letters, digits"},
		"send --to 2 --token-file /none hello":     {"/none", "--token-file", "callboard serve"},
		"send --as 1 --to 2 hello there":           {"quotes", "callboard send --help"},
		"send --as 1 --to 2 --wait -1s hello":      {"--wait", "30s"},
		"send --as 1 --to 2 --wait nonsense hello": {"--wait", "callboard send --help"},
	} {
		t.Run(line, func(t *testing.T) {
			start(t, nil, strings.Fields(line)...).complains(cmp.Or(unusual[line], 2), words...)
		})
	}
}

func TestVersionSaysWhatWasBuilt(t *testing.T) {
	version := start(t, nil, "version")
	version.ends(0)
	version.stdout.has(t, `^callboard \S+ .*go1\.\d+.* \w+/\w+\n$`)
}

func TestCompletionIsAScript(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		script := start(t, nil, "completion", shell)
		script.ends(0)
		if !strings.Contains(script.stdout.String(), "callboard") {
			t.Errorf("%s: %q", shell, script.stdout)
		}
	}
}
