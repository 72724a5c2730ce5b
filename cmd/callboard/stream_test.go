package main_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"callboard/transport/client"
)

// stream sends bob the numbers from 1 on, sixteen at a time, over as many connections as it takes.
type stream struct {
	t         *testing.T
	client    *client.Client
	stopping  chan struct{}
	stop      func() // any number of times
	ended     sync.WaitGroup
	confirmed atomic.Int64 // up to here all are
}

// beginStream has alice send until end, or until the test is over.
func beginStream(t *testing.T, url string) *stream {
	t.Helper()
	c, err := client.New(url, "alice", client.Config{MaxBackoff: 200 * time.Millisecond})
	must(t, err)
	s := &stream{t: t, client: c, stopping: make(chan struct{})}
	s.stop = sync.OnceFunc(func() { close(s.stopping) })
	t.Cleanup(func() {
		s.stop()
		_ = c.Close(context.Background()) // what is not confirmed by now the test has complained of
		s.ended.Wait()
	})
	s.ended.Go(s.run)
	return s
}

func (s *stream) run() {
	ctx := context.Background() // ends with the client
	var under []*client.Sending
	for n := 1; ; n++ {
		select {
		case <-s.stopping:
			for _, one := range under {
				s.wait(one)
			}
			return
		default:
		}
		one, err := s.client.SendAsync(ctx, "bob", strconv.Itoa(n))
		if err != nil {
			s.t.Errorf("number %d: %v", n, err)
			return
		}
		if under = append(under, one); len(under) == 16 {
			s.wait(under[0])
			under = under[1:]
		}
	}
}

func (s *stream) wait(one *client.Sending) {
	if _, err := one.Wait(context.Background()); err != nil {
		s.t.Errorf("after number %d: %v", s.confirmed.Load(), err)
		return
	}
	s.confirmed.Add(1)
}

// more waits until so many more are confirmed, and returns how many are by then.
func (s *stream) more(count int64) int64 {
	s.t.Helper()
	limit := time.Now().Add(patience)
	for goal := s.confirmed.Load() + count; ; time.Sleep(time.Millisecond) { // another process: nothing tells
		if now := s.confirmed.Load(); now >= goal {
			return now
		}
		if time.Now().After(limit) {
			s.t.Fatalf("%d are confirmed and no more", s.confirmed.Load())
		}
	}
}

// end sends no more, and returns how many were sent, all of which are confirmed.
func (s *stream) end() int64 {
	s.stop()
	s.ended.Wait()
	return s.confirmed.Load()
}

// device is one of bob's.
func device(t *testing.T, url, name string, cursor *client.Cursor) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), url, "bob", client.Config{Device: name, Cursor: cursor, MaxBackoff: 200 * time.Millisecond})
	must(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// counts takes messages and checks that they are the numbers from first to last, each once and in order. It returns
// the last one.
func counts(t *testing.T, c *client.Client, first, last int64) *client.Message {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	silence := time.AfterFunc(patience, cancel) // for there are as many as the machine is fast
	defer silence.Stop()
	next := first
	for m, err := range c.Messages(ctx) {
		if err != nil {
			t.Fatalf("before number %d of %d: %v", next, last, err)
		}
		if m.Content != strconv.FormatInt(next, 10) || m.Seq != uint64(next) {
			t.Fatalf("%q as message %d, want number %d", m.Content, m.Seq, next)
		}
		m.Ack()
		silence.Reset(patience)
		if next == last {
			return m
		}
		next++
	}
	t.Fatalf("there is no number %d", next)
	return nil
}
