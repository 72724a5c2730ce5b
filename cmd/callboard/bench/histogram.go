package bench

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// A Histogram counts times in log-linear buckets: 64 for each power of two, so that
// a quantile is at most 1/64 above the true one. Times above 73 minutes count as 73
// minutes. Any number of goroutines may record at once; the zero value is empty.
type Histogram struct {
	counts [buckets]atomic.Uint64
	max    atomic.Int64
}

const (
	subBits  = 6  // of a bucket's number within its power of two
	maxBits  = 42 // of a time in nanoseconds
	buckets  = (maxBits - subBits + 1) << subBits
	maxValue = 1<<maxBits - 1
)

// Record counts one time. A negative one counts as none.
func (h *Histogram) Record(d time.Duration) {
	v := min(max(int64(d), 0), maxValue)
	h.counts[bucket(uint64(v))].Add(1)
	for {
		most := h.max.Load()
		if v <= most || h.max.CompareAndSwap(most, v) {
			return
		}
	}
}

// bucket is the number of the bucket that a value is counted in.
func bucket(v uint64) int {
	if v < 1<<subBits {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return shift<<subBits + int(v>>shift)
}

// ceiling is the largest value that is counted in a bucket.
func ceiling(bucket int) uint64 {
	if bucket < 1<<(subBits+1) {
		return uint64(bucket)
	}
	shift := bucket>>subBits - 1
	return (uint64(bucket)-uint64(shift)<<subBits+1)<<shift - 1
}

// Count is how many times were recorded.
func (h *Histogram) Count() (n uint64) {
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// Max is the longest time that was recorded.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max.Load()) }

// Quantile is a time that the share q, 0 to 1, of those recorded did not exceed; 0
// if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := max(1, uint64(math.Ceil(q*float64(h.Count()))))
	var n uint64
	for i := range h.counts {
		if n += h.counts[i].Load(); n >= rank {
			return min(time.Duration(ceiling(i)), h.Max())
		}
	}
	return h.Max()
}

// Latency is what a histogram comes to, in microseconds.
type Latency struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99_9"`
	Max   float64 `json:"max"`
}

// Latency sums the histogram up; nil if it is empty.
func (h *Histogram) Latency() *Latency {
	n := h.Count()
	if n == 0 {
		return nil
	}
	at := func(q float64) float64 { return float64(h.Quantile(q)) / 1e3 }
	return &Latency{Count: n, P50: at(.5), P90: at(.9), P99: at(.99), P999: at(.999), Max: float64(h.Max()) / 1e3}
}
