package actors

import (
	"fmt"
	"time"
)

// Rate is how many messages may come in a time: one for each Every, and up to Burst at once
// after a rest. Every 0 is as many as come.
type Rate struct {
	Every time.Duration
	Burst int
}

// MaxBurst is the largest Burst.
const MaxBurst = 1_000_000

// PerSecond is the Rate of so many a second; 0 is no bound. A burst of 0 is what comes in a second.
func PerSecond(n, burst int) Rate {
	if n <= 0 {
		return Rate{}
	}
	if burst <= 0 {
		burst = min(n, MaxBurst)
	}
	return Rate{max(time.Second/time.Duration(n), 1), burst}
}

// Validate is what is wrong with the Rate that the field has; nil: nothing.
func (r Rate) Validate(field string) error {
	if r.Every < 0 || r.Every > time.Hour || r.Every > 0 && (r.Burst < 1 || r.Burst > MaxBurst) {
		return fmt.Errorf("%s is %v for each and %d at once: give up to an hour for each, 0 for no bound, and 1 to %d at once",
			field, r.Every, r.Burst, MaxBurst)
	}
	return nil
}

// Bucket is how much of a Rate is used up: the time at which nothing of it will be. So it
// is one number, which refills by itself (the generic cell rate algorithm, ITU-T I.371). The zero
// Bucket is full of tokens.
type Bucket time.Duration

// skew is by how much the clocks of two who look at the same Bucket may differ: they read them before they look.
const skew = 100 * time.Millisecond

// Under is the bucket under a Rate that may be another than the one before: it is not emptier than empty, so that
// nobody pays for long what a slower Rate had lent.
func (b Bucket) Under(r Rate, now time.Duration) Bucket {
	empty := Bucket(now + time.Duration(r.Burst)*r.Every)
	if r.Every == 0 || b <= empty+Bucket(skew) {
		return b
	}
	return empty
}

// Tokens is how many messages may come now.
func (b Bucket) Tokens(r Rate, now time.Duration) int {
	if r.Every == 0 {
		return MaxBurst
	}
	ahead := max(0, time.Duration(b)-now)
	return max(0, int((time.Duration(r.Burst)*r.Every-ahead)/r.Every))
}

// Take is the bucket when so many have come.
func (b Bucket) Take(r Rate, now time.Duration, n int) Bucket {
	if r.Every == 0 {
		return b
	}
	return max(b, Bucket(now)) + Bucket(time.Duration(n)*r.Every)
}

// Delay is how long it takes until so many may come, if none come before; 0 if they may now.
func (b Bucket) Delay(r Rate, now time.Duration, n int) time.Duration {
	if r.Every == 0 {
		return 0
	}
	return max(0, time.Duration(b)-now-time.Duration(r.Burst-min(n, r.Burst))*r.Every)
}

// half is how many messages a client must have let pass by, so that it counts as having rested.
func (r Rate) half() int { return (r.Burst + 1) / 2 }
