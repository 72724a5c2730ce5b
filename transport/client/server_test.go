package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"callboard/actors"
	"callboard/actors/inbox/memory"
	"callboard/protocol"
	"callboard/transport"
	"callboard/transport/client"
)

// patience is how long a test waits for what is to happen.
const patience = 30 * time.Second

// service is the real one, on a socket, until stop is called or the test ends.
type service struct {
	address string
	stop    func() // ends it; more than once is once
}

// serve starts a service with an empty inbox, or on another's address and store.
func serve(tb testing.TB, config transport.Config) *service {
	tb.Helper()
	return serveOn(tb, "127.0.0.1:0", memory.New(memory.Config{}), config)
}

func serveOn(tb testing.TB, address string, store *memory.Store, config transport.Config) *service {
	tb.Helper()
	system, err := actors.New(actors.Config{Store: store})
	if err != nil {
		tb.Fatal(err)
	}
	server, err := transport.New(system, config)
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- server.Serve(ctx, listener, time.Second) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
		limit, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := system.Stop(limit); err != nil {
			tb.Error(err)
		}
		server.Wait()
	})
	tb.Cleanup(stop)
	return &service{address: listener.Addr().String(), stop: stop}
}

func (s *service) url() string { return "ws://" + s.address }

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// connect makes a client that is connected, and closes it when the test ends.
func (s *service) connect(t *testing.T, user protocol.UserID, config client.Config) *client.Client {
	t.Helper()
	config.MaxBackoff = 200 * time.Millisecond
	c, err := client.New(s.url(), user, config) // the listener is there before the service is ready
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) }) // the test has what it wanted
	phase(t, c, client.Connected)
	return c
}

func TestMessagesArriveInOrderWithTheirReceipts(t *testing.T) {
	for _, codec := range []protocol.Codec{protocol.JSON, protocol.Proto} {
		t.Run(codec.String(), func(t *testing.T) {
			s := serve(t, transport.Config{})
			sender := s.connect(t, "1", client.Config{Codec: codec})
			receiver := s.connect(t, "anna@example.org", client.Config{Codec: codec, Device: "phone"})
			const messages = 1000
			sendings := make([]*client.Sending, messages)
			for i := range sendings {
				var err error
				if sendings[i], err = sender.SendAsync(within(t), "anna@example.org", fmt.Sprint(i)); err != nil {
					t.Fatal(err)
				}
			}
			next := 0
			for m, err := range receiver.Messages(within(t)) {
				if err != nil {
					t.Fatal(err)
				}
				if m.Sender != "1" || m.Receiver != "anna@example.org" || m.Content != fmt.Sprint(next) || m.ID != sendings[next].ID() {
					t.Fatalf("message %d is %+v", next, m)
				}
				receipt, err := sendings[next].Wait(within(t))
				if err != nil || receipt.Seq != m.Seq || !receipt.At.Equal(m.At) || receipt.ID != m.ID {
					t.Fatalf("message %d has the receipt %v, %v", next, receipt, err)
				}
				if next++; next == messages {
					break
				}
			}
		})
	}
}

func TestDeviceGoesOnWhereItStopped(t *testing.T) {
	s := serve(t, transport.Config{})
	sender := s.connect(t, "1", client.Config{})
	for i := range 10 {
		if _, err := sender.Send(within(t), "2", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		phone := s.connect(t, "2", client.Config{Device: "phone"})
		for m, err := range phone.Messages(within(t)) {
			if err != nil || m.Content != fmt.Sprint(i) {
				t.Fatalf("message %d is %v, %v", i, m, err)
			}
			m.Ack()
			break
		}
		if err := phone.Close(within(t)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestServiceThatStartsAgainIsCarriedOnWith(t *testing.T) {
	store := memory.New(memory.Config{})
	s := serveOn(t, "127.0.0.1:0", store, transport.Config{})
	sender, receiver := s.connect(t, "1", client.Config{}), s.connect(t, "2", client.Config{Device: "phone"})
	const messages = 300
	failed := make(chan error)
	go func() {
		var errs error
		for i := range messages {
			_, err := sender.Send(within(t), "2", fmt.Sprint(i))
			errs = errors.Join(errs, err)
		}
		failed <- errs
	}()
	next := 0
	for m, err := range receiver.Messages(within(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Content != fmt.Sprint(next) {
			t.Fatalf("message %d is %q", next, m.Content)
		}
		if next++; next == messages {
			break
		}
		if next%100 == 0 {
			s.stop()
			s = serveOn(t, s.address, store, transport.Config{})
		}
	}
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

// The store is another one when the service is back, and has as many messages by then as the
// last one had: their numbers are those of messages that the device has.
func TestStoreThatBeganAnewIsReadFromItsBeginning(t *testing.T) {
	s := serve(t, transport.Config{})
	receiver := s.connect(t, "2", client.Config{Device: "phone"})
	next := func(life string) {
		t.Helper()
		for m, err := range receiver.Messages(within(t)) {
			if err != nil || !strings.HasPrefix(m.Content, life) {
				t.Fatalf("%v, %v", m, err)
			}
			if m.Seq == 3 {
				m.Ack()
				return
			}
		}
	}
	for life := range 3 {
		name := fmt.Sprint("life ", life)
		sender, err := client.Dial(within(t), s.url(), "1", client.Config{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if _, err := sender.Send(within(t), "2", fmt.Sprint(name, ": ", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := sender.Close(within(t)); err != nil {
			t.Fatal(err)
		}
		next(name)
		s.stop()
		s = serveOn(t, s.address, memory.New(memory.Config{}), transport.Config{})
	}
}

func TestSecondProgramOfADeviceReplacesTheFirst(t *testing.T) {
	s := serve(t, transport.Config{})
	first := s.connect(t, "2", client.Config{Device: "phone"})

	s.connect(t, "2", client.Config{Device: "phone"})

	for _, err := range first.Messages(within(t)) {
		if closed, ok := errors.AsType[*client.ClosedError](err); !ok || closed.Code != protocol.CloseReplaced {
			t.Error(err)
		}
	}
}

func TestSameIDIsKeptOnce(t *testing.T) {
	s := serve(t, transport.Config{})
	first, err := s.connect(t, "1", client.Config{}).Send(within(t), "2", "hello", client.WithID("a"))
	if err != nil {
		t.Fatal(err)
	}
	other := s.connect(t, "1", client.Config{})

	again, err := other.Send(within(t), "2", "hello", client.WithID("a"))

	if err != nil || again.Seq != first.Seq || !again.At.Equal(first.At) {
		t.Errorf("the receipts are %v and %v, %v", first, again, err)
	}
	_, err = other.Send(within(t), "2", "goodbye", client.WithID("a"))
	if failed, ok := errors.AsType[*client.SendError](err); !ok || failed.Code != protocol.CodeConflict {
		t.Errorf("another message under the id: %v", err)
	}
}

func TestManyGoroutinesMaySend(t *testing.T) {
	s := serve(t, transport.Config{})
	sender, receiver := s.connect(t, "1", client.Config{Outbox: 8}), s.connect(t, "2", client.Config{})
	const senders, each = 8, 50
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for range each {
				if _, err := sender.Send(within(t), "2", strings.Repeat("x", 10_000)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	received := 0
	for _, err := range receiver.Messages(within(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if received++; received == senders*each {
			break
		}
	}
	sending.Wait()
}

func TestLongestMessageArrives(t *testing.T) {
	s := serve(t, transport.Config{})
	c := s.connect(t, "1", client.Config{})
	frame := protocol.AppendJSON(nil, &protocol.Send{Receiver: "1", Id: "a"})
	longest := strings.Repeat("x", protocol.MaxFrameBytes-len(frame)-len(`,"content":""`)+len(`,"content":""`))

	_, err := c.Send(within(t), "1", longest+"x", client.WithID("a"))
	if failed, ok := errors.AsType[*client.SendError](err); !ok || failed.Code != protocol.CodeTooLarge {
		t.Errorf("one byte more than the limit: %v", err)
	}
	if _, err := c.Send(within(t), "1", longest, client.WithID("a")); err != nil {
		t.Fatal(err)
	}
	for m, err := range c.Messages(within(t)) {
		if err != nil || m.Content != longest {
			t.Fatalf("%d bytes came of %d: %v", len(m.Content), len(longest), err)
		}
		break
	}
}

func TestSendRefusesWhatTheServiceWould(t *testing.T) {
	c, err := client.New("ws://127.0.0.1:1", "1", client.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(within(t)); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	for name, message := range map[string]struct {
		receiver    protocol.UserID
		content, id string
		want        protocol.ErrorCode
	}{
		"receiver": {"a b", "hello", "", protocol.CodeInvalidUserID},
		"id":       {"2", "hello", "\n", protocol.CodeInvalidMessage},
		"content":  {"2", "\xff", "", protocol.CodeInvalidUTF8},
	} {
		_, err := c.Send(within(t), message.receiver, message.content, client.WithID(message.id))
		if failed, ok := errors.AsType[*client.SendError](err); !ok || failed.Code != message.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDialSaysWhyItFailed(t *testing.T) {
	s := serve(t, transport.Config{MaxConnections: 1})
	s.connect(t, "1", client.Config{})

	_, err := client.Dial(within(t), s.url(), "2", client.Config{})

	refused, ok := errors.AsType[*client.RefusedError](err)
	if !ok || refused.Status != http.StatusServiceUnavailable || refused.Code != protocol.CodeTooManyConnections ||
		refused.Reason == "" || refused.RetryAfter != 5*time.Second {
		t.Errorf("%#v", err)
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	for _, address := range []string{"", "127.0.0.1:8080", "http://127.0.0.1", "ws://", "ws://h?q", "ws://u@h", "ws://h#f", "ws://h/%zz"} {
		if _, err := client.New(address, "1", client.Config{}); err == nil || !strings.Contains(err.Error(), "ws://127.0.0.1:8080") {
			t.Errorf("%q: %v has no example", address, err)
		}
	}
	if _, err := client.New("ws://127.0.0.1:1", "a/b", client.Config{}); err == nil {
		t.Error("a user id with a slash was accepted")
	}
	for field, config := range map[string]client.Config{
		"Device": {Device: strings.Repeat("x", 65)}, "Window": {Window: 1025}, "Outbox": {Outbox: -1},
		"MinBackoff": {MinBackoff: 2, MaxBackoff: 1}, "Silence": {Silence: -1}, "AckDelay": {AckDelay: -1},
	} {
		if _, err := client.New("ws://127.0.0.1:1", "1", config); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// Dots are ids, and mean something else in a path.
func TestDotsAreUsers(t *testing.T) {
	s := serve(t, transport.Config{})
	for _, user := range []protocol.UserID{".", "..", "a:b@c+d"} {
		c := s.connect(t, user, client.Config{})
		if _, err := c.Send(within(t), user, "to me"); err != nil {
			t.Fatal(err)
		}
		for m, err := range c.Messages(within(t)) {
			if err != nil || m.Sender != user {
				t.Errorf("user %q got %v, %v", user, m, err)
			}
			break
		}
	}
}
