package actors

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"callboard/actors/inbox/memory"
	"callboard/protocol"
)

// nowhere is a socket that costs nothing: what is measured is the actors.
type nowhere struct{ connected *atomic.Int64 }

var _ Conn = nowhere{}

// Write counts the sessions that have their user, in V1.
func (n nowhere) Write(m protocol.Message) int {
	if _, ok := m.(*protocol.Connect); ok {
		n.connected.Add(1)
	}
	return 0
}

func (nowhere) Control(Control) int { return 0 }
func (nowhere) Flush(*Link) bool    { return true }
func (nowhere) Close()              {}

// BenchmarkMillionUsers starts a million users with a session each, lets the sessions go, waits until
// the users have left, and starts and stops them again. It needs 3 GiB, and says what it measured
// once: CALLBOARD_MILLION=1 go test ./actors -run '^$' -bench Million/dialect=seed -benchtime 1x. The
// variable may be another number of users. The first start has the system give the process its
// memory, the second finds it there.
func BenchmarkMillionUsers(b *testing.B) {
	users, _ := strconv.Atoi(os.Getenv("CALLBOARD_MILLION"))
	switch users {
	case 0:
		b.Skip("needs 3 GiB; CALLBOARD_MILLION=1 has it run")
	case 1:
		users = 1_000_000
	}
	for name, dialect := range map[string]Dialect{"seed": Seed, "v1": V1} {
		b.Run("dialect="+name, func(b *testing.B) {
			for b.Loop() {
				million(b, users, dialect)
			}
		})
	}
}

func million(b *testing.B, users int, dialect Dialect) {
	b.Helper()
	before := resident(b)
	system, err := New(Config{
		Store: memory.New(memory.Config{}), MaxUsers: users, PingInterval: time.Hour, IdleAfter: 2 * time.Second,
	})
	if err != nil {
		b.Fatal(err)
	}
	links := make([]*Link, users)
	var conn nowhere
	start := func(metric string) {
		began := time.Now()
		conn = nowhere{new(atomic.Int64)}
		for i := range links {
			if links[i], err = system.Connect(b.Context(), protocol.UserID("u"+strconv.Itoa(i)), dialect, conn); err != nil {
				b.Fatal(err)
			}
			if dialect == V1 {
				links[i].Connect(&protocol.Connect{Device: "phone"})
			}
		}
		for dialect == V1 && conn.connected.Load() < int64(users) {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(time.Since(began).Seconds(), metric)
	}
	each := func(bytes uint64) float64 { return (float64(bytes) - float64(before)) / float64(users) }

	start("s_to_start")
	b.ReportMetric(each(resident(b)), "B_resident/user")
	began := time.Now()
	runtime.GC()
	b.ReportMetric(time.Since(began).Seconds()*1e3, "ms_GC")

	began = time.Now()
	for i, link := range links {
		link.Gone(0)
		letOn(i) // readers are goroutines of their own
	}
	clear(links)
	for count := 1; count > 0; time.Sleep(100 * time.Millisecond) {
		tree, err := system.Describe(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		count = tree.Gateway.Sessions
		for _, s := range tree.Shards {
			count += s.Users
		}
	}
	b.ReportMetric(time.Since(began).Seconds(), "s_to_leave")
	b.ReportMetric(each(resident(b)), "B_resident_left/user")

	start("s_to_start_again")
	b.ReportMetric(each(resident(b)), "B_resident_again/user")
	began = time.Now()
	if err := system.Stop(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(began).Seconds(), "s_to_stop")
}

// resident is the memory of this process, without what is garbage.
func resident(b *testing.B) uint64 {
	b.Helper()
	debug.FreeOSMemory() // runs the collector too
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("resident memory is read as Linux has it: ", err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseUint(kilobytes, 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n << 10
}
