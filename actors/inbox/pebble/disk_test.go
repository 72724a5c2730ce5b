package pebble_test

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/pebble"
)

// disk is a disk in memory that fails and crashes when asked to.
type disk struct {
	mem   *vfs.MemFS
	files *faulty
}

func newDisk(testing.TB) inboxtest.Disk {
	d := &disk{mem: vfs.NewCrashableMem()}
	d.files = &faulty{FS: d.mem}
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
	f := d.files
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failAfter = rng.IntN(20)
	f.failures = 1 + rng.IntN(3)
	if rng.IntN(3) == 0 {
		f.failures = 1 << 30 // for good
	}
	f.err = syscall.EIO
	if rng.IntN(2) == 0 {
		f.err = syscall.ENOSPC
	}
}

func (d *disk) Work() {
	d.files.mu.Lock()
	defer d.files.mu.Unlock()
	d.files.failures = 0
}

func (d *disk) Crash(rng *rand.Rand) {
	f := d.files
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crash == nil && f.crashed == nil {
		after, percent := rng.IntN(40), rng.IntN(101)
		f.crash = func() *vfs.MemFS {
			if after--; after >= 0 {
				return nil
			}
			return d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(percent), 1))})
		}
	}
}

func (d *disk) Crashed() bool {
	d.files.mu.Lock()
	defer d.files.mu.Unlock()
	return d.files.crashed != nil
}

func (d *disk) Restart(*rand.Rand) {
	d.files.mu.Lock()
	defer d.files.mu.Unlock()
	d.mem = d.files.crashed
	d.files = &faulty{FS: d.mem}
}

// faulty is a file system that fails.
type faulty struct {
	vfs.FS

	mu        sync.Mutex
	failAfter int // operations that succeed first
	failures  int // operations that fail then
	err       error
	crash     func() *vfs.MemFS // asked before each operation; returns what is left if it is the last
	crashed   *vfs.MemFS
	changes   int                     // operations that were tried
	broken    func(name string) error // the fault of one, if it has one; may wait
}

// change is asked before each change of the disk.
func (f *faulty) change(name string) error {
	f.mu.Lock()
	broken := f.broken
	f.mu.Unlock()
	if broken != nil {
		if err := broken(name); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes++
	if f.crash != nil {
		if left := f.crash(); left != nil {
			f.crashed, f.crash = left, nil
		}
	}
	if f.failures == 0 {
		return nil
	}
	if f.failAfter--; f.failAfter >= 0 {
		return nil
	}
	f.failures--
	return f.err
}

func (f *faulty) wrap(file vfs.File, err error, name string) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: file, fs: f, name: name}, nil
}

func (f *faulty) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.change("create " + name); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(name, category)
	return f.wrap(file, err, name)
}

func (f *faulty) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	if err := f.change("open " + name); err != nil {
		return nil, err
	}
	file, err := f.FS.OpenReadWrite(name, category, options...)
	return f.wrap(file, err, name)
}

func (f *faulty) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.change("reuse " + to); err != nil {
		return nil, err
	}
	file, err := f.FS.ReuseForWrite(from, to, category)
	return f.wrap(file, err, to)
}

func (f *faulty) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	return f.wrap(file, err, name)
}

func (f *faulty) Link(from, to string) error {
	if err := f.change("link " + to); err != nil {
		return err
	}
	return f.FS.Link(from, to)
}

func (f *faulty) Rename(from, to string) error {
	if err := f.change("rename " + to); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *faulty) Remove(name string) error {
	if err := f.change("remove " + name); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

func (f *faulty) Unwrap() vfs.FS { return f.FS }

type faultyFile struct {
	vfs.File

	fs   *faulty
	name string
}

// Write fails half way.
func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.fs.change("write " + f.name); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f *faultyFile) WriteAt(p []byte, offset int64) (int, error) {
	if err := f.fs.change("write " + f.name); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, offset)
}

func (f *faultyFile) Sync() error {
	if err := f.fs.change("sync " + f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultyFile) SyncData() error {
	if err := f.fs.change("sync " + f.name); err != nil {
		return err
	}
	return f.File.SyncData()
}

func (f *faultyFile) SyncTo(length int64) (bool, error) {
	if err := f.fs.change("sync " + f.name); err != nil {
		return false, err
	}
	return f.File.SyncTo(length)
}
