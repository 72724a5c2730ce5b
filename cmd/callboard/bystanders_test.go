package main_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"callboard/protocol"
	"callboard/transport/client"
)

// bystanders are two users who send to each other all the time.
type bystanders struct {
	t     *testing.T
	turns chan int // how many messages have come so far, in order; closed after a fault
	end   context.CancelFunc
	fault error
}

func startBystanders(t *testing.T, url string) *bystanders {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	b := &bystanders{t: t, turns: make(chan int, 10_000), end: end}
	olga, otto := dialUser(t, url, "olga"), dialUser(t, url, "otto")
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(b.turns)
		b.fault = b.toAndFro(ctx, olga, otto)
	}()
	t.Cleanup(func() {
		end()
		<-done
		_ = olga.Close(context.Background())
		_ = otto.Close(context.Background())
	})
	b.waits(1)
	return b
}

// toAndFro sends one message after the other, slower than any rate here, and looks whether each comes in its turn.
func (b *bystanders) toAndFro(ctx context.Context, olga, otto *client.Client) error {
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	inboxes := map[*client.Client]<-chan string{olga: contents(ctx, olga), otto: contents(ctx, otto)}
	for n, sender, receiver := 1, olga, otto; ; n, sender, receiver = n+1, receiver, sender {
		to := protocol.UserID("otto")
		if sender == otto {
			to = "olga"
		}
		if _, err := sender.Send(ctx, to, strconv.Itoa(n)); err != nil {
			return fmt.Errorf("message %d: %w", n, err)
		}
		select {
		case got := <-inboxes[receiver]:
			if got != strconv.Itoa(n) {
				return fmt.Errorf("%q came instead of message %d", got, n)
			}
		case <-time.After(patience):
			return fmt.Errorf("message %d did not come", n)
		case <-ctx.Done():
			return nil
		}
		b.turns <- n
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// contents are those of a client's messages, until the context ends or the connection is lost.
func contents(ctx context.Context, c *client.Client) <-chan string {
	found := make(chan string, 16)
	go func() {
		for m, err := range c.Messages(ctx) {
			if err != nil {
				return // toAndFro misses what does not come
			}
			found <- m.Content
			m.Ack()
		}
	}()
	return found
}

// waits until so many more messages have come.
func (b *bystanders) waits(more int) {
	b.t.Helper()
	for range more {
		if _, going := <-b.turns; !going {
			b.t.Fatalf("the bystanders notice it: %v", b.fault)
		}
	}
}

// goOn checks that every message so far has come, and that more db.
func (b *bystanders) goOn() {
	b.t.Helper()
	b.waits(len(b.turns) + 2)
	b.end()
	for range b.turns {
	}
	if b.fault != nil && !strings.Contains(b.fault.Error(), context.Canceled.Error()) {
		b.t.Errorf("the bystanders notice it: %v", b.fault)
	}
}
