package main_test

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"testing"
)

// The load generator looks itself, as an operator and as Prometheus, and says what it takes and costs.
func TestBenchLookMeasuresCallsAndWhatTheyCost(t *testing.T) {
	service, url, caller := serveWithAdmin(t, "--store", "memory", "--admin-token-file", filepath.Join(t.TempDir(), "token"))
	token := service.stderr.has(t, `token_file=(\S+)`)
	bench := start(t, nil, "bench", "look", "--url", url, "--admin", caller[1], "--token-file", token, "--users", "4", "--idle", "600",
		"--rounds", "2", "--duration", "200ms", "--every", "20ms", "--warmup", "0s", "--server-pid", strconv.Itoa(service.cmd.Process.Pid), "-o", "json")
	bench.ends(0)
	var got struct {
		Looks []struct {
			Name       string
			Turns      int
			Throughput float64 `json:"throughput_ratio"`
		}
		Calls []struct {
			Name    string
			Latency struct{ Count int } `json:"latency_us"`
		}
		Rate float64 `json:"messages_per_s"`
	}
	must(t, json.Unmarshal([]byte(bench.stdout.String()), &got))
	calls := map[string]int{}
	for _, c := range got.Calls {
		calls[c.Name] = c.Latency.Count
	}
	if len(got.Looks) != 3 || got.Looks[0].Turns != 2 || got.Looks[1].Throughput <= 0 || got.Rate <= 0 {
		t.Errorf("%+v", got)
	}
	least := map[string]int{ // one look in each of two turns, over 604 users and as many sessions
		"ListUsers, 100 a page": 2, "ListSessions, 100 a page": 2, "GetUser": 2,
		"ListUsers, 500 a page": 4, "ListSessions, 500 a page": 4, "GET /metrics": 2,
	}
	for call, n := range least {
		if calls[call] < n {
			t.Errorf("%s was called %d times, and should have been %d times at least: %v", call, calls[call], n, calls)
		}
	}
}
