package actors

import (
	"context"
	"testing"
	"time"

	"callboard/actors/inbox/memory"
)

// BenchmarkRates is what the rates cost a message that keeps to them.
func BenchmarkRates(b *testing.B) {
	plenty := Rate{time.Nanosecond, MaxBurst}
	for name, rates := range map[string]Rates{"off": {}, "session": {Session: plenty}, "both": {Session: plenty, User: plenty}} {
		b.Run(name, func(b *testing.B) {
			system, err := New(Config{Store: memory.New(memory.Config{}), Rates: rates})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = system.Stop(context.Background()) })
			relay(b, system, 64)
		})
	}
}
