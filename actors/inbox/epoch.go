package inbox

import (
	"math"
	"math/rand/v2"
)

// NewEpoch is the epoch of a numbering that begins: any number but 0 and, of one that
// takes the place of another, the last. That two are the same by chance is as likely as
// one in four thousand million.
//
// It is a uint32 so that every language's JSON has it exactly, and nobody's secret: a
// client that guesses it gains nothing.
func NewEpoch(last uint32) uint32 {
	for {
		if epoch := 1 + rand.Uint32N(math.MaxUint32); epoch != last {
			return epoch
		}
	}
}
