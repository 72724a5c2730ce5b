package actors

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"callboard/actors/inbox"
	"callboard/actors/inbox/memory"
	"callboard/actors/inbox/pebble"
	"callboard/protocol"
)

// BenchmarkRelay is a message from one user to another without the sockets, with
// so many under way at once.
func BenchmarkRelay(b *testing.B) {
	for _, window := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			relay(b, benchSystem(b), window)
		})
	}
}

// relay sends from alice to bob, with so many under way at once.
func relay(b *testing.B, system *System, window int) {
	b.Helper()
	got := make(chan struct{}, window)
	alice := benchConnect(b, system, "alice", &fakeConn{keep: true})
	benchConnect(b, system, "bob", &fakeConn{keep: true, onWrite: func(protocol.Message) { got <- struct{}{} }})

	for range window {
		got <- struct{}{}
	}
	b.ReportAllocs()
	for b.Loop() {
		<-got
		next := alice.Next()
		next.Receiver, next.Content = "bob", "hello i am alice"
		if !alice.Send() {
			b.Fatal("the session has ended")
		}
	}
	for range window {
		<-got
	}
}

// BenchmarkRelayV1 is the same in version 1, where every message has an id, is confirmed
// and is acknowledged.
func BenchmarkRelayV1(b *testing.B) {
	for _, window := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			system := benchSystem(b)
			got := make(chan struct{}, window)
			alice, err := system.Connect(b.Context(), "alice", V1, &fakeConn{keep: true})
			if err != nil {
				b.Fatal(err)
			}
			alice.Connect(&protocol.Connect{})
			var bob *Link
			linked := make(chan struct{})
			conn := &fakeConn{keep: true, onWrite: func(m protocol.Message) {
				switch m := m.(type) {
				case *protocol.Connect:
					close(linked)
				case *protocol.Receive:
					if window < 32 || m.Seq%16 == 0 {
						bob.Ack(m.Seq)
					}
					got <- struct{}{}
				}
			}}
			if bob, err = system.Connect(b.Context(), "bob", V1, conn); err != nil {
				b.Fatal(err)
			}
			bob.Connect(&protocol.Connect{Window: protocol.MaxWindow})
			<-linked

			for range window {
				got <- struct{}{}
			}
			b.ReportAllocs()
			sent := 0
			for b.Loop() {
				<-got
				next := alice.Next()
				next.Receiver, next.Content, next.Id = "bob", "hello i am alice", strconv.Itoa(sent)
				if !alice.Send() {
					b.Fatal("the session has ended")
				}
				sent++
			}
			for range window {
				<-got
			}
		})
	}
}

// BenchmarkConnect is the coming and going of a user's only session.
func BenchmarkConnect(b *testing.B) {
	system := benchSystem(b)
	b.ReportAllocs()
	for b.Loop() {
		benchConnect(b, system, "alice", &fakeConn{keep: true}).Gone(0)
	}
}

func benchSystem(b *testing.B) *System {
	b.Helper()
	return benchSystemOn(b, memory.New(memory.Config{}))
}

func benchSystemOn(b *testing.B, store inbox.Store) *System {
	b.Helper()
	system, err := New(Config{Store: store, MaxSessionsPerUser: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := system.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return system
}

func benchConnect(b *testing.B, system *System, user protocol.UserID, conn Conn) *Link {
	b.Helper()
	link, err := system.Connect(b.Context(), user, Seed, conn)
	if err != nil {
		b.Fatal(err)
	}
	return link
}

// BenchmarkJournal is a message that is confirmed on a real disk, with so many under
// way at once: what one commit costs is shared by all that waited for it.
func BenchmarkJournal(b *testing.B) {
	for _, underWay := range []int{1, 16, 256, 1024} {
		b.Run(fmt.Sprintf("under_way=%d", underWay), func(b *testing.B) {
			store, err := pebble.Open(b.TempDir(), pebble.Config{})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = store.Close() }) // after the cleanup of what uses it
			system := benchSystemOn(b, store)
			const users = 16
			got := make(chan struct{}, underWay)
			var links []*Link
			for i := range users {
				conn := &fakeConn{keep: true, onWrite: func(m protocol.Message) {
					if _, ok := m.(*protocol.Sent); ok {
						got <- struct{}{}
					}
				}}
				link, err := system.Connect(b.Context(), protocol.UserID(fmt.Sprint("u", i)), V1, conn)
				if err != nil {
					b.Fatal(err)
				}
				link.Connect(&protocol.Connect{})
				links = append(links, link)
			}
			for range underWay {
				got <- struct{}{}
			}
			text := strings.Repeat("x", 64)
			b.ReportAllocs()
			sent := 0
			for b.Loop() {
				<-got
				link := links[sent%users]
				next := link.Next()
				next.Receiver, next.Content, next.Id = "nobody"+fmt.Sprint(sent%64), text, strconv.Itoa(sent)
				if !link.Send() {
					b.Fatal("the session has ended")
				}
				sent++
			}
			for range underWay {
				<-got
			}
		})
	}
}

// BenchmarkReplay is a message of a long inbox that a device fetches from the disk.
func BenchmarkReplay(b *testing.B) {
	store, err := pebble.Open(b.TempDir(), pebble.Config{})
	if err != nil {
		b.Fatal(err)
	}
	const entries = 10_000
	batch, sum := &inbox.Batch{}, uint64(0)
	for seq := range uint64(entries) {
		m := &protocol.Receive{Seq: seq + 1, Id: fmt.Sprint(seq), Sender: "alice", Content: strings.Repeat("x", 64)}
		sum += inbox.Size(m)
		batch.Appends = append(batch.Appends, inbox.Append{User: "bob", Entry: inbox.Entry{Message: m, Sum: sum}})
	}
	if err := store.Commit(batch); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() }) // after the cleanup of what uses it
	system := benchSystemOn(b, store)
	b.ReportAllocs()
	fetched := 0
	for b.Loop() {
		if fetched%entries == 0 {
			fetchAll(b, system, entries)
		}
		fetched++
	}
}

// fetchAll fetches an inbox from its beginning.
func fetchAll(b *testing.B, system *System, entries uint64) {
	b.Helper()
	var link *Link
	linked, done := make(chan struct{}), make(chan struct{})
	conn := &fakeConn{keep: true, onWrite: func(m protocol.Message) {
		if m, ok := m.(*protocol.Receive); ok && m.Seq%32 == 0 || ok && m.Seq == entries {
			<-linked
			link.Ack(m.Seq)
			if m.Seq == entries {
				close(done)
			}
		}
	}}
	link, err := system.Connect(b.Context(), "bob", V1, conn)
	if err != nil {
		b.Fatal(err)
	}
	close(linked)
	beginning := uint64(0)
	link.Connect(&protocol.Connect{Cursor: &beginning})
	<-done
	link.Gone(protocol.CloseNormal)
}

// BenchmarkUserMemory is what a connected user costs who has sent and fetched a message
// and is at rest: the actor, the session and what they keep, without a socket.
func BenchmarkUserMemory(b *testing.B) {
	system := benchSystem(b)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // the second one frees what the first one's finalizers let go
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	users := 0
	for b.Loop() {
		id := protocol.UserID(fmt.Sprint("u", users))
		got := make(chan struct{}, 1)
		link := benchConnect(b, system, id, &fakeConn{keep: true, onWrite: func(protocol.Message) { got <- struct{}{} }})
		next := link.Next()
		next.Receiver, next.Content = string(id), "to myself"
		if !link.Send() {
			b.Fatal("the session has ended")
		}
		<-got
		users++
	}
	b.ReportMetric(float64(heap()-before)/float64(users), "B/user")
}

// BenchmarkReaders is BenchmarkRelay/window=64 with somebody who looks on, and reads what
// comes or has stalled.
func BenchmarkReaders(b *testing.B) {
	watch := func(b *testing.B, s *System) func(context.Context) error {
		b.Helper()
		w, err := s.Watch(EventFilter{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(w.Stop)
		return func(ctx context.Context) error { _, _, err := w.Next(ctx); return err }
	}
	trace := func(user protocol.UserID) func(*testing.B, *System) func(context.Context) error {
		return func(b *testing.B, s *System) func(context.Context) error {
			b.Helper()
			t, err := s.Trace(user, false)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(t.Stop)
			return func(ctx context.Context) error { _, _, err := t.Next(ctx); return err }
		}
	}
	for _, with := range []struct {
		name  string
		open  func(*testing.B, *System) func(context.Context) error
		reads bool
	}{
		{"nobody", nil, false},
		{"watch_read", watch, true},
		{"watch_stalled", watch, false},
		{"other_traced_read", trace("carol"), true},
		{"other_traced_stalled", trace("carol"), false},
		{"receiver_traced_read", trace("bob"), true},
		{"receiver_traced_stalled", trace("bob"), false},
	} {
		b.Run(with.name, func(b *testing.B) {
			system := benchSystem(b)
			if with.open != nil {
				next := with.open(b, system)
				if with.reads {
					go func() { // ends with the system
						for err := error(nil); err == nil; {
							err = next(context.Background())
						}
					}()
				}
			}
			relay(b, system, 64)
		})
	}
}

// BenchmarkScale is a change of the number of shards with 100,000 users who have a session
// each, from 8 to 32 shards or back: three quarters of them move.
func BenchmarkScale(b *testing.B) {
	const users = 100_000
	for _, load := range []string{"idle", "relay"} {
		b.Run("load="+load, func(b *testing.B) {
			system, err := New(Config{Store: memory.New(memory.Config{}), Shards: 8, PingInterval: time.Hour})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() {
				if err := system.Stop(context.Background()); err != nil {
					b.Error(err)
				}
			})
			links := make([]*Link, users)
			for i := range users {
				links[i] = benchConnect(b, system, protocol.UserID(fmt.Sprint("u", i)), &fakeConn{keep: true})
			}
			if load == "relay" {
				benchChatter(b, links)
			}
			b.ReportAllocs()
			moved, took := 0, time.Duration(0)
			for n := 32; b.Loop(); n = 40 - n {
				if _, err := system.Scale(b.Context(), n, "benchmark"); err != nil {
					b.Fatal(err)
				}
				for system.Scaling().Phase != Settled {
					time.Sleep(time.Millisecond)
				}
				moved += system.Scaling().Moved
				took += system.Scaling().Took
			}
			b.ReportMetric(float64(moved)/float64(b.N), "moves/op")
			b.ReportMetric(float64(moved)/took.Seconds(), "moves/s")
		})
	}
}

// benchChatter has two readers send to all users, as fast as they get answers.
func benchChatter(b *testing.B, links []*Link) {
	b.Helper()
	stop := make(chan struct{})
	var senders sync.WaitGroup
	b.Cleanup(func() { close(stop); senders.Wait() })
	for i := range 2 {
		senders.Go(func() {
			for n := i; ; n += 7919 {
				select {
				case <-stop:
					return
				default:
				}
				next := links[i].Next()
				next.Receiver, next.Content = fmt.Sprint("u", n%len(links)), "hello"
				if !links[i].Send() {
					return
				}
			}
		})
	}
}

// BenchmarkBystandersOfPanics is a message between two users while 63 other pairs talk as well, by turns
// without faults and with a panic over one in a hundred of all messages that users' actors
// get, all of which concern one half of the pairs. p99-ns and faulty-p99-ns are what one message in a hundred of the
// other half takes longer than, without and with faults; ratio is the one by the other, which
// is to be less than 2.
func BenchmarkBystandersOfPanics(b *testing.B) {
	const (
		pairs = 64
		turn  = 512 // messages between two without faults, then with
		pause = 64  // so many of them are not counted, for the last turn may not be over
	)
	var faulty atomic.Bool
	var n atomic.Uint64
	config := Config{Store: memory.New(memory.Config{}), Intensity: Intensity{Failures: 1 << 15}}
	system, err := New(config.WithFaults(func(actor string, message any) {
		switch message.(type) {
		case protoactor.SystemMessage, protoactor.AutoReceiveMessage: // its life is protoactor's
		default:
			if faulty.Load() && strings.HasPrefix(actor, "victim") && n.Add(1)%50 == 0 {
				panic("by order")
			}
		}
	}, func(string, any) {}))
	if err != nil {
		b.Fatal(err)
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	b.Cleanup(func() {
		close(stop)
		others.Wait()
		_ = system.Stop(context.WithoutCancel(b.Context()))
	})
	message := benchPair(b, system, "other", stop)
	for i := range pairs - 1 {
		other := benchPair(b, system, []string{"victim", "other"}[i%2]+strconv.Itoa(i), stop)
		others.Go(func() { benchTalk(other, stop) })
	}
	var times [2][]time.Duration
	for i := 0; b.Loop(); i++ {
		half := i / turn % 2
		faulty.Store(half == 1)
		began := time.Now()
		message()
		if i%turn >= pause {
			times[half] = append(times[half], time.Since(began))
		}
	}
	if len(times[1]) == 0 { // the first rounds are short
		return
	}
	var p99 [2]float64
	for half, t := range times {
		slices.Sort(t)
		p99[half] = float64(t[len(t)*99/100])
	}
	b.ReportMetric(p99[0], "p99-ns")
	b.ReportMetric(p99[1], "faulty-p99-ns")
	b.ReportMetric(p99[1]/p99[0], "ratio")
	b.ReportMetric(float64(system.counts.failures.Load()), "panics")
}

// benchPair connects two users, and returns what sends a message from the one to the other and waits until it has
// arrived, or the sender knows that it does not.
func benchPair(b *testing.B, system *System, name string, stop chan struct{}) func() {
	b.Helper()
	over := make(chan struct{}, 1)
	from := benchConnect(b, system, protocol.UserID("from"+name), &fakeConn{keep: true, onWrite: func(m protocol.Message) {
		if _, refused := m.(*protocol.Error); refused {
			over <- struct{}{}
		}
	}})
	benchConnect(b, system, protocol.UserID(name), &fakeConn{keep: true, onWrite: func(m protocol.Message) {
		if _, arrived := m.(*protocol.Receive); arrived {
			over <- struct{}{}
		}
	}})
	texts := 0
	return func() {
		texts++ // the same text again would be set aside
		next := from.Next()
		next.Receiver, next.Content = name, strconv.Itoa(texts)
		from.Send()
		select {
		case <-over:
		case <-stop:
		}
	}
}

func benchTalk(message func(), stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
			message()
		}
	}
}
