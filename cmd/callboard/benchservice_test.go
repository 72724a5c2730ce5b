package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"callboard/cmd/callboard/bench"
)

// chaosRounds is how often the service is killed: CALLBOARD_CHAOS_ROUNDS=100 for a
// night.
func chaosRounds(t *testing.T) int {
	t.Helper()
	value := os.Getenv("CALLBOARD_CHAOS_ROUNDS")
	if value == "" {
		return 10
	}
	rounds, err := strconv.Atoi(value)
	if err != nil {
		t.Fatalf("CALLBOARD_CHAOS_ROUNDS: %v", err)
	}
	return rounds
}

func chaos(t *testing.T, rounds int, settle time.Duration, args ...string) *bench.ChaosResult {
	t.Helper()
	seed, _ := strconv.ParseUint(os.Getenv("CALLBOARD_CHAOS_SEED"), 10, 64) // 0: another each time
	result, err := bench.Chaos(t.Context(), bench.ChaosConfig{
		Program: binary, Args: args, Rounds: rounds, Users: 10, Devices: 3, Window: 32, Rate: 1000, Seed: seed, Settle: settle,
	})
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := result.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table.String())
	return result
}

// Promises 1 and 2, on the real thing: kill -9 at random instants under load.
func TestKilledServiceKeepsWhatItConfirmed(t *testing.T) {
	rounds := chaosRounds(t)

	result := chaos(t, rounds, time.Minute)

	if err := result.Failure(); err != nil {
		t.Error(err)
	}
	if result.Rounds != rounds || result.Findings.Confirmed < uint64(20*rounds) || result.Findings.Seen < result.Findings.Confirmed {
		t.Errorf("there was not much to be lost: %+v", result.Findings)
	}
}

// A store that keeps nothing is found out.
func TestChaosFindsWhatAServiceForgets(t *testing.T) {
	result := chaos(t, 2, 3*time.Second, "--store", "memory")

	if err := result.Failure(); err == nil || result.Findings.Lost == 0 {
		t.Errorf("%v: %+v", err, result.Findings)
	}
	if err := os.RemoveAll(result.Folder); err != nil {
		t.Error(err)
	}
}

// A backlog is on disk: once the store's memtables have been filled, which takes some 20 MB
// here, 80 MB more of it make memory grow by much less. The whole measurement is
// callboard bench stall, a minute long. A machine that takes fewer bytes in the time shows less.
func TestStalledDevicesCostDiskNotMemory(t *testing.T) {
	if underRace {
		t.Skip("it measures the memory of a process that is built without the race detector, and beside busy tests it does not fill its memtables in time")
	}
	const (
		size   = 4000
		anyway = 20 << 20 // bytes that four memtables and the collector may take whatever the backlog is
	)
	result, err := bench.Stall(t.Context(), bench.StallConfig{
		Program: binary, Args: []string{"--store-cache", "4", "--store-memtable", "4"}, Users: 200, Senders: 4, Rate: 20, Size: size,
		Warmup: 5 * time.Second, Duration: 5 * time.Second, Settle: time.Minute, Tolerance: 1000, Protocol: bench.Proto,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := result.Failure(); err != nil {
		t.Error(err)
	}
	if backlog := int64(result.Sent * size); result.MostDuring-result.MostBefore > max(backlog/2, anyway) {
		t.Errorf("memory grew from %d to %d bytes while %d bytes were sent: %v", result.MostBefore, result.MostDuring, backlog, result.Resident)
	}
}

func TestBenchMeasuresAndChecks(t *testing.T) {
	service, url := serve(t, "--store", "memory")
	for name, config := range map[string]bench.Config{
		"relay, seed":    {Workload: bench.Relay, Protocol: bench.Seed},
		"relay, json":    {Workload: bench.Relay, Protocol: bench.JSON},
		"relay, paced":   {Workload: bench.Relay, Protocol: bench.Proto, Rate: 500},
		"durable, json":  {Workload: bench.Durable, Protocol: bench.JSON},
		"durable, proto": {Workload: bench.Durable, Protocol: bench.Proto, Rate: 500},
		"fanin, seed":    {Workload: bench.FanIn, Protocol: bench.Seed},
		"fanin, proto":   {Workload: bench.FanIn, Protocol: bench.Proto},
		"fanout, seed":   {Workload: bench.FanOut, Protocol: bench.Seed},
		"fanout, proto":  {Workload: bench.FanOut, Protocol: bench.Proto, Rate: 500},
		"random, seed":   {Workload: bench.Random, Protocol: bench.Seed, Rate: 500},
		"random, proto":  {Workload: bench.Random, Protocol: bench.Proto, Rate: 500},
		"long, json":     {Workload: bench.Random, Protocol: bench.JSON, Rate: 50, Size: bench.MaxSize},
	} {
		t.Run(name, func(t *testing.T) {
			config.URL, config.Users, config.Window, config.Check = url, 10, 8, true
			config.Warmup, config.Settle = 50*time.Millisecond, patience
			config.PID = service.cmd.Process.Pid
			if config.Size == 0 {
				config.Size = 64
			}

			confirms := config.Protocol != bench.Seed
			var result *bench.Result
			// A machine that stands still for all of it has measured nothing, and is given longer.
			for config.Duration = 300 * time.Millisecond; !measured(result, confirms) && config.Duration < patience; config.Duration *= 4 {
				var err error
				if result, err = bench.Run(t.Context(), config); err != nil {
					t.Fatal(err)
				}
				if err := result.Failure(); err != nil {
					t.Error(err)
				}
			}

			if !measured(result, confirms) {
				t.Errorf("not everything was measured: %+v", result)
			}
			if !confirms && (result.Confirmed > 0 || result.SendToSent != nil) {
				t.Errorf("%d were confirmed", result.Confirmed)
			}
			if len(result.Errors) > 0 {
				t.Errorf("errors: %v", result.Errors)
			}
		})
	}
}

// measured is whether a result has a figure of everything.
func measured(r *bench.Result, confirms bool) bool {
	return r != nil && r.Messages > 0 && r.SendToReceive != nil && r.SendToReceive.P50 > 0 && r.BytesSent > 0 &&
		(!confirms || r.Confirmed > 0 && r.SendToSent != nil)
}

func TestBenchHoldsIdleConnections(t *testing.T) {
	service, url := serve(t, "--store", "memory")

	result, err := bench.Run(t.Context(), bench.Config{
		Workload: bench.Idle, Protocol: bench.Seed, URL: url, Users: 50, Window: 1, Size: bench.MinSize,
		Duration: 50 * time.Millisecond, PID: service.cmd.Process.Pid,
	})

	if err != nil || result.Connections != 50 || result.ConnectionsPerSecond <= 0 {
		t.Errorf("%v: %+v", err, result)
	}
}

func TestBenchSaysThatTheServiceWentAway(t *testing.T) {
	service, url, caller := serveWithAdmin(t, "--store", "memory", "--admin-token-file", filepath.Join(t.TempDir(), "token"))
	caller = append(caller[:2], "--token-file", service.stderr.has(t, `token_file=(\S+)`))
	ended := make(chan error, 1)
	go func() {
		_, err := bench.Run(t.Context(), bench.Config{
			Workload: bench.Relay, Protocol: bench.Proto, URL: url, Users: 4, Window: 1, Size: 64, Duration: 2 * patience,
		})
		ended <- err
	}()
	for limit := time.Now().Add(patience); !regexp.MustCompile(`(?m)^delivered +[1-9]`).MatchString(call(t, caller, "stats")); {
		if time.Now().After(limit) {
			t.Fatal("the load did not begin")
		}
	}

	service.signal(syscall.SIGKILL)

	if err := <-ended; err == nil || !strings.Contains(err.Error(), "all connections were lost") {
		t.Errorf("%v", err)
	}
}
