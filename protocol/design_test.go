package protocol

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// design is the text of DESIGN.md.
func design(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDesignHasTheTableOfCodes(t *testing.T) {
	var table strings.Builder
	table.WriteString("| code | close | come back | meaning | what to do |\n|---|---|---|---|---|\n")
	for _, row := range Codes() {
		number, back := "", ""
		if row.Close != 0 {
			number, back = fmt.Sprint(uint16(row.Close)), "no"
		}
		if row.Reconnect {
			back = "yes"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", row.Code, number, back, row.Meaning, row.Action)
	}
	if !strings.Contains(design(t), table.String()) {
		t.Errorf("DESIGN.md does not have this table:\n%s", table.String())
	}
}

func TestDesignHasEveryLimit(t *testing.T) {
	values := map[string]any{
		"MaxFrameBytes":      MaxFrameBytes,
		"MaxReceiveBytes":    MaxReceiveBytes,
		"MaxUserIDBytes":     MaxUserIDBytes,
		"MaxMessageIDBytes":  MaxMessageIDBytes,
		"MaxDeviceBytes":     MaxDeviceBytes,
		"MaxContentBytes":    MaxContentBytes,
		"MaxTokenBytes":      MaxTokenBytes,
		"MaxReasonBytes":     MaxReasonBytes,
		"MaxDepth":           MaxDepth,
		"MaxHeaderBytes":     MaxHeaderBytes,
		"MaxWindowBytes":     MaxWindowBytes,
		"MaxInboxBytes":      MaxInboxBytes,
		"MaxWaitingBytes":    MaxWaitingBytes,
		"MaxInFlight":        MaxInFlight,
		"DefaultWindow":      DefaultWindow,
		"MaxWindow":          MaxWindow,
		"MaxDevices":         MaxDevices,
		"MaxInboxEntries":    MaxInboxEntries,
		"MaxSessionsPerUser": MaxSessionsPerUser,
		"MissedPongs":        MissedPongs,
		"PingInterval":       PingInterval,
		"WriteTimeout":       WriteTimeout,
		"HandshakeTimeout":   HandshakeTimeout,
		"CloseTimeout":       CloseTimeout,
	}
	text := design(t)
	for _, name := range namesOfLimits(t) {
		value, ok := values[name]
		if !ok {
			t.Errorf("%s is not in this test", name)
		}
		if row := fmt.Sprintf("\n| %#q | %v |", name, value); !strings.Contains(text, row) {
			t.Errorf("DESIGN.md has no row that begins with %s", row)
		}
	}
}

// namesOfLimits is the names of the constants in limits.go.
func namesOfLimits(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "limits.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(f, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			names = append(names, spec.Names[0].Name)
		}
		return true
	})
	return names
}

func TestDesignHasEveryField(t *testing.T) {
	text := design(t)
	for _, name := range fieldNames {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("DESIGN.md does not have the field %s", name)
		}
	}
}
