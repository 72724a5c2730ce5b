package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"callboard/actors"
	"callboard/actors/inbox/memory"
	"callboard/transport"
	"callboard/transport/client"
)

// User 1 writes to user 2, who connects later. Errors are left out for the overview;
// a program looks at every one.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	address, stop := start(ctx)
	defer stop()

	sender, _ := client.Dial(ctx, address, "1", client.Config{})
	receipt, _ := sender.Send(ctx, "2", "hello")
	fmt.Printf("kept as message %d\n", receipt.Seq)
	_ = sender.Close(ctx)

	receiver, _ := client.Dial(ctx, address, "2", client.Config{Device: "phone"})
	for m, err := range receiver.Messages(ctx) {
		if err != nil {
			break
		}
		fmt.Printf("%s: %s\n", m.Sender, m.Content)
		m.Ack() // for the loop is left here, and does not ask for the next
		break
	}
	_ = receiver.Close(ctx)
	// Output:
	// kept as message 1
	// 1: hello
}

// A loop that runs as long as the program: a message is acknowledged when its body
// has been gone through.
func ExampleClient_Messages() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	address, stop := start(ctx)
	defer stop()
	c, err := client.Dial(ctx, address, "1", client.Config{Device: "laptop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close(ctx) }()
	for _, text := range []string{"one", "two", "three"} {
		if _, err := c.Send(ctx, "1", text); err != nil { // to oneself
			fmt.Println(err)
		}
	}

	quiet, enough := context.WithCancel(ctx)
	defer enough()
	for m, err := range c.Messages(quiet) {
		if gap, ok := errors.AsType[*client.GapError](err); ok {
			fmt.Println("missing:", gap.First, "to", gap.Last) // and goes on
			continue
		}
		if err != nil {
			fmt.Println("the end:", err)
			break
		}
		fmt.Println(m.Seq, m.Content)
		if m.Content == "three" {
			enough() // as a signal would
		}
	}
	fmt.Println("acknowledged up to", c.Cursor().Seq)
	// Output:
	// 1 one
	// 2 two
	// 3 three
	// the end: context canceled
	// acknowledged up to 3
}

// Many messages on their way at once, each confirmed by itself.
func ExampleClient_SendAsync() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	address, stop := start(ctx)
	defer stop()
	c, err := client.Dial(ctx, address, "1", client.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close(ctx) }()

	var sendings []*client.Sending
	for i := range 100 {
		sending, err := c.SendAsync(ctx, "2", fmt.Sprint(i))
		if err != nil {
			fmt.Println(err)
			return
		}
		sendings = append(sendings, sending)
	}
	confirmed := 0
	for _, sending := range sendings {
		if _, err := sending.Wait(ctx); err == nil {
			confirmed++
		}
	}
	fmt.Println(confirmed, "confirmed")
	// Output: 100 confirmed
}

// An id of the program's own makes a repetition harmless, even by another process.
func ExampleWithID() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	address, stop := start(ctx)
	defer stop()
	c, err := client.Dial(ctx, address, "1", client.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close(ctx) }()

	for _, text := range []string{"your order is paid", "your order is paid", "your order is lost"} {
		receipt, err := c.Send(ctx, "2", text, client.WithID("order-17-paid"))
		if refused, ok := errors.AsType[*client.SendError](err); ok {
			fmt.Println("refused:", refused.Code)
			continue
		}
		fmt.Println("message", receipt.Seq)
	}
	// Output:
	// message 1
	// message 1
	// refused: conflict
}

// A program that traces with OpenTelemetry says in which span it sends, and goes on in the
// sender's trace with what it receives. This package does not need OpenTelemetry for it.
func ExampleWithTraceparent() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	address, stop := start(ctx)
	defer stop()
	c, err := client.Dial(ctx, address, "1", client.Config{Device: "laptop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close(ctx) }()

	// The span that tracer.Start would have begun.
	inSpan := trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	}))
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(inSpan, carrier)
	if _, err := c.Send(inSpan, "1", "hello", client.WithTraceparent(carrier["traceparent"])); err != nil {
		fmt.Println(err)
	}

	for m, err := range c.Messages(ctx) {
		if err != nil {
			break
		}
		carrier := propagation.MapCarrier{"traceparent": m.Traceparent}
		below := propagation.TraceContext{}.Extract(ctx, carrier) // for tracer.Start
		fmt.Println("in trace", trace.SpanContextFromContext(below).TraceID())
		break
	}
	// Output: in trace 01000000000000000000000000000000
}

// start stands for 'callboard serve'.
func start(ctx context.Context) (address string, stop func()) {
	system, _ := actors.New(actors.Config{Store: memory.New(memory.Config{})})
	server, _ := transport.New(system, transport.Config{})
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	serving, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(serving, listener, time.Second)
	}()
	address = "ws://" + listener.Addr().String()
	for ctx.Err() == nil { // the listener is there before the service is ready
		if first, err := client.DialConn(ctx, address, "1", client.ConnConfig{}); err == nil {
			first.Abort()
			break
		}
	}
	return address, func() {
		cancel()
		<-ended
	}
}
