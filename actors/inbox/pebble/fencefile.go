package pebble

import "github.com/cockroachdb/pebble/v2/vfs"

// fenceFile is a file that is written to, behind a fence.
type fenceFile struct {
	vfs.File // nowhere, if it was opened after the fall

	fence   *fence
	name    string
	log     bool
	patient bool
	unsaved bool // a sync was put off; used by the one goroutine that writes and closes a log file
}

// Write implements vfs.File, as do the methods below.
func (f *fenceFile) Write(p []byte) (int, error) {
	f.fence.attempt(f.patient, "writing "+f.name, func() error {
		_, err := f.File.Write(p)
		return err
	})
	return len(p), nil
}

// WriteAt implements vfs.File.
func (f *fenceFile) WriteAt(p []byte, offset int64) (int, error) {
	f.fence.attempt(f.patient, "writing "+f.name, func() error {
		_, err := f.File.WriteAt(p, offset)
		return err
	})
	return len(p), nil
}

// Sync implements vfs.File.
func (f *fenceFile) Sync() error { f.sync(f.File.Sync); return nil }

// SyncData implements vfs.File.
func (f *fenceFile) SyncData() error { f.sync(f.File.SyncData); return nil }

// SyncTo implements vfs.File.
func (f *fenceFile) SyncTo(length int64) (bool, error) {
	full := true
	f.sync(func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, nil
}

// sync makes what was written survive a power loss. A commit of cursors alone needs not: it
// has to be out of the process, which Pebble does only when asked for a sync. So such a commit asks, and
// the log writes; the sync is made up for by the next commit, and at the latest when the
// file is closed, since a log file must be whole before the next one begins.
func (f *fenceFile) sync(sync func() error) {
	if f.log && f.fence.lazy.Load() {
		f.unsaved = true
		return
	}
	f.fence.attempt(f.patient, "syncing "+f.name, sync)
	f.unsaved = false
}

// Close implements vfs.File.
func (f *fenceFile) Close() error {
	if f.unsaved {
		f.fence.attempt(f.patient, "syncing "+f.name, f.File.SyncData)
	}
	if err := f.File.Close(); err != nil {
		f.fence.fall("closing "+f.name, err)
	}
	return nil
}

// Preallocate implements vfs.File. It only makes writing faster: a disk that is full says
// so when it is written to.
func (f *fenceFile) Preallocate(offset, length int64) error {
	if f.fence.fallen.Load() == nil {
		_ = f.File.Preallocate(offset, length)
	}
	return nil
}
