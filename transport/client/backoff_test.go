package client

import (
	"errors"
	"testing"
	"time"
)

func TestPausesAreRandomAndGrowToTheirBound(t *testing.T) {
	for attempt, ms := range []int64{100, 200, 400, 800, 1000, 1000} {
		bound := time.Duration(ms) * time.Millisecond
		var most time.Duration
		for range 1000 {
			b := backoff{least: 100 * time.Millisecond, most: time.Second, attempts: attempt}
			wait := b.next(errors.New("lost"))
			if wait < 0 || wait > bound {
				t.Fatalf("pause %d is %v, the bound %v", attempt, wait, bound)
			}
			most = max(most, wait)
		}
		if most < bound*9/10 {
			t.Errorf("of 1,000 pauses the longest is %v, the bound %v", most, bound)
		}
	}
	b := backoff{least: time.Hour, most: 1 << 62, attempts: 100_000}
	if wait := b.next(nil); wait < 0 {
		t.Errorf("the pause after very many attempts is %v", wait)
	}
	if b.success(); b.attempts != 0 {
		t.Error("a success changes nothing")
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{
		-time.Second: 0, 7 * time.Second: 7 * time.Second, 1000 * time.Hour: maxRetryAfter,
	} {
		b := backoff{least: 1, most: 1}
		if wait := b.next(&RefusedError{RetryAfter: asked}); wait < want || wait > want+1 {
			t.Errorf("asked for %v it waits %v", asked, wait)
		}
	}
	var most time.Duration
	for range 1000 {
		b := backoff{least: time.Second, most: time.Second}
		most = max(most, b.next(&RefusedError{RetryAfter: 7 * time.Second}))
	}
	if most < 7500*time.Millisecond {
		t.Errorf("all who were asked to stay away for 7 s come back after at most %v", most)
	}
}
