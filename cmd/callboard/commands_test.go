package main_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	callboard "callboard/cmd/callboard"
)

// commandRow is a command line: who may give it, and what it ends with then. @name stands for a
// thing of the test.
type commandRow struct {
	line   string
	least  int    // nobody: it takes no token
	status int    // for those who may
	until  string // it goes on until it is interrupted, when it has printed this
	tested string // the test that has it carried out, because it takes long or a terminal
}

// commandRows are all commands, in an order in which each can be carried out.
var commandRows = []commandRow{
	{line: "serve", tested: "TestTermDrainsAndExitsWithZero"}, // and nearly every other
	{line: "version"},
	{line: "help serve"},
	{line: "exit-codes"},
	{line: "completion bash"},
	{line: "completion zsh"},
	{line: "completion fish"},
	{line: "completion powershell"},
	{line: "config docs"},
	{line: "config check ../../deploy/callboard.yaml"},
	{line: "config check @nothing", status: 3},
	{line: "admin token new --name vera --role viewer"},
	{line: "token key --data @data"},
	{line: "token new --user 42 --data @data"},
	{line: "health --url @http --timeout 20s"},
	{line: "health --url http://127.0.0.1:1", status: 5},
	{line: "send --as 1 --to carol --url @url hello"},
	{line: "listen --as carol --url @url", until: `^1: hello\n`},
	{line: "bench relay --users 2 --duration 10ms --warmup 0s --url @url"},
	{line: "bench durable --users 2 --duration 10ms --warmup 0s --url @url"},
	{line: "bench idle --users 2 --duration 10ms --url @url"},
	{line: "bench fanin --users 2 --duration 10ms --warmup 0s --url @url"},
	{line: "bench fanout --users 2 --duration 10ms --warmup 0s --url @url"},
	{line: "bench random --users 2 --duration 10ms --warmup 0s --url @url"},
	{line: "bench chaos", tested: "TestKilledServiceKeepsWhatItConfirmed"},
	{line: "bench stall", tested: "TestStalledDevicesCostDiskNotMemory"},
	{line: "bench scale --users 2 --duration 10ms --warmup 0s --steps 4,5 --url @url", least: admin},
	{line: "bench look --users 2 --idle 1 --rounds 1 --duration 10ms --warmup 0s --url @url", least: viewer},
	{line: "bench handshakes --users 2 --attempts 4 --rounds 1 --duration 10ms --warmup 0s --url @url"},

	{line: "send --to bob hello", least: operator},
	{line: "broadcast --to bob,eve noon", least: operator},
	{line: "user list", least: viewer},
	{line: "user list --blocked", least: viewer},
	{line: "user show u1", least: viewer},
	{line: "user show mallory", least: viewer, status: 3},
	{line: "user trace u1 --for 10ms", least: operator},
	{line: "user trace u1 --for 10ms --contents", least: admin},
	{line: "user close u2 --device tablet", least: operator, status: 3},
	{line: "user close mallory --device phone", least: operator, status: 3},
	{line: "user close u2 --device phone", least: operator},
	{line: "user close u2", least: operator},
	{line: "user block eve", least: operator},
	{line: "user unblock eve", least: operator},
	{line: "user forget-device u1 phone --force", least: operator},
	{line: "user forget-device u1 phone", least: operator, status: 3},
	{line: "user trim bob --through 1 --yes", least: operator},
	{line: "session list", least: viewer},
	{line: "session close 3", least: operator},
	{line: "session close 1000", least: operator, status: 3},
	{line: "tree show", least: viewer},
	{line: "tree show --user u4", least: viewer},
	{line: "tree watch", least: viewer, until: `^LEVEL`},
	{line: "tree scale --shards 8", least: admin},
	{line: "tree scale --shards auto", least: admin},
	{line: "stats", least: viewer},
	{line: "watch", least: viewer, until: `^TIME`},
	{line: "top", tested: "TestTopShowsSortsFiltersOpensAndCloses"},
	{line: "config show", least: operator},
	{line: "deadletter list", least: viewer},
	{line: "deadletter show 1", least: viewer},
	{line: "deadletter show 1 --content", least: admin},
	{line: "deadletter retry 1", least: operator},
	{line: "deadletter drop 2", least: operator},
	{line: "deadletter retry 2", least: operator, status: 3},
	{line: "inbox backup --to b", least: admin},
	{line: "inbox backup --to b", least: admin, status: 4},
	{line: "inbox stats --data @data", status: 4}, // the service has them
	{line: "drain --over 1ms", least: admin},
	{line: "send --to bob hello", least: operator}, // goes on while the process does

	// The service is stopped before these, which take its directory and no token.
	{line: "inbox stats --data @data"},
	{line: "inbox show bob --data @data"},
	{line: "inbox show mallory --data @data", status: 3},
	{line: "inbox verify --data @data"},
	{line: "inbox renew --data @data"},
	{line: "inbox restore --from @data/backups/b --data @nothing"},
	{line: "inbox restore --from @data/backups/b --data @data", status: 4},
}

// textOfTests is the source of all tests of this package.
func textOfTests(t *testing.T) string {
	t.Helper()
	tests := ""
	files, err := filepath.Glob("*_test.go")
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		tests += string(text)
	}
	return tests
}

// A command that is added without a row is not tested for its role.
func TestEveryCommandHasARow(t *testing.T) {
	tests := textOfTests(t)
	rows := map[string]bool{}
	for _, row := range commandRows {
		cmd, _, err := callboard.NewCommand().Find(strings.Fields(row.line))
		must(t, err)
		rows[cmd.CommandPath()] = true
		if row.tested != "" && !strings.Contains(tests, "func "+row.tested+"(t *testing.T)") {
			t.Errorf("there is no %s that has '%s' carried out", row.tested, row.line)
		}
	}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if !cmd.HasSubCommands() && !rows[cmd.CommandPath()] {
			t.Errorf("'%s' has no row in commandRows", cmd.CommandPath())
		}
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	walk(callboard.NewCommand())
}

// Every command, by who may and by who may not: the exit status is what scripts rely on.
func TestEveryCommandIsForItsRoleAndThoseAbove(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // where there is no token
	text, operators := tokensOf()
	data := letters(t)
	file := configured(t, filepath.Join(t.TempDir(), "c.yaml"), text)
	service, url := serve(t, "--config", file, "--admin", "127.0.0.1:0", "--data", data)
	address := "http://" + service.stderr.has(t, `msg="serving operators" address=(\S+)`)
	phones(t, url, 4)
	c := &commander{
		t: t, address: address, operators: operators, empty: t.TempDir(),
		things: strings.NewReplacer("@url", url, "@http", strings.Replace(url, "ws", "http", 1), "@data", data, "@nothing", filepath.Join(t.TempDir(), "nothing")),
	}
	stopped := slices.IndexFunc(commandRows, func(row commandRow) bool { return strings.HasPrefix(row.line, "drain") }) + 2
	for i, row := range commandRows {
		if i == stopped {
			service.signal(syscall.SIGTERM)
			service.ends(0)
		}
		if row.tested == "" {
			c.give(row)
		}
	}
}

// commander gives command lines.
type commander struct {
	t         *testing.T
	address   string // of the admin API that is called
	other     string // of one that has other tokens
	failed    int    // sign-ins at others
	operators []*operatorOf
	empty     string // a directory without a token
	things    *strings.Replacer
}

// stranger is the address of an admin API that has other tokens, and does not refuse ours yet because too many were wrong.
func (c *commander) stranger() string {
	if c.failed%10 == 0 {
		_, _, caller := serveWithAdmin(c.t)
		c.other = caller[1]
	}
	c.failed++
	return c.other
}

// give gives a command line, first as those who may not.
func (c *commander) give(row commandRow) {
	c.t.Helper()
	line := strings.Fields(c.things.Replace(row.line))
	if row.least == nobody {
		c.done(row, start(c.t, nil, line...))
		return
	}
	at := slices.Concat(line, []string{"--data", c.empty, "--admin"})
	start(c.t, nil, append(at, c.address)...).complains(6, "there is no admin token", "--token-file")
	start(c.t, nil, append(at, c.stranger(), "--token", c.operators[0].secret)...).complains(6, "refused: unauthenticated: ", "token")
	for _, o := range c.operators[:row.least-1] {
		start(c.t, nil, append(at, c.address, "--token", o.secret)...).complains(6, "permission_denied", "use a token with that role")
	}
	c.done(row, start(c.t, nil, append(at, c.address, "--token", c.operators[row.least-1].secret)...))
}

// done waits for the end of a command that its bearer may give.
func (c *commander) done(row commandRow, p *process) {
	c.t.Helper()
	if row.until != "" {
		p.stdout.has(c.t, row.until)
		p.signal(os.Interrupt)
	}
	if p.ends(row.status); p.cmd.ProcessState.ExitCode() != row.status {
		c.t.Errorf("callboard %s: %s", row.line, p.stderr)
	}
	if complained := strings.HasPrefix(p.stderr.String(), "callboard: "); complained != (row.status != 0) {
		c.t.Errorf("callboard %s ends with %d and says %q", row.line, row.status, p.stderr)
	}
}
