package main

import (
	"io"
	"strings"
	"testing"

	"callboard/cmd/callboard/bench"
)

func TestBenchComplaintsSayWhatToDo(t *testing.T) {
	for line, words := range map[string][]string{
		"rely":                              {`"rely"`, "did you mean relay"},
		"relay --users 3":                   {"--users is 3", "pairs", "like 4"},
		"relay --users 0":                   {"--users is 0", "2 to"},
		"relay --window 0":                  {"--window is 0", "1 to 256"},
		"relay --size 10":                   {"--size is 10", "48"},
		"relay --rate -1":                   {"--rate is -1", "or 0"},
		"relay --duration 0s":               {"--duration is 0s", "like 10s"},
		"relay --warmup -1s":                {"--warmup is -1s"},
		"relay --protocol v2":               {`--protocol "v2"`, "seed, json or proto"},
		"relay now":                         {`"now"`},
		"durable --protocol seed":           {"--protocol seed", "json or proto"},
		"relay --url ws://127.0.0.1:1":      {"connection refused"},
		"relay --url http://127.0.0.1:1":    {"http://127.0.0.1:1", "ws://127.0.0.1:8080"},
		"scale --steps 8":                   {"--steps has 1", "like 8,32"},
		"scale --steps 8,8":                 {"--steps has 8 twice"},
		"scale --steps 8,0":                 {"--steps has 0"},
		"idle --users 0":                    {"--users is 0", "1 to"},
		"idle --window 3":                   {"--window"},
		"idle --users 1000000 --url ws://h": {"1000000 connections"},
		"chaos --rounds 0":                  {"--rounds is 0"},
		"chaos --devices 16":                {"--devices is 16", "1 to 15"},
		"chaos quickly":                     {`"quickly"`, "behind --"},
		"relay --identity-data /nowhere":    {"--identity-data", "/nowhere", "--identity-development"},
		"handshakes --kinds silent,loud":    {`"loud"`, "mute"},
		"stall --server-pid 1":              {"--url"},
		"stall --url ws://127.0.0.1:1":      {"--server-pid is missing"},
		"stall --rate 0":                    {"--rate is 0"},
		"stall --warmup 0s":                 {"--warmup is 0s", "1s"},
	} {
		t.Run(line, func(t *testing.T) {
			cmd := newCommand()
			cmd.SetOut(io.Discard)
			cmd.SetErr(io.Discard)
			cmd.SetArgs(append([]string{"bench"}, strings.Fields(line)...))
			err := cmd.ExecuteContext(t.Context())
			if err == nil {
				t.Fatal("it is taken")
			}
			want := exitUsage
			if strings.Contains(line, "127.0.0.1:1") && words[0] == "connection refused" {
				want = exitUnavailable
			}
			if got := statusOf(err); got != want && line != "idle --users 1000000 --url ws://h" {
				t.Errorf("exit status %d, want %d", got, want)
			}
			for _, word := range words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q is not in %q", word, err)
				}
			}
		})
	}
}

func TestBenchDurableOffersNoDialectThatConfirmsNothing(t *testing.T) {
	for _, w := range workloads {
		usage := newWorkload(w).Flags().Lookup("protocol").Usage
		if offers := strings.Contains(usage, "seed (no subprotocol)"); offers == (w.kind == bench.Durable) {
			t.Errorf("%s says of --protocol: %s", w.kind, usage)
		}
	}
}
