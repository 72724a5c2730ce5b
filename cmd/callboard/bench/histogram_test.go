package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestEveryTimeIsInItsBucket(t *testing.T) {
	values := []uint64{0, 1, 63, 64, 65, 127, 128, 129, 255, 256, 1<<20 - 1, 1 << 20, maxValue - 1, maxValue}
	for range 10_000 {
		values = append(values, rand.Uint64N(1<<rand.IntN(maxBits)+1))
	}
	for _, v := range values {
		b := bucket(v)
		if b < 0 || b >= buckets {
			t.Fatalf("%d is in bucket %d of %d", v, b, buckets)
		}
		if top := ceiling(b); v > top || float64(top-v) > float64(v)/64 {
			t.Errorf("%d is in the bucket that ends at %d", v, top)
		}
		if b > 0 && ceiling(b-1) >= v {
			t.Errorf("%d would be in the bucket before, which ends at %d", v, ceiling(b-1))
		}
	}
	if bucket(maxValue) != buckets-1 {
		t.Errorf("the last bucket is %d, not %d", bucket(maxValue), buckets-1)
	}
}

func TestQuantilesAreCloseToTheTrueOnes(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	var h Histogram
	var all []time.Duration
	for range 50_000 {
		d := time.Duration(math.Exp(random.Float64()*20) * 100)
		all = append(all, d)
		h.Record(d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, .001, .5, .9, .99, .999, 1} {
		want := all[max(0, int(math.Ceil(q*float64(len(all))))-1)]
		if got := h.Quantile(q); got < want || float64(got-want) > float64(want)/64+1 {
			t.Errorf("seed %d: quantile %v is %v, want %v", seed, q, got, want)
		}
	}
	if h.Max() != all[len(all)-1] || h.Count() != uint64(len(all)) {
		t.Errorf("seed %d: max %v of %d", seed, h.Max(), h.Count())
	}
}

func TestOddTimesAreCountedToo(t *testing.T) {
	var h Histogram
	if h.Quantile(.5) != 0 || h.Latency() != nil {
		t.Error("an empty histogram has quantiles")
	}
	h.Record(-time.Second)
	h.Record(math.MaxInt64)
	if h.Count() != 2 || h.Quantile(.5) != 0 || h.Quantile(1) != maxValue {
		t.Errorf("%d, %v, %v", h.Count(), h.Quantile(.5), h.Quantile(1))
	}
}

func BenchmarkRecord(b *testing.B) {
	b.ReportAllocs()
	var h Histogram
	for b.Loop() {
		h.Record(123456)
	}
}
