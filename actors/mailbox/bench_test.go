package mailbox_test

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/mailbox"
)

// counter tells when it has handled n messages.
type counter struct {
	left int
	done chan struct{}
}

func (c *counter) InvokeSystemMessage(any) {}

func (c *counter) InvokeUserMessage(any) {
	if c.left--; c.left == 0 {
		c.done <- struct{}{}
	}
}

func (c *counter) EscalateFailure(reason, _ any) { panic(reason) }

// boxes are ours and, to compare, protoactor's default.
var boxes = []struct {
	name string
	make func() (actor.Mailbox, actor.Dispatcher)
}{
	{"ours", func() (actor.Mailbox, actor.Dispatcher) { return mailbox.New(nil), &mailbox.Workers{} }},
	{"unbounded", func() (actor.Mailbox, actor.Dispatcher) {
		return actor.Unbounded()(), actor.NewDefaultDispatcher(300)
	}},
}

// BenchmarkBurst posts bursts of 64 messages and waits for the last of each.
func BenchmarkBurst(b *testing.B) { benchmark(b, 64) }

// BenchmarkAlone posts one message at a time: each wakes the actor.
func BenchmarkAlone(b *testing.B) { benchmark(b, 1) }

func benchmark(b *testing.B, burst int) {
	b.Helper()
	for _, box := range boxes {
		b.Run("box="+box.name, func(b *testing.B) {
			m, dispatcher := box.make()
			c := &counter{done: make(chan struct{}, 1)}
			m.RegisterHandlers(c, dispatcher)
			m.Start()
			msg := any(&struct{}{})
			b.ReportAllocs()
			for b.Loop() {
				c.left = burst
				for range burst {
					m.PostUserMessage(msg)
				}
				<-c.done
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*burst), "ns/msg")
		})
	}
}
