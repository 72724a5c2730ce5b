package bench

import (
	"fmt"
	"io"
	"slices"
)

// A LookResult is what Looking measured.
type LookResult struct {
	Protocol Protocol `json:"protocol"`
	Users    int      `json:"users"`
	Idle     int      `json:"idle"`
	Window   int      `json:"window"`
	Size     int      `json:"size"`
	Every    float64  `json:"every_s"`

	MessagesPerSecond      float64 `json:"messages_per_s"`               // while nobody looked, the median
	MicrosecondsPerMessage float64 `json:"cpu_us_per_message,omitempty"` // of the service, likewise

	Looks  []LookCost        `json:"looks"`
	Calls  []Call            `json:"calls"`
	Errors map[string]uint64 `json:"errors,omitempty"` // by code
}

// LookCost is what a look costs those who send: medians of the ratios of a turn to those beside it
// in which nobody looked.
type LookCost struct {
	Name            string  `json:"name"`
	Turns           int     `json:"turns"`
	ThroughputRatio float64 `json:"throughput_ratio"`
	Lowest          float64 `json:"throughput_ratio_min"`
	Highest         float64 `json:"throughput_ratio_max"`
	ProcessorRatio  float64 `json:"cpu_ratio,omitempty"` // of the service's time for a message
}

// Call is how long the calls of a look took.
type Call struct {
	Name    string   `json:"name"`
	Latency *Latency `json:"latency_us"`
}

// sum compares the turns; the first, the last and every second one are those of nobody.
func (r *LookResult) sum(turns []turn, looks []Look) {
	var rates, processor []float64
	throughput, times := map[string][]float64{}, map[string][]float64{}
	for i, t := range turns {
		if t.look == nil {
			rates, processor = append(rates, t.rate), append(processor, t.processor)
			continue
		}
		before, after, name := turns[i-1], turns[i+1], t.look.Name
		throughput[name] = append(throughput[name], ratio(t.rate, before.rate, after.rate))
		times[name] = append(times[name], ratio(t.processor, before.processor, after.processor))
	}
	r.MessagesPerSecond, r.MicrosecondsPerMessage = median(rates), median(processor)
	for _, look := range looks {
		all := throughput[look.Name]
		r.Looks = append(r.Looks, LookCost{
			Name: look.Name, Turns: len(all), ThroughputRatio: median(all), Lowest: slices.Min(all), Highest: slices.Max(all),
			ProcessorRatio: median(times[look.Name]),
		})
	}
}

// ratio is that of a figure to the mean of two others; 0 where there is none.
func ratio(x, a, b float64) float64 {
	if a+b == 0 {
		return 0
	}
	return 2 * x / (a + b)
}

// median is the middle one; of an even number, the mean of both.
func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// Failure is nil: what is too slow says the reader.
func (r *LookResult) Failure() error { return nil }

// WriteTable writes the result for people.
func (r *LookResult) WriteTable(out io.Writer) error {
	t := newTable(out)
	t.row("workload", "relay, %s, %d users, window %d, %d bytes; %d more are connected", r.Protocol, r.Users, r.Window, r.Size, r.Idle)
	t.row("nobody looks", "%.0f messages/s%s", r.MessagesPerSecond, processorWords(", %.2f µs of the service's processor for each", r.MicrosecondsPerMessage))
	for _, l := range r.Looks {
		t.row(l.Name, "%.3f times the messages/s (%.3f to %.3f in %d turns)%s", l.ThroughputRatio, l.Lowest, l.Highest, l.Turns,
			processorWords(", %.3f times the processor", l.ProcessorRatio))
	}
	for _, c := range r.Calls {
		t.row(c.Name, "%d, p50 %s  p99 %s  max %s", c.Latency.Count, microseconds(c.Latency.P50), microseconds(c.Latency.P99), microseconds(c.Latency.Max))
	}
	t.errors(r.Errors)
	return t.flush()
}

// processorWords is empty where the service's process is not known.
func processorWords(format string, x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf(format, x)
}
