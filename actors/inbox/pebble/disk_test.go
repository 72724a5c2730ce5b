package pebble_test

import (
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/pebble"
	"callboard/actors/inbox/pebble/disktest"
)

// disk is a disk in memory that fails and crashes when asked to.
type disk struct {
	mem     *vfs.MemFS
	files   *disktest.FS
	armed   bool                      // the power will go off
	crashed atomic.Pointer[vfs.MemFS] // what was left when it did
}

func newDisk(testing.TB) inboxtest.Disk {
	d := &disk{mem: vfs.NewCrashableMem()}
	d.files = disktest.New(d.mem)
	return d
}

// checked is a Store that inboxtest can check.
type checked struct{ *pebble.Store }

func (c checked) Check() error { return verify(c.Store) }

func (d *disk) Open() (inboxtest.Store, error) {
	s, err := pebble.Open("data", smallConfig(d.files))
	if err != nil {
		return nil, err
	}
	return checked{s}, nil
}

// smallConfig makes logs end and tables be written all the time.
func smallConfig(fs vfs.FS) pebble.Config {
	return pebble.Config{FS: fs, MemTableBytes: 64 << 10, CacheBytes: 1 << 20}
}

func (d *disk) Fail(rng *rand.Rand) {
	after, failures, err := rng.IntN(20), 1+rng.IntN(3), syscall.EIO
	if rng.IntN(3) == 0 {
		failures = 1 << 30 // for good
	}
	if rng.IntN(2) == 0 {
		err = syscall.ENOSPC
	}
	d.files.Fail(after, failures, err)
}

func (d *disk) Work() { d.files.Work() }

func (d *disk) Crash(rng *rand.Rand) {
	if d.armed {
		return
	}
	d.armed = true
	mem, percent := d.mem, rng.IntN(101)
	d.files.Crash(rng.IntN(40), func() {
		d.crashed.Store(mem.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(percent), 1)),
		}))
	})
}

func (d *disk) Crashed() bool { return d.crashed.Load() != nil }

func (d *disk) Restart(*rand.Rand) {
	d.mem = d.crashed.Swap(nil)
	d.files = disktest.New(d.mem)
	d.armed = false
}
