package actors

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestWheelGivesBackAfterAllSlotsHaveTurned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(1, 12).Draw(t, "slots")
		adds := rapid.SliceOfN(rapid.IntRange(0, 3), 1, 50).Draw(t, "adds before each turn")
		var w wheel[int]
		w.init(slots)
		due := map[int][]int{} // by turn
		next, inside := 0, 0
		for turn, n := range adds {
			for range n {
				w.add(next)
				due[turn+slots-1] = append(due[turn+slots-1], next)
				next++
				inside++
			}
			got := w.turn()
			inside -= len(got)
			if !slices.Equal(got, due[turn]) {
				t.Fatalf("turn %d gives %v, want %v", turn, got, due[turn])
			}
			if w.n != inside {
				t.Fatalf("the wheel counts %d, it holds %d", w.n, inside)
			}
		}
	})
}
