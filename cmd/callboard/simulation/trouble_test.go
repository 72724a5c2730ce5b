package simulation

import (
	"syscall"
	"time"
)

// The operations that break something.

// order has an actor fail soon.
func (r *run) order(where string, after, times int) {
	o := &order{where: where, after: r.rng.IntN(after), times: 1 + r.rng.IntN(times)}
	r.say("%s will fail %d times after %d messages", where, o.times, o.after)
	r.node.brittle.arm(o)
}

// failAtTheTop has one of the actors fail that everybody needs, and that are one each.
func failAtTheTop(r *run) {
	r.order([]string{"registry", "gateway", "doorkeeper", "coroner"}[r.rng.IntN(4)], 3, 2)
}

func failDisk(r *run) {
	after, failures, err := r.rng.IntN(20), 1+r.rng.IntN(3), syscall.EIO
	if r.rng.IntN(3) == 0 {
		failures = 1 << 30
	}
	if r.rng.IntN(2) == 0 {
		err = syscall.ENOSPC
	}
	r.say("the disk will fail %d times after %d changes: %v", failures, after, err)
	r.node.fails(after, failures, err)
}

func slowDisk(r *run) {
	delay := r.duration(300 * time.Millisecond)
	r.say("a commit takes %s", delay)
	r.node.brittle.slow(delay)
}

// endSoon ends the machine in the middle of something.
func endSoon(r *run) {
	n, after, percent := r.node, r.rng.IntN(40), r.percent()
	r.say("the machine will end after %d changes of the disk", after)
	n.files.Crash(after, func() { n.powerLoss(percent) })
}
