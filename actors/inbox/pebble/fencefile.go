package pebble

import "github.com/cockroachdb/pebble/v2/vfs"

// fenceFile is a file that is written to, behind a fence.
type fenceFile struct {
	vfs.File // nowhere, if it was opened after the fall

	fence   *fence
	name    string
	patient bool
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

func (f *fenceFile) sync(sync func() error) {
	f.fence.attempt(f.patient, "syncing "+f.name, sync)
}

// Close implements vfs.File.
func (f *fenceFile) Close() error {
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
