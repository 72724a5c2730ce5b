package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Killed in the middle of a change of the number of shards, the service starts with the number
// of before or with the new one, and has every message that it had confirmed.
func TestServiceKilledWhileItScalesStartsSanely(t *testing.T) {
	const users = 3000
	file, data := filepath.Join(t.TempDir(), "users"), t.TempDir()
	var names strings.Builder
	for i := range users {
		fmt.Fprintf(&names, "u%d\n", i)
	}
	if err := os.WriteFile(file, []byte(names.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	service, _ := serve(t, "--data", data, "--admin", "127.0.0.1:0", "--supervision-stuck-after", "1m")
	caller := []string{"--admin", "http://" + service.stderr.has(t, `msg="serving operators" address=(\S+)`), "--data", data}
	confirmed := 0
	before, midway := 16, 0
	for round, shards := 0, 4096; round < 3 || midway == 0 && round < 10; round, shards = round+1, 4101-shards {
		call(t, caller, "broadcast", "--to-file", file, fmt.Sprint("round ", round))
		confirmed += users
		scale := start(t, nil, append([]string{"tree", "scale", "--shards", fmt.Sprint(shards)}, caller...)...)
		scale.stdout.has(t, `\w+ from \d+ to \d+ shards: (\d+) of \d+ users have moved\n`)
		service.signal(syscall.SIGKILL)
		service.ends(-1)
		if _ = scale.cmd.Wait(); !strings.Contains(scale.stdout.String(), "there are") {
			midway++
			scale.stderr.has(t, `^callboard: (http://[\d.:]+ went away before its answer was complete: .* try again|nobody listens at .*)\n$`)
			if status := scale.cmd.ProcessState.ExitCode(); status != 5 {
				t.Errorf("exit status %d, want 5", status)
			}
		}

		var stats struct{ Totals struct{ Users, Entries int } }
		if err := json.Unmarshal([]byte(call(t, nil, "inbox", "stats", "--data", data, "-o", "json")), &stats); err != nil {
			t.Fatal(err)
		}
		if stats.Totals.Users != users || stats.Totals.Entries != confirmed {
			t.Errorf("%d users have %d messages, and %d were confirmed", stats.Totals.Users, stats.Totals.Entries, confirmed)
		}
		service, _ = serve(t, "--data", data, "--admin", "127.0.0.1:0")
		caller[1] = "http://" + service.stderr.has(t, `msg="serving operators" address=(\S+)`)
		var tree struct {
			Scaling struct {
				Phase string
				To    int
			}
			Shards []struct{}
		}
		if err := json.Unmarshal([]byte(call(t, caller, "tree", "show", "-o", "json")), &tree); err != nil {
			t.Fatal(err)
		}
		now := len(tree.Shards)
		if now != before && now != shards || tree.Scaling.Phase != "settled" || tree.Scaling.To != now {
			t.Errorf("from %d to %d it was killed, and starts with %d, %+v", before, shards, now, tree.Scaling)
		}
		if left, err := filepath.Glob(filepath.Join(data, "shards.*")); err != nil || len(left) > 0 {
			t.Errorf("left over: %v, %v", left, err)
		}
		out := call(t, caller, "tree", "scale", "--shards", fmt.Sprint(shards)) // the next try ends it
		if !strings.Contains(out, fmt.Sprintf("there are %d shards", shards)) {
			t.Errorf("%s", out)
		}
		before = shards
	}
	if midway == 0 {
		t.Error("each change was over before it could be interrupted")
	}
}
