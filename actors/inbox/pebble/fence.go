package pebble

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fence stands between one opened database and the file system. With the first change
// to the disk that fails it falls: from then on nothing of this database reaches the
// disk any more, as if the machine had lost its power then. So what is on disk is what
// a crash would have left, and opening it anew is recovery from a crash.
//
// To the database the fence lies: whatever it tries after the fall succeeds, into
// nothing. Pebble answers an error of the log with a panic that cannot be recovered from,
// one of the manifest with an exit of the process, and one of a flush with an endless
// loop (DESIGN.md has the places). The Store asks the fence after each commit, and confirms nothing
// once it has fallen.
//
// What reads need stays right meanwhile: flushes and compactions wait at the fence until
// the database is closed, instead of replacing what is in memory by files that are not there.
type fence struct {
	vfs.FS

	fallen  atomic.Pointer[fall]
	onFall  func(*fall)
	waiting atomic.Bool             // flushes and compactions wait after the fall; set once the database is open
	copying atomic.Pointer[copying] // the backup under way, or nil

	mu       sync.Mutex
	stalled  bool          // a commit waits for a flush; guarded by mu
	released bool          // guarded by mu
	release  chan struct{} // closed when nobody is to wait any more
}

// fall is the first change to the disk that failed.
type fall struct {
	what string
	err  error
}

func newFence(files vfs.FS, onFall func(*fall)) *fence {
	return &fence{FS: files, onFall: onFall, release: make(chan struct{})}
}

// attempt changes something on the disk, unless the fence has fallen. It never returns an
// error; patient says that the caller can wait for the end of the database.
func (f *fence) attempt(patient bool, what string, change func() error) (done bool) {
	if f.fallen.Load() == nil {
		err := change()
		if err == nil {
			return true
		}
		f.fall(what, err)
	}
	if patient && f.waiting.Load() {
		<-f.release
	}
	return false
}

// fall takes note of the first failure.
func (f *fence) fall(what string, err error) {
	first := &fall{what: what, err: err}
	if !f.fallen.CompareAndSwap(nil, first) {
		return
	}
	f.onFall(first)
	f.endCopying(first.error())
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stalled {
		f.letGo()
	}
}

// stall takes note that a commit waits for a flush. If the flush waits at the fence it has
// to go on, though reads may fail from then on.
func (f *fence) stall(begins bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stalled = begins
	if begins && f.fallen.Load() != nil {
		f.letGo()
	}
}

// end is to be called before the database is closed.
func (f *fence) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.letGo()
}

// letGo ends all waiting. The caller holds mu.
func (f *fence) letGo() {
	if !f.released {
		f.released = true
		close(f.release)
	}
}

// isLog reports whether a file is part of the write-ahead log. The committing goroutine
// itself waits for these, so they must never wait at the fence.
func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

// Create implements vfs.FS, as do the methods below.
func (f *fence) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if c := f.copyingAt(name); c != nil {
		return c.create(f.FS, name, category)
	}
	if strings.HasPrefix(f.PathBase(name), "marker.") {
		return f.createMarker(name, category)
	}
	return f.open("creating "+name, name, func() (vfs.File, error) { return f.FS.Create(name, category) })
}

// createMarker creates a file whose name says which manifest holds. Pebble creates the
// manifest, then the marker, removes the old marker, and only then syncs the directory. A
// file system that does not keep the order of such changes could lose the manifest in a
// power loss and have the marker, or have neither marker. So the directory is synced before and after.
func (f *fence) createMarker(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	syncDir := func() error { return syncDirectory(f.FS, f.PathDir(name)) }
	f.attempt(true, "syncing "+f.PathDir(name), syncDir)
	file, err := f.open("creating "+name, name, func() (vfs.File, error) { return f.FS.Create(name, category) })
	f.attempt(true, "syncing "+f.PathDir(name), syncDir)
	return file, err
}

// OpenReadWrite opens a file that may be written to.
func (f *fence) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	return f.open("opening "+name, name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, category, options...) })
}

// ReuseForWrite gives an old file of the log a new name, and opens it.
func (f *fence) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open("reusing "+oldname, newname, func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, category) })
}

// OpenDir opens a directory, to sync it.
func (f *fence) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err // at the opening of a database only, which returns it
	}
	if c := f.copyingAt(name); c != nil {
		return &copiedDir{File: file, copying: c}, nil
	}
	return &fenceFile{File: file, fence: f, name: name}, nil
}

func (f *fence) open(what, name string, open func() (vfs.File, error)) (vfs.File, error) {
	wrapped := &fenceFile{fence: f, name: name, patient: !isLog(name)}
	if !f.attempt(wrapped.patient, what, func() (err error) {
		wrapped.File, err = open()
		return err
	}) {
		wrapped.File = nowhere{}
	}
	return wrapped, nil
}

// Link implements vfs.FS.
func (f *fence) Link(oldname, newname string) error {
	if c := f.copyingAt(newname); c != nil {
		return c.link(f.FS, oldname, newname)
	}
	f.attempt(true, "linking "+newname, func() error { return f.FS.Link(oldname, newname) })
	return nil
}

// Rename implements vfs.FS.
func (f *fence) Rename(oldname, newname string) error {
	if f.copyingAt(newname) != nil {
		return f.FS.Rename(oldname, newname)
	}
	f.attempt(true, "renaming "+oldname, func() error { return f.FS.Rename(oldname, newname) })
	return nil
}

// Remove implements vfs.FS. A file that is not there was removed before.
func (f *fence) Remove(name string) error {
	if f.copyingAt(name) != nil {
		return f.FS.Remove(name)
	}
	var missing error
	f.attempt(false, "removing "+name, func() error {
		err := f.FS.Remove(name)
		if errors.Is(err, fs.ErrNotExist) {
			missing, err = err, nil
		}
		return err
	})
	return missing
}

// RemoveAll implements vfs.FS.
func (f *fence) RemoveAll(name string) error {
	if f.copyingAt(name) != nil {
		return f.FS.RemoveAll(name)
	}
	f.attempt(false, "removing "+name, func() error { return f.FS.RemoveAll(name) })
	return nil
}

// Unwrap implements vfs.FS.
func (f *fence) Unwrap() vfs.FS { return f.FS }

// nowhere is a file that takes everything and has nothing.
type nowhere struct{ vfs.File }

func (nowhere) Close() error                      { return nil }
func (nowhere) Stat() (vfs.FileInfo, error)       { return nowhereInfo{}, nil }
func (nowhere) Fd() uintptr                       { return vfs.InvalidFd }
func (nowhere) Read([]byte) (int, error)          { return 0, fs.ErrNotExist }
func (nowhere) ReadAt([]byte, int64) (int, error) { return 0, fs.ErrNotExist }
func (nowhere) Prefetch(int64, int64) error       { return nil }

type nowhereInfo struct{}

func (nowhereInfo) Name() string           { return "nowhere" }
func (nowhereInfo) Size() int64            { return 0 }
func (nowhereInfo) Mode() fs.FileMode      { return 0 }
func (nowhereInfo) ModTime() time.Time     { return time.Time{} }
func (nowhereInfo) IsDir() bool            { return false }
func (nowhereInfo) Sys() any               { return nil }
func (nowhereInfo) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
