package bench

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

// spareFiles is what a process has open besides its connections, about.
const spareFiles = 64

// needFiles sees to it that so many connections may be open.
func needFiles(connections int) error {
	want := uint64(connections + spareFiles)
	if limit := raiseFiles(want); limit < want {
		return fmt.Errorf("%d connections need %d open files and the limit of this process is %d: "+
			"raise it with 'ulimit -n %d' in the shell as root, or LimitNOFILE=%d in a systemd unit, or give fewer --users",
			connections, want, limit, want, want)
	}
	return nil
}

// busyFrom is the share of its processors at which the load generator is taken for
// the limit.
const busyFrom = 0.9

// saturation is a note if this process has used up its processors; empty if it has
// not.
func saturation(used, wall time.Duration) string {
	processors := runtime.GOMAXPROCS(0)
	cores := used.Seconds() / wall.Seconds()
	if cores < busyFrom*float64(processors) {
		return ""
	}
	return fmt.Sprintf("the load generator used %.1f of its %d processors: it may be the limit, not the service; "+
		"run it on another machine, or give it more with GOMAXPROCS or taskset", cores, processors)
}

// A usage is what a process has of its machine.
type usage struct {
	processor time.Duration
	resident  int64 // bytes
}

// readUsage looks at a process; false if the system does not tell, as all but Linux.
func readUsage(pid int) (u usage, ok bool) {
	if pid == 0 {
		return u, false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, false
	}
	const user, system, resident = 11, 12, 21 // behind the name of the command, proc_pid_stat(5)
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= resident {
		return u, false
	}
	number := func(i int) int64 { n, _ := strconv.ParseInt(string(fields[i]), 10, 64); return n }
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
	return usage{
		processor: time.Duration(number(user)+number(system)) * tick,
		resident:  number(resident) * int64(os.Getpagesize()),
	}, true
}

// idleTime is the time for which the machine's processors have had nothing to do, all
// together; false if the system does not tell.
func idleTime() (time.Duration, bool) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line)
	const idle = 4
	if len(fields) <= idle {
		return 0, false
	}
	ticks, err := strconv.ParseInt(string(fields[idle]), 10, 64)
	return time.Duration(ticks) * 10 * time.Millisecond, err == nil
}
