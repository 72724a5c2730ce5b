package client_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport"
	"callboard/transport/client"
)

// User 2 listens, and user 1 writes. Errors are left out for the overview; a
// program looks at every one.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	address, stop := start(ctx)
	defer stop()

	receiver, _ := client.Dial(ctx, address, "2")
	sender, _ := client.Dial(ctx, address, "1")

	_ = sender.Send(ctx, "2", "hello", "m-1")
	m, _ := receiver.Receive(ctx)
	got := m.(*protocol.Receive)
	fmt.Printf("%s: %s\n", got.Sender, got.Content)

	_ = sender.Close(ctx)
	_ = receiver.Close(ctx)
	// Output: 1: hello
}

// start stands for 'callboard serve'.
func start(ctx context.Context) (address string, stop func()) {
	system, _ := actors.New(actors.Config{})
	server, _ := transport.New(system, transport.Config{})
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	serving, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(serving, listener, time.Second)
	}()
	address = "ws://" + listener.Addr().String()
	for { // the listener is there before the service is ready
		if first, err := client.Dial(ctx, address, "1"); err == nil {
			_ = first.Close(ctx)
			break
		}
	}
	return address, func() {
		cancel()
		<-ended
	}
}
