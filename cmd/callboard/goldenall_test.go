package main_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	callboard "callboard/cmd/callboard"
)

// withoutGolden are the commands with --output that have no golden file of their own, and why.
var withoutGolden = map[string]string{
	"config docs": "it has Markdown and YAML, which TestReferenceIsUpToDate compares with the files in deploy",

	// The figures of a benchmark are others in each run.
	"bench durable":    "bench-fields.json has the names of its fields",
	"bench relay":      "its result is of the same type as that of bench durable",
	"bench idle":       "its result is of the same type as that of bench durable",
	"bench fanin":      "its result is of the same type as that of bench durable",
	"bench fanout":     "its result is of the same type as that of bench durable",
	"bench random":     "its result is of the same type as that of bench durable",
	"bench scale":      "TestBenchScaleMeasuresEachMove reads its fields by their names",
	"bench look":       "TestBenchLookMeasuresCallsAndWhatTheyCost reads its fields by their names",
	"bench handshakes": "TestStormOfHandshakesIsTurnedAwayAndTheRelayGoesOn reads its result",
	"bench chaos":      "TestKilledServiceKeepsWhatItConfirmed reads its result",
	"bench stall":      "TestStalledDevicesCostDiskNotMemory reads its result",
}

// What a command prints for scripts is a contract from its first day: a command with --output has
// a golden file, and a test that compares with it.
func TestEveryCommandForScriptsHasAGoldenFile(t *testing.T) {
	tests := textOfTests(t)
	found := map[string]bool{}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			walk(below)
		}
		if cmd.Flags().Lookup("output") == nil {
			return
		}
		path := strings.TrimPrefix(cmd.CommandPath(), "callboard ")
		name := strings.ReplaceAll(path, " ", "-")
		found[path] = true
		_, err := os.Stat(filepath.Join("testdata", name+".json"))
		switch reason := withoutGolden[path]; {
		case reason != "" && err == nil:
			t.Errorf("'%s' has testdata/%s.json: take it out of withoutGolden", path, name)
		case reason == "" && err != nil:
			t.Errorf("'%s' has no testdata/%s.json: compare what -o json prints by golden(t, %q, ...), or say in withoutGolden why not", path, name, name)
		}
	}
	walk(callboard.NewCommand())
	for path := range withoutGolden {
		if !found[path] {
			t.Errorf("withoutGolden has '%s', and there is no such command with --output", path)
		}
	}

	goldens, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	must(t, err)
	for _, file := range goldens {
		if name := strings.TrimSuffix(filepath.Base(file), ".json"); !strings.Contains(tests, `"`+name+`"`) {
			t.Errorf("no test compares anything with %s: name it in golden(t, %q, ...), or remove it", file, name)
		}
	}
}

// What scripts get of a branch of the tree, of a look that goes on, and of frames on lines.
func TestJSONOfBranchesAndLinesIsWhatScriptsRelyOn(t *testing.T) {
	_, url, caller := serveWithAdmin(t, "--shards", "2")
	listener := start(t, nil, "listen", "--as", "bob", "--device", "phone", "--url", url, "-o", "json")
	listener.stderr.has(t, `listening as bob\n`)
	sender := start(t, strings.NewReader("one\ntwo\n"), "send", "--as", "alice", "--to", "bob", "--url", url, "-o", "json")
	sender.ends(0)
	golden(t, "send-as", sender.stdout.String())
	listener.stdout.has(t, `\n.*\n`)
	golden(t, "listen", listener.stdout.String())
	settles(t, caller, 2)
	gone(t, caller, "alice")

	golden(t, "tree-show-user", call(t, caller, "tree", "show", "--user", "bob", "-o", "json"))
	for name, args := range map[string][]string{"tree-watch": nil, "tree-watch-user": {"--user", "bob"}} {
		watch := start(t, nil, slices.Concat([]string{"tree", "watch", "--every", "100ms", "-o", "json"}, args, caller)...)
		golden(t, name, watch.stdout.has(t, `^(\{.*\})\n`))
		watch.signal(os.Interrupt)
		watch.ends(0)
	}
	golden(t, "user-close-device", call(t, caller, "user", "close", "bob", "--device", "phone", "-o", "json"))
}

// gone waits until a user has no session any more.
func gone(t *testing.T, caller []string, user string) {
	t.Helper()
	for limit := time.Now().Add(patience); strings.Contains(call(t, caller, "session", "list", "--user", user, "-o", "json"), `"user"`); {
		if time.Now().After(limit) {
			t.Fatalf("%s has a session still", user)
		}
	}
}
