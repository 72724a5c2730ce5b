package actors

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// A flight against a plain list, from any first number on: also across the place where
// the low half of a number begins anew, and across gaps.
func TestFlightIsAsItsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type message struct {
			seq  uint64
			size int
		}
		var f flight
		var model []message
		seq := rapid.SampledFrom([]uint64{0, math.MaxUint32 - 40, 1 << 40}).Draw(rt, "seq")
		for range rapid.IntRange(1, 300).Draw(rt, "steps") {
			if rapid.IntRange(0, 3).Draw(rt, "step") > 0 {
				seq += uint64(rapid.SampledFrom([]int{1, 1, 1, 1000}).Draw(rt, "gap"))
				size := rapid.IntRange(0, 70_000).Draw(rt, "size")
				f.push(seq, size)
				model = append(model, message{seq, size})
			} else {
				upTo := seq - uint64(rapid.IntRange(0, 80).Draw(rt, "left"))
				f.arrived(upTo)
				for len(model) > 0 && int64(model[0].seq-upTo) <= 0 {
					model = model[1:]
				}
			}
			bytes := 0
			for _, m := range model {
				bytes += m.size
			}
			if int(f.n) != len(model) || f.bytes != bytes {
				rt.Fatalf("%d messages of %d bytes are on their way, not %d of %d", f.n, f.bytes, len(model), bytes)
			}
			if len(model) == 0 && f.ring != nil && f.n == 0 && len(f.ring) > 0 {
				rt.Fatal("an empty flight holds a buffer")
			}
		}
	})
}
