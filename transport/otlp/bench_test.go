package otlp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"callboard/actors"
	"callboard/actors/inbox/memory"
	"callboard/protocol"
	"callboard/transport/otlp"
)

// sink is a socket that takes everything at once.
type sink struct{ got func(protocol.Message) }

func (s *sink) Write(m protocol.Message) int { s.got(m); return 64 }
func (*sink) Control(actors.Control) int     { return 2 }
func (*sink) Flush(*actors.Link) bool        { return true }
func (*sink) Close()                         {}

// BenchmarkRelay is a message from alice to bob with 64 under way, and a collector that takes all.
// Rate bounds what is recorded, so that the last lines are what clients can make it cost.
func BenchmarkRelay(b *testing.B) {
	for _, c := range []struct {
		name   string
		off    bool
		parent string
		live   otlp.Live
	}{
		{"off", true, "", otlp.Live{}},
		{"off, traceparent", true, traceparent, otlp.Live{}},
		{"sample 0.01", false, "", otlp.Live{Sample: 0.01, Rate: 100}},
		{"sample 0.01, no bound", false, "", otlp.Live{Sample: 0.01, Rate: 1_000_000}},
		{"sample 1", false, "", otlp.Live{Sample: 1, Rate: 100}},
		{"sample 1, no bound", false, "", otlp.Live{Sample: 1, Rate: 1_000_000}},
		{"all come sampled", false, "each", otlp.Live{Rate: 100}},
	} {
		b.Run(c.name, func(b *testing.B) { relay(b, c.off, c.parent, c.live) })
	}
}

func relay(b *testing.B, off bool, parent string, live otlp.Live) {
	b.Helper()
	config := actors.Config{Store: memory.New(memory.Config{})}
	if !off {
		collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		defer collector.Close()
		tracer, err := otlp.New(otlp.Config{Endpoint: collector.URL, Live: live})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() { ended <- tracer.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				b.Error(err)
			}
		}()
		config.Tracer = tracer
	}
	system, err := actors.New(config)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = system.Stop(context.Background()) }()
	const window = 64
	got := make(chan struct{}, window)
	connected := make(chan struct{}, 2)
	var bob *actors.Link
	connect := func(user protocol.UserID) *actors.Link {
		link, err := system.Connect(b.Context(), user, actors.V1, &sink{func(m protocol.Message) {
			switch m := m.(type) {
			case *protocol.Connect:
				connected <- struct{}{}
			case *protocol.Receive:
				if m.Seq%16 == 0 {
					bob.Ack(m.Seq)
				}
				got <- struct{}{}
			}
		}})
		if err != nil {
			b.Fatal(err)
		}
		return link
	}
	bob = connect("bob")
	bob.Connect(&protocol.Connect{Window: protocol.MaxWindow})
	alice := connect("alice")
	alice.Connect(&protocol.Connect{})
	<-connected
	<-connected
	for range window {
		got <- struct{}{}
	}
	b.ReportAllocs()
	for sent := 0; b.Loop(); sent++ {
		<-got
		next := alice.Next()
		next.Receiver, next.Content, next.Id, next.Traceparent = "bob", "hello i am alice", fmt.Sprint(sent), parent
		if parent == "each" {
			next.Traceparent = fmt.Sprintf("00-%032x-b7ad6b7169203331-01", sent+1)
		}
		if !alice.Send() {
			b.Fatal("the session has ended")
		}
	}
	for range window {
		<-got
	}
}
