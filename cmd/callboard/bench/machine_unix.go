//go:build unix

package bench

import (
	"syscall"
	"time"
)

// raiseFiles raises the limit of open files as far as is wanted and the system lets
// us, and returns it.
func raiseFiles(want uint64) uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	if files(&limit) >= want {
		return files(&limit)
	}
	for limit.Cur = limit.Max; files(&limit) < want && limit.Cur > 0; {
		limit.Cur *= 2
	}
	for _, hard := range []bool{true, false} { // only root may raise the hard limit
		try := limit
		if hard {
			try.Max = max(try.Cur, try.Max)
		} else {
			try.Cur = try.Max
		}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &try) == nil {
			return files(&try)
		}
	}
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) // it worked above
	return files(&limit)
}

// files is the limit that holds.
func files(limit *syscall.Rlimit) uint64 {
	return uint64(limit.Cur) //nolint:unconvert // it is signed on FreeBSD
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
