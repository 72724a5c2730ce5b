package mailbox

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"runtime/pprof"
	"strconv"
	"strings"
)

// The stack of one goroutine that is not one's own is had from the profile of all: with
// runtime.Stack the process would stand still for as long as that takes, which the profile
// lets it do for some 10 us alone. It takes about 1 us of processor time and 300 bytes,
// for that long, for each goroutine there is. So that a worker is found in it, it bears a
// label with its seat.

const (
	seatLabel = "callboard_worker"

	// module is what functions of this module begin with, and here what ours do.
	module = "callboard/"
	here   = "callboard/actors/mailbox."
)

// seatOf gives a worker a label that no other has. The labels are used again. The caller
// holds mu.
func (w *Workers) seatOf() (seat int, labels context.Context) {
	if n := len(w.empty); n > 0 {
		seat = w.empty[n-1]
		w.empty = w.empty[:n-1]
		return seat, w.seats[seat]
	}
	labels = pprof.WithLabels(context.Background(), pprof.Labels(seatLabel, strconv.Itoa(len(w.seats))))
	w.seats = append(w.seats, labels)
	return len(w.seats) - 1, labels
}

// stacks completes what is to be told of workers.
func (w *Workers) stacks(fresh []*worker) []Stuck {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		profile.Reset() // a buffer takes everything
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Stuck
	for _, worker := range fresh {
		if worker.told.Actor == "" { // it has got on
			continue
		}
		one := worker.told
		one.Stack = stackOf(profile.String(), worker.seat)
		one.Doing = doing(one.Stack)
		worker.told.Doing = one.Doing
		all = append(all, one)
	}
	return all
}

// stackOf finds the stack of a worker in a profile: goroutines that it has started bear its
// label, too.
func stackOf(profile string, seat int) string {
	label := fmt.Sprintf("%q:%q", seatLabel, strconv.Itoa(seat))
	for record := range strings.SplitSeq(profile, "\n\n") {
		if !strings.Contains(record, label) || !strings.Contains(record, here+"(*Workers).work+") {
			continue
		}
		var stack strings.Builder
		for line := range strings.SplitSeq(record, "\n") {
			// #	0x47b5d2	time.Sleep+0x12	/go/src/runtime/time.go:338
			if fields := strings.Fields(line); len(fields) >= 4 && fields[0] == "#" {
				function, _, _ := strings.Cut(fields[2], "+0x")
				fmt.Fprintf(&stack, "%s %s\n", function, strings.Join(fields[3:], " "))
			}
		}
		return stack.String()
	}
	return ""
}

// doing is the innermost function of this module, but for this package's.
func doing(stack string) string {
	for line := range strings.SplitSeq(stack, "\n") {
		if function, _, _ := strings.Cut(line, " "); strings.HasPrefix(function, module) && !strings.HasPrefix(function, here) {
			return path.Base(function)
		}
	}
	return ""
}
