package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"callboard/protocol"
)

func TestEveryCommandHasAnExample(t *testing.T) {
	names := map[string]bool{}
	walk(newCommand(), func(cmd *cobra.Command) {
		names[cmd.Name()] = true
		if !strings.Contains(cmd.Example, "callboard") {
			t.Errorf("the help of '%s' has no example: %q", cmd.CommandPath(), cmd.Example)
		}
	})
	for _, name := range []string{"serve", "listen", "send", "user", "session", "tree", "deadletter", "stats", "top", "watch", "trace", "broadcast", "config", "drain", "exit-codes", "version", "completion", "help"} {
		if !names[name] {
			t.Errorf("there is no command %s", name)
		}
	}
}

// The examples are run, as far as parsing goes, so that they stay right.
func TestExamplesParse(t *testing.T) {
	walk(newCommand(), func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			_, line, _ = strings.Cut(line, "callboard ")
			line, _, _ = strings.Cut(line, " > ")
			line, _, _ = strings.Cut(line, " | ")
			root := newCommand()
			found, args, err := root.Find(strings.Fields(strings.TrimRight(line, ")\n")))
			if err == nil {
				err = found.ParseFlags(args)
			}
			if err == nil && found != root {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err != nil || found == root {
				t.Errorf("%q is no command line: %v", line, err)
			}
		}
	})
}

func TestAdviceFitsIntoALine(t *testing.T) {
	for code, want := range map[string]string{
		"draining": "connect again, to whichever server answers",
		"no code":  "",
	} {
		if got := advice(protocol.ErrorCode(code)); got != want {
			t.Errorf("%s: %q, want %q", code, got, want)
		}
	}
}
