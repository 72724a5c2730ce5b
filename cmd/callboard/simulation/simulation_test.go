package simulation

import (
	"flag"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	cmap "github.com/orcaman/concurrent-map"
	"go.uber.org/goleak"
)

var (
	oneSeed = flag.Int64("simulation.seed", -1, "run this seed alone, again and again until it fails, and write down what happens")
	tries   = flag.Int("simulation.tries", 100, "how often to run the seed of -simulation.seed at most")
	from    = flag.Int("simulation.from", 0, "the first seed")
	seeds   = flag.Int("simulation.seeds", defaultSeeds(), "how many seeds to run; the default is SIMULATION_SEEDS, or 1000, and under the race detector 40")
	all     = flag.Bool("simulation.all", false, "go on after a seed that fails, and count")
)

func defaultSeeds() int {
	if n, err := strconv.Atoi(os.Getenv("SIMULATION_SEEDS")); err == nil {
		return n
	}
	if underRace {
		return 40
	}
	return 1000
}

func TestMain(m *testing.M) {
	flag.Parse()
	// protoactor makes a thousand of these maps for each system, of 32 parts each: half of what
	// a run costs.
	cmap.SHARD_COUNT = 1
	if !underRace {
		// One goroutine at a time: they take turns in the same order nearly always.
		runtime.GOMAXPROCS(1)
		// And the collector runs seldom: its goroutines take turns too.
		debug.SetGCPercent(-1)
		debug.SetMemoryLimit(512 << 20)
	}
	goleak.VerifyTestMain(m)
}

func TestPromisesHoldWhateverHappensToTheNode(t *testing.T) {
	if *oneSeed >= 0 {
		replay(t, uint64(*oneSeed))
		return
	}
	failed := 0
	for seed := *from; seed < *from+*seeds && (failed == 0 || *all); seed++ {
		r := simulate(t, uint64(seed))
		if r.fault == "" {
			continue
		}
		if failed++; failed > 1 {
			t.Errorf("seed %d: %s", seed, r.fault)
			continue
		}
		t.Errorf("seed %d: %s\nreplay it with: go test ./cmd/callboard/simulation -v -simulation.seed=%d\n%s",
			seed, r.fault, seed, strings.Join(r.log, "\n"))
	}
	if failed > 1 {
		t.Errorf("%d of %d seeds failed", failed, *seeds)
	}
}

// TestSeedsThatFoundFaults runs seeds beyond those of every run that have shown a fault once.
func TestSeedsThatFoundFaults(t *testing.T) {
	for _, seed := range []uint64{
		2085, // the end of an actor whose user arrives anew
	} {
		if r := simulate(t, seed); r.fault != "" {
			t.Errorf("seed %d: %s\nreplay it with: go test ./cmd/callboard/simulation -v -simulation.seed=%d", seed, r.fault, seed)
		}
	}
}

// replay runs one seed until it fails.
func replay(t *testing.T, seed uint64) {
	t.Helper()
	for try := range *tries {
		r := simulate(t, seed)
		if r.fault != "" || try == *tries-1 {
			t.Logf("run %d of seed %d\n%s", try+1, seed, strings.Join(r.log, "\n"))
		}
		if r.fault != "" {
			t.Fatalf("seed %d: %s", seed, r.fault)
		}
	}
}

// The plan of a seed is always the same. What comes of it is nearly always, and the log says how
// often; doc.go says why not always.
func TestASeedHasOnePlan(t *testing.T) {
	runs := 20
	if underRace {
		runs = 5
	}
	same := 0
	for seed := range uint64(runs) {
		first, again := simulate(t, seed), simulate(t, seed)
		if !slices.Equal(first.plan, again.plan) || first.rng.Uint64() != again.rng.Uint64() {
			t.Errorf("seed %d has two plans:\n%q\n%q", seed, first.plan, again.plan)
		}
		if slices.Equal(first.log, again.log) {
			same++
		}
	}
	t.Logf("%d of %d seeds went the same way twice", same, runs)
}
