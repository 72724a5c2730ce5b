package actors

import (
	"math"
	"sync/atomic"
)

const (
	// HistogramSchema is how fine a Histogram is: a bucket ends at 2^(1/8) times of
	// where it begins, about 9 % further. It is the schema of a native histogram of
	// Prometheus, whose buckets have the same bounds.
	HistogramSchema = 3

	perOctave = 1 << HistogramSchema
	octaves   = 32
)

// Histogram is how often a value has been observed, as it was when it was read.
type Histogram struct {
	// Counts has, for each bucket that is not empty, by its index, how many values were
	// above 2^((index-1)/8) and at most 2^(index/8).
	Counts map[int]uint64
	Count  uint64 // of all
	Sum    float64
}

// histogram counts values by their size. Any goroutine may add to it: it takes no lock
// and allocates nothing.
type histogram struct {
	unit    float64 // of what is added, in that of the bounds
	lowest  int     // exponent of 2 of the least bound; what is less counts as that
	sum     atomic.Uint64
	buckets [octaves*perOctave + 1]atomic.Uint64
}

// newTimes is a histogram of times, in seconds, from 1 us to an hour.
func newTimes() *histogram { return &histogram{unit: 1e-9, lowest: -20} }

// newSizes is a histogram of numbers from 1 to 4,294,967,296.
func newSizes() *histogram { return &histogram{unit: 1, lowest: 0} }

// add counts a value, n times. Of times the value is in nanoseconds.
func (h *histogram) add(value, n uint64) {
	h.sum.Add(value * n)
	index := bucketOf(float64(value)*h.unit) - h.lowest*perOctave
	h.buckets[min(max(index, 0), len(h.buckets)-1)].Add(n)
}

// octave has the bounds of the buckets between 1/2 and 1.
var octave = [perOctave]float64{
	0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048,
	0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711,
}

// bucketOf is the index of the bucket that a value belongs to.
func bucketOf(value float64) int {
	if value <= 0 {
		return math.MinInt32
	}
	fraction, exponent := math.Frexp(value)
	index := 0
	for index < perOctave && fraction > octave[index] {
		index++
	}
	return (exponent-1)*perOctave + index
}

// read is what has been counted. What is added meanwhile may be in it or not, and a
// little of it in Sum alone.
func (h *histogram) read() Histogram {
	r := Histogram{Counts: make(map[int]uint64), Sum: float64(h.sum.Load()) * h.unit}
	for i := range h.buckets {
		if n := h.buckets[i].Load(); n > 0 {
			r.Counts[i+h.lowest*perOctave] = n
			r.Count += n
		}
	}
	return r
}

// AtMost is how many values were at most 2^exponent, which is where a bucket ends.
func (h *Histogram) AtMost(exponent int) (n uint64) {
	for index, count := range h.Counts {
		if index <= exponent*perOctave {
			n += count
		}
	}
	return n
}
