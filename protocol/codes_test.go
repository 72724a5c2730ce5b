package protocol

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// constants is the values of the constants of the given type in a file, as the
// file has them.
func constants(t *testing.T, file, typeName string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == typeName {
			values[spec.Names[0].Name] = spec.Values[0].(*ast.BasicLit).Value
		}
		return true
	})
	return values
}

func TestEveryCodeIsInTheTableOnce(t *testing.T) {
	words, closes := map[string]int{}, map[string]int{}
	for _, row := range Codes() {
		words[`"`+string(row.Code)+`"`]++
		if row.Close != 0 {
			closes[strings.Fields(row.Close.String())[0]]++
		}
	}
	for name, value := range constants(t, "codes.go", "ErrorCode") {
		if words[value] != 1 {
			t.Errorf("%s is in the table %d times", name, words[value])
		}
	}
	for name, value := range constants(t, "closecodes.go", "CloseCode") {
		if closes[value] != 1 {
			t.Errorf("%s is in the table %d times", name, closes[value])
		}
	}
}

func TestEveryCodeIsExplained(t *testing.T) {
	word := regexp.MustCompile(`^[a-z]+(_[a-z0-9]+)*$`)
	for _, row := range Codes() {
		if !word.MatchString(string(row.Code)) {
			t.Errorf("%q is not a word for a metric label", row.Code)
		}
		if row.Meaning == "" || row.Action == "" {
			t.Errorf("%s is not explained", row.Code)
		}
		if row.Close != 0 && !row.Close.Valid() {
			t.Errorf("%v may not be sent", row.Close)
		}
		if row.Close == 0 && row.Reconnect {
			t.Errorf("%s closes nothing to come back from", row.Code)
		}
		if row.Close.Word() != row.Code && row.Close != 0 {
			t.Errorf("the word of %v is %s", row.Close, row.Close.Word())
		}
	}
}

func TestTheTableCannotBeChanged(t *testing.T) {
	Codes()[0].Code = "changed"
	if Codes()[0].Code == "changed" {
		t.Error("it was")
	}
}

func TestCloseCodesThatMayBeSent(t *testing.T) {
	valid := func(c int) bool {
		return 1000 <= c && c <= 1003 || 1007 <= c && c <= 1014 || 3000 <= c && c <= 4999
	}
	for c := range 1 << 16 {
		if CloseCode(c).Valid() != valid(c) {
			t.Errorf("%d: %v", c, !valid(c))
		}
	}
}

func TestClientComesBackAfterAnAccident(t *testing.T) {
	for code, want := range map[CloseCode]bool{
		0: true, 1006: true, 4999: true,
		CloseNormal: false, CloseByOperator: false, ClosePolicyViolation: false,
		CloseGoingAway: true, CloseInternal: true, CloseTryAgainLater: true, CloseSlowConsumer: true,
	} {
		if code.Reconnect() != want {
			t.Errorf("%v: %v", code, !want)
		}
	}
}

func TestCloseCodePrintsItsWord(t *testing.T) {
	for code, want := range map[CloseCode]string{
		CloseSlowConsumer: "4001 slow_consumer", 1006: "1006", 0: "0",
	} {
		if got := code.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
