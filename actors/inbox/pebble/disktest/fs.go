// Package disktest is a disk for tests that fails and loses its power when it is told to. It
// lies over a file system in memory that knows what was synced; see [vfs.MemFS.CrashClone].
package disktest

import (
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is a file system that fails. Its methods may be called by any goroutine.
type FS struct {
	vfs.FS

	mu        sync.Mutex // guards what follows
	failAfter int        // changes that succeed first
	failures  int        // changes that fail then
	err       error
	power     int    // changes until crash is called
	crash     func() // nil: the power stays on
	changes   int
	open      int                     // files that are not closed
	broken    func(name string) error // the fault of one change, if it has one; may wait
}

// New lays a disk that works over a file system.
func New(files vfs.FS) *FS { return &FS{FS: files} }

// Fail has so many changes fail, after some that succeed. A write that fails is half done.
func (f *FS) Fail(after, failures int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failAfter, f.failures, f.err = after, failures, err
}

// Work ends what Fail began.
func (f *FS) Work() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures = 0
}

// Break asks the function before each change, like "sync data/000002.log", whether it
// fails. It may wait. nil ends that.
func (f *FS) Break(broken func(name string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = broken
}

// Crash has the function called once, before the change that comes after so many others.
// It is the one to find out what the disk has at that moment.
func (f *FS) Crash(after int, crash func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.power, f.crash = after, crash
}

// Changes is how many changes were tried.
func (f *FS) Changes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changes
}

// OpenFiles is how many files nobody has closed; directories count.
// XX those that nobody has closed; directories count.
func (f *FS) OpenFiles() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// change is asked before each change of the disk.
func (f *FS) change(name string) error {
	f.mu.Lock()
	broken := f.broken
	f.mu.Unlock()
	if broken != nil {
		if err := broken(name); err != nil {
			return err
		}
	}
	crash, err := f.next()
	if crash != nil {
		crash()
	}
	return err
}

// next counts a change, and says what becomes of it.
func (f *FS) next() (crash func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes++
	if f.crash != nil {
		if f.power--; f.power < 0 {
			crash, f.crash = f.crash, nil
		}
	}
	if f.failures > 0 {
		if f.failAfter--; f.failAfter < 0 {
			f.failures--
			err = f.err
		}
	}
	return crash, err
}
