package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	protoactor = "github.com/asynkron/protoactor-go/..."
	gorilla    = "github.com/gorilla/..."
	// others stands for whatever is neither ours nor the standard library's.
	others = "(third party)"
)

// layers are the import rules of actors/doc.go on the import graph, without test files. The linter
// has the same rules for every file (depguard in .golangci.yml), tests included.
//
// Where a name ends in /... the folders below it are meant too.
var layers = []layer{
	{
		name:   "protocol imports none of ours",
		of:     []string{"callboard/protocol/..."},
		never:  []string{"callboard/...", protoactor, gorilla},
		but:    []string{"callboard/protocol/..."},
		deep:   true,
		reason: "it is the contract that every other package speaks",
		breaks: imports{"callboard/protocol": {"callboard/protocol/v1"}, "callboard/protocol/v1": {"callboard/actors"}},
	},
	{
		name:   "actors imports protocol alone",
		of:     []string{"callboard/actors/..."},
		except: []string{"callboard/actors/mailbox/...", "callboard/actors/inbox/..."},
		never:  []string{"callboard/...", gorilla},
		but:    []string{"callboard/protocol/...", "callboard/actors", "callboard/actors/mailbox/...", "callboard/actors/inbox"},
		deep:   true,
		reason: "it declares the interfaces that it needs, and cmd wires them",
		breaks: imports{"callboard/actors": {"callboard/actors/inbox/memory"}},
	},
	{
		name:   "actors has no lock and no HTTP",
		of:     []string{"callboard/actors/..."},
		except: []string{"callboard/actors/mailbox/...", "callboard/actors/inbox/..."},
		never:  []string{"sync", "golang.org/x/sync/...", "net/http/..."},
		reason: "an actor is the only owner of its state, and sockets are transport's",
		breaks: imports{"callboard/actors": {"sync"}},
	},
	{
		name:   "mailbox imports protoactor only",
		of:     []string{"callboard/actors/mailbox/..."},
		never:  []string{"callboard/...", others},
		but:    []string{"callboard/actors/mailbox/...", protoactor},
		reason: "it carries any message",
		breaks: imports{"callboard/actors/mailbox": {"golang.org/x/sync/errgroup"}},
	},
	{
		name:   "a Store imports protocol, not actors",
		of:     []string{"callboard/actors/inbox/..."},
		never:  []string{"callboard/...", protoactor, gorilla},
		but:    []string{"callboard/protocol/...", "callboard/actors/inbox/..."},
		deep:   true,
		reason: "it does not know who calls it",
		breaks: imports{"callboard/actors/inbox/pebble": {"callboard/actors"}},
	},
	{
		name:   "transport imports actors and protocol",
		of:     []string{"callboard/transport/..."},
		except: []string{"callboard/transport/client/..."},
		never:  []string{"callboard/..."},
		but:    []string{"callboard/protocol/...", "callboard/actors", "callboard/transport/..."},
		reason: "actors.System is the only way in",
		breaks: imports{"callboard/transport/admin": {"callboard/actors/mailbox"}},
	},
	{
		name:   "the SDK imports protocol alone",
		of:     []string{"callboard/transport/client/..."},
		never:  []string{"callboard/...", protoactor},
		but:    []string{"callboard/protocol/...", "callboard/transport/client/..."},
		deep:   true,
		reason: "a program that uses it does not carry the server",
		breaks: imports{"callboard/transport/client": {"callboard/transport"}},
	},
	{
		name:   "gorilla only under transport",
		of:     []string{"callboard/..."},
		except: []string{"callboard/transport/..."},
		never:  []string{gorilla},
		reason: "the others know actors.Conn or transport/client",
		breaks: imports{"callboard/cmd/callboard": {"github.com/gorilla/websocket"}},
	},
	{
		name:   "protoactor only under actors",
		of:     []string{"callboard/..."},
		except: []string{"callboard/actors/..."},
		never:  []string{protoactor},
		reason: "the others know actors.System, and no PID",
		breaks: imports{"callboard/transport": {"github.com/asynkron/protoactor-go/actor"}},
	},
	{
		name:   "nothing imports cmd",
		of:     []string{"callboard/..."},
		except: []string{"callboard/cmd/..."},
		never:  []string{"callboard/cmd/..."},
		deep:   true,
		reason: "it wires the others",
		breaks: imports{"callboard/actors": {"github.com/odd/plugin"}, "github.com/odd/plugin": {"callboard/cmd/callboard"}},
	},
}

// imports is an import graph: for each package those that it imports itself.
type imports map[string][]string

// layer is one rule about what packages may import.
type layer struct {
	name   string
	of     []string // whom it binds
	except []string // whom it does not bind after all
	never  []string // what they do not import
	but    []string // what they import after all
	deep   bool     // nor do the packages that they import, and so on down
	reason string
	breaks imports // a graph that breaks this rule
}

func TestImportsPointOneWay(t *testing.T) {
	graph := goList(t)
	for _, rule := range layers {
		for _, breach := range rule.breaches(graph) {
			t.Error(breach)
		}
	}

	for _, rule := range layers {
		t.Run("is broken by/"+rule.name, func(t *testing.T) {
			if len(rule.breaches(rule.breaks)) == 0 {
				t.Errorf("nothing wrong was found in %v", rule.breaks)
			}
		})
	}

	t.Run("is kept by the design", func(t *testing.T) {
		design := imports{
			"callboard/protocol":             {"sync", "google.golang.org/protobuf/proto"},
			"callboard/actors":               {"callboard/protocol", "callboard/actors/mailbox", "callboard/actors/inbox", "github.com/asynkron/protoactor-go/actor", "sync/atomic"},
			"callboard/actors/mailbox":       {"sync", "github.com/asynkron/protoactor-go/actor"},
			"callboard/actors/inbox":         {"callboard/protocol"},
			"callboard/actors/inbox/pebble":  {"callboard/protocol", "callboard/actors/inbox", "github.com/cockroachdb/pebble/v2", "sync"},
			"callboard/transport":            {"callboard/protocol", "callboard/actors", "github.com/gorilla/websocket", "net/http"},
			"callboard/transport/admin":      {"callboard/transport", "callboard/actors"},
			"callboard/transport/client":     {"callboard/protocol", "github.com/gorilla/websocket", "net/http"},
			"callboard/cmd/callboard":        {"callboard/protocol", "callboard/actors", "callboard/actors/inbox/pebble", "callboard/transport/client", "callboard/cmd/callboard/config"},
			"callboard/cmd/callboard/config": {},
			// protoactor brings an HTTP client of its own; that is its affair.
			"github.com/asynkron/protoactor-go/actor": {"net/http", "sync"},
		}
		for _, rule := range layers {
			for _, breach := range rule.breaches(design) {
				t.Error(breach)
			}
		}
	})
}

// breaches returns a line for each import that breaks the rule: who, what, and why not.
func (l layer) breaches(graph imports) []string {
	var found []string
	for _, importer := range slices.Sorted(maps.Keys(graph)) {
		if !anyMatch(l.of, importer) || anyMatch(l.except, importer) {
			continue
		}
		reached := graph[importer]
		if l.deep {
			reached = graph.below(importer)
		}
		for _, imported := range reached {
			if anyMatch(l.never, imported) && !anyMatch(l.but, imported) {
				found = append(found, fmt.Sprintf("%s imports %s, but %s: %s",
					strings.Join(graph.path(importer, imported), " imports "), imported, l.name, l.reason))
			}
		}
	}
	return found
}

// below returns everything that a package imports, and what that imports, in order.
func (g imports) below(root string) []string {
	seen := map[string]bool{}
	next := slices.Clone(g[root])
	for len(next) > 0 {
		name := next[0]
		next = next[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		next = append(next, g[name]...)
	}
	return slices.Sorted(maps.Keys(seen))
}

// path returns the shortest chain of imports from one package to another, without the last.
func (g imports) path(from, to string) []string {
	chains := [][]string{{from}}
	seen := map[string]bool{from: true}
	for len(chains) > 0 {
		chain := chains[0]
		chains = chains[1:]
		for _, name := range g[chain[len(chain)-1]] {
			if name == to {
				return chain
			}
			if !seen[name] {
				seen[name] = true
				chains = append(chains, append(slices.Clone(chain), name))
			}
		}
	}
	return []string{from}
}

func anyMatch(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if pattern == others {
			host, _, _ := strings.Cut(name, "/")
			return strings.Contains(host, ".")
		}
		folder, below := strings.CutSuffix(pattern, "/...")
		return name == folder || below && strings.HasPrefix(name, folder+"/")
	})
}

// goList returns the import graph of this module and of all that it needs.
func goList(t *testing.T) imports {
	t.Helper()
	root := filepath.Dir(strings.TrimSpace(run(t, ".", "go", "env", "GOMOD")))
	decoder := json.NewDecoder(strings.NewReader(run(t, root, "go", "list", "-deps", "-json=ImportPath,Imports", "./...")))
	graph := imports{}
	for {
		var listed struct {
			ImportPath string
			Imports    []string
		}
		err := decoder.Decode(&listed)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		graph[listed.ImportPath] = listed.Imports
	}
	if _, ok := graph["callboard/cmd/callboard"]; !ok {
		t.Fatalf("go list knows %d packages, and this one is not among them: the test looks in the wrong place", len(graph))
	}
	return graph
}

func run(t *testing.T, folder string, name string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = folder
	var complaints bytes.Buffer
	command.Stderr = &complaints
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, &complaints)
	}
	return string(out)
}
