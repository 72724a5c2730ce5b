package actors_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Invariant 8: what an actor knows it owns, and nobody waits inside it. The rule is about the files
// of this package; its tests and its sub-packages may do as they must.
func TestNoLockNoGoroutineNoSleepNoFutureInsideActors(t *testing.T) {
	fset := token.NewFileSet()
	for _, file := range parseSources(t, fset) {
		for _, breach := range breaches(fset, file) {
			t.Error(breach)
		}
	}
}

// A check that cannot fail proves nothing, so each thing that is forbidden is shown to it once.
func TestBreachesAreSeen(t *testing.T) {
	for _, test := range []struct {
		name string
		code string // line 3 of its file and on
		want string // the breach's line and what it is called
	}{
		{"go statement", "func f() { go f() }", "bad.go:3: go statement"},
		{"go statement in a closure", "var f = func() {\n\tfunc() {\n\t\tgo f2()\n\t}()\n}\nfunc f2() {}", "bad.go:5: go statement"},
		{"mutex", "import \"sync\"\nvar m sync.Mutex", "bad.go:3: import of sync"},
		{"sync.Map", "import \"sync\"\nvar m sync.Map", "bad.go:3: import of sync"},
		{"sync under another name", "import s \"sync\"\nvar m s.RWMutex", "bad.go:3: import of sync"},
		{"errgroup", "import \"golang.org/x/sync/errgroup\"\nvar g errgroup.Group", "bad.go:3: import of golang.org/x/sync/errgroup"},
		{"sleep", "import \"time\"\nfunc f() {\n\ttime.Sleep(1)\n}", "bad.go:5: time.Sleep"},
		{"sleep under another name", "import clock \"time\"\nfunc f() { clock.Sleep(1) }", "bad.go:4: time.Sleep"},
		{"sleep as a value", "import \"time\"\nvar rest = time.Sleep", "bad.go:4: time.Sleep"},
		{"sleep without its package's name", "import . \"time\"\nfunc f() { Sleep(1) }", "bad.go:3: dot import of time"},
		{"result of a future", "func f(x future) { x.Result() }", "bad.go:3: .Result()"},
		{"wait for a future", "func f(x future) error { return x.Wait() }", "bad.go:3: .Wait()"},
		{"request future", "func f(c context) { c.RequestFuture(nil, nil, 0) }", "bad.go:3: RequestFuture"},
		{"stop future", "func f(c context) { c.StopFuture(nil) }", "bad.go:3: StopFuture"},
		{"poison future", "func f(c context) { _ = c.root.PoisonFuture(nil) }", "bad.go:3: PoisonFuture"},
		{"poison future as a value", "func f(c context) { end := c.PoisonFuture; _ = end }", "bad.go:3: PoisonFuture"},
	} {
		t.Run(test.name, func(t *testing.T) {
			found := breachesOf(t, test.code)
			if len(found) != 1 || !strings.HasPrefix(found[0], test.want+":") {
				t.Errorf("found %q, want one breach that begins with %q", found, test.want)
			}
		})
	}

	t.Run("what is allowed", func(t *testing.T) {
		found := breachesOf(t, `import ("sync/atomic"; "time")
var n atomic.Int64
type outcome struct{ Result, Wait int }
type sleeper struct{}
func (sleeper) Sleep() {}
func f(o outcome, s sleeper) (int, time.Duration) { s.Sleep(); return o.Result + o.Wait, time.Second }`)
		if len(found) != 0 {
			t.Errorf("found %q in code that keeps the rule", found)
		}
	})
}

// parseSources returns the package's own files, those of every platform.
func parseSources(t *testing.T, fset *token.FileSet) []*ast.File {
	t.Helper()
	names, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		t.Fatal("there is no file of package actors here: the test looks in the wrong place")
	}
	return files
}

func breachesOf(t *testing.T, code string) []string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "bad.go", "package actors\n\n"+code, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return breaches(fset, file)
}

// breaches returns a line for every place in the file that locks, starts a goroutine, sleeps or
// waits for a future: where, what, and what to do instead.
func breaches(fset *token.FileSet, file *ast.File) []string {
	var found []string
	report := func(at ast.Node, what, instead string) {
		p := fset.Position(at.Pos())
		found = append(found, fmt.Sprintf("%s:%d: %s: %s", p.Filename, p.Line, what, instead))
	}

	clock := "" // what the file calls package time
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err) // the parser let it pass
		}
		switch {
		case imported == "sync" || strings.HasPrefix(imported, "golang.org/x/sync/"):
			report(spec, "import of "+imported, "give the state one owner and send it messages")
		case imported == "time" && spec.Name != nil && spec.Name.Name == ".":
			report(spec, "dot import of time", "import it under a name, so that a sleep is seen")
		case imported == "time" && spec.Name != nil:
			clock = spec.Name.Name
		case imported == "time":
			clock = path.Base(imported)
		}
	}

	futures := []string{"RequestFuture", "StopFuture", "PoisonFuture"}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.GoStmt:
			report(node, "go statement", "spawn an actor and let its parent supervise it")
		case *ast.CallExpr:
			if called, ok := node.Fun.(*ast.SelectorExpr); ok && (called.Sel.Name == "Result" || called.Sel.Name == "Wait") {
				report(node, "."+called.Sel.Name+"()", "let the answer come as a message")
			}
		case *ast.SelectorExpr:
			of, ok := node.X.(*ast.Ident)
			if ok && clock != "" && of.Name == clock && node.Sel.Name == "Sleep" {
				report(node, "time.Sleep", "ask the wheel for a message at that time")
			}
			if slices.Contains(futures, node.Sel.Name) {
				report(node, node.Sel.Name, "send the command, and receive its fact as a message")
			}
		}
		return true
	})
	return found
}

// The invariants of doc.go name their tests.
func TestEveryInvariantNamesItsTest(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var tests []byte
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests = append(tests, source...)
	}
	_, invariants, _ := strings.Cut(string(doc), "# Invariants")
	numbered := regexp.MustCompile(`(?m)^//  \d+\. `).FindAllStringIndex(invariants, -1)
	if len(numbered) != 9 {
		t.Fatalf("doc.go has %d invariants, want 9", len(numbered))
	}
	for i, at := range numbered {
		text := invariants[at[0]:]
		if i+1 < len(numbered) {
			text = invariants[at[0]:numbered[i+1][0]]
		}
		name := regexp.MustCompile(`Test\w+`).FindString(text)
		if name == "" || !bytes.Contains(tests, []byte("func "+name+"(t *testing.T)")) {
			t.Errorf("invariant %d names no test that is there: %q", i+1, name)
		}
	}
}
