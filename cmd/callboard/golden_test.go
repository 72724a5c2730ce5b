package main_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew: what they have is a contract with scripts")

// varies are the fields whose values are another each time; their kind is what counts.
var varies = map[string]bool{
	"at_ms": true, "since_ms": true, "seen_ms": true, "started_ms": true, "oldest_ms": true, "over_ms": true, "remote": true, "version": true,
	"heap_bytes": true, "goroutines": true, "disk_bytes": true, "bytes": true, "id": true, "at": true, "epoch": true, "before": true,
	"queued": true, "messages": true, "path": true, "files": true, "took_ms": true,
	"longest_ms": true, "in_message_ms": true, "at_us": true,
}

// normal replaces what varies by its kind.
func normal(value any, field string) any {
	switch value := value.(type) {
	case map[string]any:
		for name, below := range value {
			value[name] = normal(below, name)
		}
		return value
	case []any:
		for i := range value {
			value[i] = normal(value[i], field)
		}
		return value
	case string:
		switch {
		case !varies[field]:
			return value
		case strings.Trim(value, "0123456789") == "" && value != "":
			return "<digits>"
		}
		return "<text>"
	case float64:
		if varies[field] {
			return "<number>"
		}
	}
	return value
}

// golden compares JSON objects, one after the other, with a file.
func golden(t *testing.T, name, out string) {
	t.Helper()
	var got bytes.Buffer
	for decoder := json.NewDecoder(strings.NewReader(out)); decoder.More(); {
		var object any
		if err := decoder.Decode(&object); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		encoder := json.NewEncoder(&got)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(normal(object, "")); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("callboard %s -o json is not what %s promises to scripts; it is\n%s", name, path, got.Bytes())
	}
}

// What scripts get of each command, from a service in a known state.
func TestJSONIsWhatScriptsRelyOn(t *testing.T) {
	service, url, caller := serveWithAdmin(t, "--shards", "2", "--inbox-entries", "3")
	listener := start(t, nil, "listen", "--as", "bob", "--device", "phone", "--url", url)
	listener.stderr.has(t, `listening as bob\n`)
	golden(t, "send", call(t, caller, "send", "--to", "bob", "-o", "json", "hello"))
	listener.stdout.has(t, `hello\n`)
	settles(t, caller, 1)

	for name, args := range map[string][]string{
		"user-list": {"user", "list"}, "user-show": {"user", "show", "bob"},
		"session-list": {"session", "list"}, "tree-show": {"tree", "show"}, "stats": {"stats"},
	} {
		out := call(t, caller, append(args, "-o", "json")...)
		golden(t, name, out)
		sameInYAML(t, name, out, call(t, caller, append(args, "-o", "yaml")...))
	}
	golden(t, "tree-scale", call(t, caller, "tree", "scale", "--shards", "2", "-o", "json"))
	for range 3 {
		call(t, caller, "send", "--to", "eve", "hello")
	}
	start(t, nil, append([]string{"send", "--to", "eve", "hello"}, caller...)...).complains(4, "inbox_full")
	golden(t, "user-show-absent", call(t, caller, "user", "show", "eve", "-o", "json"))
	for _, c := range []struct {
		name string
		args []string
	}{
		{"user-trim", []string{"user", "trim", "eve", "--through", "1", "--yes"}},
		{"user-block", []string{"user", "block", "eve", "--reason", "spam"}},
		{"user-list-blocked", []string{"user", "list", "--blocked"}},
		{"user-unblock", []string{"user", "unblock", "eve"}},
		{"broadcast", []string{"broadcast", "--to", "bob", "--id", "n1", "hello"}},
		{"inbox-backup", []string{"inbox", "backup", "--to", "b"}},
	} {
		golden(t, c.name, call(t, caller, append(c.args, "-o", "json")...))
	}
	golden(t, "config-show", settingOf(t, call(t, caller, "config", "show", "-o", "json"), "inbox.entries"))
	listener.stdout.has(t, `hello\n.*hello\n`)
	settles(t, caller, 2)
	carol := start(t, nil, "listen", "--as", "carol", "--device", "phone", "--url", url)
	carol.stderr.has(t, `listening as carol\n`)
	golden(t, "user-forget-device", call(t, caller, "user", "forget-device", "carol", "phone", "--force", "-o", "json"))
	golden(t, "session-close", call(t, caller, "session", "close", "1", "-o", "json"))
	listener.complainsAfter("listening as bob\n", 4, "4003")
	golden(t, "user-show-closed", call(t, caller, "user", "show", "bob", "-o", "json"))
	golden(t, "user-close", call(t, caller, "user", "close", "bob", "-o", "json"))
	golden(t, "drain", call(t, caller, "drain", "--over", "1ms", "-o", "json"))
	service.signal(syscall.SIGTERM)
	service.ends(0)
	golden(t, "inbox-restore", call(t, nil, "inbox", "restore", "--from", filepath.Join(caller[3], "backups", "b"),
		"--data", filepath.Join(t.TempDir(), "data"), "-o", "json"))

	data := caller[3]
	golden(t, "inbox-stats", call(t, nil, "inbox", "stats", "--data", data, "-o", "json"))
	golden(t, "inbox-show", call(t, nil, "inbox", "show", "bob", "--data", data, "-o", "json"))
	golden(t, "inbox-verify", call(t, nil, "inbox", "verify", "--data", data, "-o", "json"))
	golden(t, "inbox-renew", call(t, nil, "inbox", "renew", "--data", data, "-o", "json"))
}

// What scripts get while they follow a service: who comes and goes, and one message.
func TestNewsInJSONIsWhatScriptsRelyOn(t *testing.T) {
	_, url, caller := serveWithAdmin(t, "--shards", "2")
	watch := start(t, nil, append([]string{"watch", "--kind", "session_opened,session_closed", "-o", "json"}, caller...)...)
	watching(t, watch, url)
	trace := start(t, nil, append([]string{"user", "trace", "bob", "--contents", "-o", "json"}, caller...)...)
	tracing(t, trace, url, "bob")
	listener := start(t, nil, "listen", "--as", "bob", "--device", "phone", "--url", url)
	listener.stderr.has(t, `listening as bob\n`)

	start(t, nil, "send", "--as", "alice", "--to", "bob", "--url", url, "hello").ends(0)
	for _, hop := range []string{"acknowledged", "answered", "written"} { // any of them may be the last
		trace.stdout.has(t, `"kind":"`+hop+`","sender":"alice"`)
	}
	listener.signal(os.Interrupt)
	listener.ends(0)
	watch.stdout.has(t, `"kind":"session_closed","user":"bob","session":"\d+","device":"phone"`)

	for _, p := range []*process{watch, trace} {
		p.signal(os.Interrupt)
		p.ends(0)
	}
	numbers := regexp.MustCompile(`"session":"[1-9]\d*"`) // by how many were there before
	linesOf := func(p *process, with string) []string {
		lines := slices.Collect(strings.Lines(numbers.ReplaceAllString(p.stdout.String(), `"session":"<digits>"`)))
		return slices.DeleteFunc(lines, func(line string) bool { return !strings.Contains(line, with) })
	}
	events := linesOf(watch, `"device":"phone"`)
	golden(t, "watch", strings.Join(events, ""))
	hops := linesOf(trace, `"receiver":"bob"`)
	// The answer to the sender and the way to the receiver go on beside each other.
	slices.SortFunc(hops, func(a, b string) int { return cmp.Compare(kindOf(t, a), kindOf(t, b)) })
	golden(t, "user-trace", strings.Join(hops, ""))
}

// kindOf is the kind of a hop.
func kindOf(t *testing.T, line string) string {
	t.Helper()
	var news struct{ Hop struct{ Kind string } }
	if err := json.Unmarshal([]byte(line), &news); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return news.Hop.Kind
}

// settingOf leaves one setting of all: which there are may change.
func settingOf(t *testing.T, out, key string) string {
	t.Helper()
	var all struct {
		Settings []map[string]any `json:"settings"`
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	all.Settings = slices.DeleteFunc(all.Settings, func(s map[string]any) bool { return s["key"] != key })
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// settles waits until the device has acknowledged: what is shown does not change then.
func settles(t *testing.T, caller []string, cursor int) {
	t.Helper()
	for limit := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if out := call(t, caller, "user", "show", "bob"); strings.Contains(out, fmt.Sprintf("phone   %d       0 ", cursor)) {
			return
		} else if time.Now().After(limit) {
			t.Fatalf("the device never acknowledged:\n%s", out)
		}
	}
}

// sameInYAML checks that YAML has the same fields, as far as that can be seen without
// reading YAML: their names, and what does not vary.
func sameInYAML(t *testing.T, name, asJSON, asYAML string) {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(asJSON), &object); err != nil {
		t.Fatal(err)
	}
	for _, field := range slices.Sorted(maps.Keys(object)) {
		if !strings.Contains("\n"+asYAML, "\n"+field+":") {
			t.Errorf("%s -o yaml has no field %s:\n%s", name, field, asYAML)
		}
	}
	if strings.ContainsAny(asYAML, "\x1b\t") || strings.HasPrefix(asYAML, "{") {
		t.Errorf("%s -o yaml is no YAML for people:\n%s", name, asYAML)
	}
}

func TestBenchResultIsWhatScriptsRelyOn(t *testing.T) {
	_, url := serve(t)
	out := call(t, nil, "bench", "durable", "--users", "2", "--duration", "1s", "--warmup", "0s", "--rate", "100", "--url", url, "-o", "json")
	if strings.Count(out, "\n") != 1 {
		t.Errorf("not one line: %q", out)
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(out), &fields); err != nil {
		t.Fatal(err)
	}
	delete(fields, "notes")   // it is there when there is something to be said
	delete(fields, "skipped") // and this when the machine did not keep up
	names := slices.Sorted(maps.Keys(fields))
	text, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "bench-fields", string(text))
}
