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
// takes no lock that the reader holds: what there is no room for is counted, and the
// reader is told of it where it is missing. Any goroutine may put, one reads.
type feed[T any] struct {
	queue  chan fed[T]
	missed atomic.Uint64   // left out since the last news that found room
	lost   *atomic.Uint64  // the system's count of what was left out
	over   <-chan struct{} // closed when there will be no more

	next    T    // the reader's: it comes behind the word that something is missing
	pending bool // the reader's: there is a next
}

// fed is news, and how many were left out before them.
type fed[T any] struct {
	missed uint64
	news   T
}

func newFeed[T any](over <-chan struct{}, lost *atomic.Uint64) feed[T] {
	return feed[T]{queue: make(chan fed[T], feedLength), over: over, lost: lost}
}

// full is whether put would only count. It spares a caller to make what nobody gets;
// the caller calls miss instead.
func (f *feed[T]) full() bool { return len(f.queue) == cap(f.queue) }

func (f *feed[T]) miss() {
	f.missed.Add(1)
	f.lost.Add(1)
}

func (f *feed[T]) put(news T) {
	var missed uint64
	if f.missed.Load() > 0 {
		missed = f.missed.Swap(0)
	}
	select {
	case f.queue <- fed[T]{missed, news}:
	default:
		f.missed.Add(missed)
		f.miss()
	}
}

// Next waits for news. A missed above zero says that so many are missing here, for the
// reader was too slow, and comes without news. What waits is returned before the end of
// the context or of the system, which is ErrDraining. One goroutine calls it.
func (f *feed[T]) Next(ctx context.Context) (news T, missed uint64, err error) {
	if f.pending {
		f.pending = false
		return f.next, 0, nil
	}
	select {
	case got := <-f.queue:
		news, missed = f.take(got)
		return news, missed, nil
	default:
	}
	if missed = f.missed.Swap(0); missed > 0 { // and nothing has come since
		return news, missed, nil
	}
	select {
	case got := <-f.queue:
		news, missed = f.take(got)
		return news, missed, nil
	case <-f.over:
		return news, 0, ErrDraining
	case <-ctx.Done():
		return news, 0, fmt.Errorf("waiting for news: %w", ctx.Err())
	}
}

func (f *feed[T]) take(got fed[T]) (news T, missed uint64) {
	if got.missed > 0 {
		f.next, f.pending = got.news, true
		return news, got.missed
	}
	return got.news, 0
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
