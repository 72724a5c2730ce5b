package main

import "testing"

func TestCollectorWaitsForGarbageInBounds(t *testing.T) {
	for live, want := range map[uint64]int{
		0: mostPercent, 1 << 20: mostPercent, 8 << 20: 400, 16 << 20: 200, 32 << 20: 100, 50 << 20: 60,
		64 << 20: leastPercent, 1 << 40: leastPercent,
	} {
		if got := collectorPercent(live); got != want {
			t.Errorf("with %d live bytes: %d percent, want %d", live, got, want)
		}
	}
}
