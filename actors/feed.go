package actors

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
)

// feedLength is how many news wait for a reader outside who is slower than they come.
// With the longest of them that is about 300 KB, which a feed has from the beginning.
const feedLength = 1024

// feed brings news from the actors to one reader outside. Who has news never waits and
// takes no lock: what there is no room for is counted, and the reader is told of it where it is
// missing. Any goroutine may put, one reads.
//
// The queue is a ring of places that say whose turn it is (Vyukov's bounded queue): a place
// whose turn is the number of a put is free for it, and one above that it is full. A channel does the same
// with a lock, and twice the time for news of this length.
type feed[T any] struct {
	queue  []place[T]
	tail   atomic.Uint64   // the number of the next put
	asleep atomic.Bool     // the reader waits to be woken
	wake   chan struct{}   // has room for one
	missed atomic.Uint64   // left out since the last news that found room
	lost   *atomic.Uint64  // the system's count of what was left out
	over   <-chan struct{} // closed when there will be no more

	head    uint64 // the reader's: the number of its next news
	next    T      // the reader's: it comes behind the word that something is missing
	pending bool   // the reader's: there is a next
}

// place has news, and how many were left out before them.
type place[T any] struct {
	turn   atomic.Uint64
	missed uint64
	news   T
}

// open makes the feed ready; nobody has it yet.
func (f *feed[T]) open(over <-chan struct{}, lost *atomic.Uint64) {
	f.queue, f.wake, f.over, f.lost = make([]place[T], feedLength), make(chan struct{}, 1), over, lost
	for i := range f.queue {
		f.queue[i].turn.Store(uint64(i))
	}
}

// full is whether put would only count. It spares a caller to make what nobody gets;
// the caller calls miss instead.
func (f *feed[T]) full() bool {
	tail := f.tail.Load()
	return f.queue[tail%feedLength].turn.Load() < tail
}

func (f *feed[T]) miss() {
	f.missed.Add(1)
	f.lost.Add(1)
}

func (f *feed[T]) put(news *T) {
	var missed uint64
	if f.missed.Load() > 0 {
		missed = f.missed.Swap(0)
	}
	for {
		tail := f.tail.Load()
		p := &f.queue[tail%feedLength]
		switch turn := p.turn.Load(); {
		case turn < tail: // the reader has not had what is there
			f.missed.Add(missed)
			f.miss()
			return
		case turn == tail && f.tail.CompareAndSwap(tail, tail+1):
			p.news, p.missed = *news, missed
			p.turn.Store(tail + 1)
			if f.asleep.Load() && f.asleep.CompareAndSwap(true, false) {
				select {
				case f.wake <- struct{}{}:
				default: // it is about to wake anyhow
				}
			}
			return
		}
	}
}

// take is the oldest news, if there are any.
func (f *feed[T]) take() (news T, missed uint64, some bool) {
	p := &f.queue[f.head%feedLength]
	if p.turn.Load() != f.head+1 {
		return news, 0, false
	}
	var none T
	news, missed, p.news = p.news, p.missed, none // which would keep alive what it points to
	p.turn.Store(f.head + feedLength)
	f.head++
	return news, missed, true
}

// Next waits for news. A missed above zero says that so many are missing here, for the
// reader was too slow, and comes without news. What waits is returned before the end of
// the context or of the system, which is ErrDraining. One goroutine calls it.
func (f *feed[T]) Next(ctx context.Context) (news T, missed uint64, err error) {
	if f.pending {
		f.pending = false
		return f.next, 0, nil
	}
	for last := false; ; {
		got, left, some := f.take()
		switch {
		case some && left > 0:
			f.next, f.pending = got, true
			return news, left, nil
		case some:
			return got, 0, nil
		}
		if missed = f.missed.Swap(0); missed > 0 { // and nothing has come since
			return news, missed, nil
		}
		if !last { // who puts from now on wakes; who put before is seen by one more look
			f.asleep.Store(true)
			last = true
			continue
		}
		select {
		case <-f.wake:
			last = false
		case <-f.over:
			return news, 0, ErrDraining
		case <-ctx.Done():
			return news, 0, fmt.Errorf("waiting for news: %w", ctx.Err())
		}
	}
}

// readers are those who are told of something: an immutable list, so that an actor looks
// at it at the cost of one load, and nil when there are none.
type readers[T any] struct {
	all  []T
	mask uint64 // of the ids that they ask for; see mark
}

// number is how many there are.
func (r *readers[T]) number() int {
	if r == nil {
		return 0
	}
	return len(r.all)
}

// subscribe adds a reader, and returns false if there are as many as may be.
func subscribe[T any](to *atomic.Pointer[readers[T]], one T, mask uint64, most int) bool {
	for {
		old := to.Load()
		next := &readers[T]{all: []T{one}, mask: mask}
		if old != nil {
			if len(old.all) >= most {
				return false
			}
			next.all = append(slices.Clone(old.all), one)
			next.mask |= old.mask
		}
		if to.CompareAndSwap(old, next) {
			return true
		}
	}
}

// unsubscribe takes a reader away, once or again; maskOf is what subscribe was given.
func unsubscribe[T comparable](from *atomic.Pointer[readers[T]], one T, maskOf func(T) uint64) {
	for {
		old := from.Load()
		if old == nil || !slices.Contains(old.all, one) {
			return
		}
		var next *readers[T]
		for _, other := range old.all {
			if other == one {
				continue
			}
			if next == nil {
				next = &readers[T]{}
			}
			next.all = append(next.all, other)
			next.mask |= maskOf(other)
		}
		if from.CompareAndSwap(old, next) {
			return
		}
	}
}
