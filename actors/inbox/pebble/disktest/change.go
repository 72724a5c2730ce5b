package disktest

import "github.com/cockroachdb/pebble/v2/vfs"

// Create implements vfs.FS, as do the methods below.
func (f *FS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.change("create " + name); err != nil {
		return nil, err
	}
	opened, err := f.FS.Create(name, category)
	return f.wrap(opened, err, name)
}

// OpenReadWrite opens a file that may be written to.
func (f *FS) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	if err := f.change("open " + name); err != nil {
		return nil, err
	}
	opened, err := f.FS.OpenReadWrite(name, category, options...)
	return f.wrap(opened, err, name)
}

// ReuseForWrite gives an old file a new name, and opens it.
func (f *FS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.change("reuse " + to); err != nil {
		return nil, err
	}
	opened, err := f.FS.ReuseForWrite(from, to, category)
	return f.wrap(opened, err, to)
}

// Open changes nothing, and never fails by order.
func (f *FS) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	opened, err := f.FS.Open(name, options...)
	return f.wrap(opened, err, name)
}

// OpenDir opens a directory, to sync it.
func (f *FS) OpenDir(name string) (vfs.File, error) {
	opened, err := f.FS.OpenDir(name)
	return f.wrap(opened, err, name)
}

// Link gives a file a second name.
func (f *FS) Link(from, to string) error {
	if err := f.change("link " + to); err != nil {
		return err
	}
	return f.FS.Link(from, to)
}

// Rename gives a file another name.
func (f *FS) Rename(from, to string) error {
	if err := f.change("rename " + to); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

// Remove removes a file.
func (f *FS) Remove(name string) error {
	if err := f.change("remove " + name); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

// Unwrap is the file system below.
func (f *FS) Unwrap() vfs.FS { return f.FS }

func (f *FS) wrap(opened vfs.File, err error, name string) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	return &file{File: opened, fs: f, name: name}, nil
}

type file struct {
	vfs.File

	fs   *FS
	name string
}

// Write fails half way.
func (f *file) Write(p []byte) (int, error) {
	if err := f.fs.change("write " + f.name); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

// WriteAt implements vfs.File, as do the methods below.
func (f *file) WriteAt(p []byte, offset int64) (int, error) {
	if err := f.fs.change("write " + f.name); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, offset)
}

func (f *file) Sync() error {
	if err := f.fs.change("sync " + f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *file) SyncData() error {
	if err := f.fs.change("sync " + f.name); err != nil {
		return err
	}
	return f.File.SyncData()
}

func (f *file) SyncTo(length int64) (bool, error) {
	if err := f.fs.change("sync " + f.name); err != nil {
		return false, err
	}
	return f.File.SyncTo(length)
}

func (f *file) Close() error {
	err := f.File.Close()
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.fs.open--
	return err
}
