package bench

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// event is a message of sender 0 on its way to receiver 1.
type event struct{ seq, number uint64 }

// flow is a run in which everything went well: n messages, confirmed and seen.
func flow(n uint64) (confirmed []uint64, seen []event) {
	for i := uint64(1); i <= n; i++ {
		confirmed = append(confirmed, i)
		seen = append(seen, event{seq: i, number: i})
	}
	return confirmed, seen
}

func check(confirmed []uint64, seen []event) Check {
	l := NewLedger(2)
	for _, n := range confirmed {
		l.Confirm(0, n)
	}
	for _, e := range seen {
		l.See(1, e.seq, 0, e.number)
	}
	return l.Verdict()
}

func TestLedgerIsContentWhenAllIsWell(t *testing.T) {
	got := check(flow(1000))
	if !got.OK() || got.Confirmed != 1000 || got.Seen != 1000 || len(got.Examples) > 0 {
		t.Errorf("%+v", got)
	}
}

func TestLedgerNeedsNoConfirmationOfWhatIsSeen(t *testing.T) {
	confirmed, seen := flow(10)
	if got := check(confirmed[:7], seen); !got.OK() {
		t.Errorf("%+v", got)
	}
}

// Whatever is broken in a flow that was well, the ledger notices.
func TestLedgerFindsWhatWasInjected(t *testing.T) {
	const n = 500
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for name, tt := range map[string]struct {
		inject func(at int, seen []event) []event
		count  func(*Check) uint64
	}{
		"lost, and the numbers close up": {
			func(at int, seen []event) []event {
				for i := at + 1; i < len(seen); i++ {
					seen[i].seq--
				}
				return append(seen[:at], seen[at+1:]...)
			},
			func(c *Check) uint64 { return c.Lost },
		},
		"lost, with a hole": {
			func(at int, seen []event) []event { return append(seen[:at], seen[at+1:]...) },
			func(c *Check) uint64 { return c.Lost },
		},
		"doubled under the same number": {
			func(at int, seen []event) []event {
				return append(seen[:at+1], append([]event{seen[at]}, seen[at+1:]...)...)
			},
			func(c *Check) uint64 { return c.Doubled },
		},
		"doubled under a number of its own": {
			func(at int, seen []event) []event { return append(seen, event{n + 1, seen[at].number}) },
			func(c *Check) uint64 { return c.Doubled },
		},
		"reordered by the inbox": {
			func(at int, seen []event) []event {
				seen[at].number, seen[at+1].number = seen[at+1].number, seen[at].number
				return seen
			},
			func(c *Check) uint64 { return c.Reordered },
		},
		"reordered on the way": {
			func(at int, seen []event) []event {
				seen[at], seen[at+1] = seen[at+1], seen[at]
				return seen
			},
			func(c *Check) uint64 { return c.Reordered },
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				at := random.IntN(n - 2)
				confirmed, seen := flow(n)
				got := check(confirmed, tt.inject(at, seen))
				if tt.count(&got) == 0 || got.OK() || len(got.Examples) == 0 {
					t.Errorf("seed %d: injected at %d, found %+v", seed, at, got)
				}
			}
		})
	}
}

func TestLedgerFindsStrangers(t *testing.T) {
	l := NewLedger(2)
	l.See(1, 1, 7, 1)
	l.Alter(1, 2, "a content that nobody sent")
	l.Refuse(0, 1)
	l.Confirm(0, 1)
	got := l.Verdict()
	if got.Altered != 3 || got.OK() {
		t.Errorf("%+v", got)
	}
}

func TestLedgerBoundsItsExamples(t *testing.T) {
	confirmed, _ := flow(1000)
	got := check(confirmed, nil)
	if got.Lost != 1000 || len(got.Examples) != maxExamples || !strings.Contains(got.Examples[0], "message 1 of 0") {
		t.Errorf("%+v", got)
	}
}

func TestStampComesBackAsItWasSent(t *testing.T) {
	run := newRun()
	for _, size := range []int{MinSize, 64, 60_000} {
		want := stamp{run: run, sender: 99_999, number: 1 << 30, due: time.Hour}
		content := string(want.append(nil, size))
		got, ok := parseStamp(content, run)
		if !ok || got != want || len(content) != size {
			t.Errorf("%q: %+v, %v", content, got, ok)
		}
		for _, other := range []string{"", "hello", content + "?", strings.Replace(content, "t", "T", 1)} {
			if _, ok := parseStamp(other, run); ok && other != content {
				t.Errorf("%q was taken for ours", other)
			}
		}
		if _, ok := parseStamp(content, newRun()); ok {
			t.Errorf("%q was taken for one of another run", content)
		}
	}
}
