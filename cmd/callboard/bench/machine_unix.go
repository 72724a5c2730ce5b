//go:build unix

package bench

import (
	"syscall"
	"time"
)

// raiseFiles raises the limit of open files as far as the system lets us, and
// returns it.
func raiseFiles(want uint64) uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) >= want {
		return uint64(limit.Cur)
	}
	// Only root may raise the hard limit; the others take what there is. The fields are
	// signed on some systems, so the numbers go through no variable of ours.
	hard := limit
	limit.Cur = limit.Max
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // what came of it is read below
	for uint64(hard.Max) < want && hard.Max > 0 {
		hard.Max *= 2
	}
	hard.Cur = hard.Max
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &hard)
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return uint64(limit.Cur)
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
