package client_test

import (
	"fmt"
	"strings"
	"testing"

	"callboard/protocol"
	"callboard/transport"
	"callboard/transport/client"
)

// BenchmarkSend is a text of 64 bytes to oneself, confirmed, received and
// acknowledged, with so many on their way at once; the service included.
func BenchmarkSend(b *testing.B) {
	for _, codec := range []protocol.Codec{protocol.JSON, protocol.Proto} {
		for _, flight := range []int{1, 64} {
			b.Run(fmt.Sprintf("%v/flight=%d", codec, flight), func(b *testing.B) { benchmarkSend(b, codec, flight) })
		}
	}
}

func benchmarkSend(b *testing.B, codec protocol.Codec, flight int) {
	b.Helper()
	c, err := client.New(serve(b, transport.Config{}).url(), "1", client.Config{Codec: codec})
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	received := make(chan error)
	go func() {
		for _, err := range c.Messages(ctx) {
			if err != nil {
				received <- err
				return
			}
		}
	}()
	content := strings.Repeat("x", 64)
	window := make(chan *client.Sending, flight)
	b.ReportAllocs()
	for b.Loop() {
		if len(window) == flight {
			if _, err := (<-window).Wait(ctx); err != nil {
				b.Fatal(err)
			}
		}
		sending, err := c.SendAsync(ctx, "1", content)
		if err != nil {
			b.Fatal(err)
		}
		window <- sending
	}
	for len(window) > 0 {
		if _, err := (<-window).Wait(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	_ = c.Close(ctx)
	b.Log(<-received)
}
