package pebble

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// copying is a backup under way. What Pebble does in its folder passes the fence: it is not
// the store's, so that its failures are the backup's alone, and are told.
type copying struct {
	ctx    context.Context         //nolint:containedctx // Checkpoint takes none: it ends with the first file that fails
	end    context.CancelCauseFunc // of ctx; called when the disk has failed or the store closes
	folder string
	commit *sync.Mutex

	progress     func(files, bytes int64)
	files, bytes int64 // used by the goroutine of the backup alone
}

// copyingAt returns the backup that a name belongs to, or nil.
func (f *fence) copyingAt(name string) *copying {
	c := f.copying.Load()
	for below := name; c != nil && below != c.folder; {
		above := f.PathDir(below)
		if above == below {
			return nil
		}
		below = above
	}
	return c
}

// count notes a step, and ends the backup with its context.
func (c *copying) count(files, bytes int64) error {
	c.files += files
	c.bytes += bytes
	c.progress(c.files, c.bytes)
	return context.Cause(c.ctx)
}

// create makes a file of the copy.
func (c *copying) create(files vfs.FS, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := c.count(1, 0); err != nil {
		return nil, err
	}
	file, err := files.Create(name, category)
	if err != nil {
		return nil, err
	}
	return &copiedFile{File: file, copying: c}, nil
}

// link gives a file that does not change any more a second name.
func (c *copying) link(files vfs.FS, from, to string) error {
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	if err := files.Link(from, to); err != nil {
		return err // and Pebble copies it
	}
	info, err := files.Stat(to)
	if err != nil {
		return err
	}
	return c.count(1, info.Size())
}

// log reads a file of the log between two commits. Read while commits go on it might have a
// hole: a place that was read before it was written, and behind it one that was written
// before it was read, which says that the place is synced. Pebble takes that for corruption.
func (c *copying) log(files vfs.FS, name string, options ...vfs.OpenOption) (vfs.File, error) {
	unlock, err := c.between()
	if err != nil {
		return nil, err
	}
	defer unlock()
	file, err := files.Open(name, options...)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(file)
	if err != nil {
		_ = file.Close() // the read has failed already
		return nil, err
	}
	return &readFile{File: file, content: bytes.NewReader(content)}, nil
}

// commitWait is how long a backup waits for a commit under way: longer ones have met a disk
// that hangs.
const commitWait = 10 * time.Second

// between holds commits off. Who ends the backup may hold the commit lock and wait for the
// backup, so it does not insist.
func (c *copying) between() (unlock func(), err error) {
	held := make(chan struct{})
	go func() { // ends with the commit under way
		c.commit.Lock()
		close(held)
	}()
	patience := time.NewTimer(commitWait)
	defer patience.Stop()
	select {
	case <-held:
		return c.commit.Unlock, nil
	case <-c.ctx.Done():
		err = context.Cause(c.ctx)
	case <-patience.C:
		err = fmt.Errorf("the disk has not finished a commit within %s", commitWait)
	}
	go func() { // likewise
		<-held
		c.commit.Unlock()
	}()
	return nil, err
}

// readFile is a file whose content is in memory.
type readFile struct {
	vfs.File

	content *bytes.Reader
}

func (r *readFile) Read(p []byte) (int, error) { return r.content.Read(p) }

// copiedFile is a file of a backup.
type copiedFile struct {
	vfs.File

	copying *copying
}

func (f *copiedFile) Write(p []byte) (int, error) {
	if err := f.copying.count(0, int64(len(p))); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

// copiedDir is a directory of a backup. Pebble panics if one cannot be synced.
type copiedDir struct {
	vfs.File

	copying *copying
}

// Sync ends the backup instead.
func (d *copiedDir) Sync() error {
	if err := d.File.Sync(); err != nil {
		d.copying.end(err)
	}
	return nil
}

// MkdirAll implements vfs.FS. Backups hold messages, and are nobody else's to read.
func (f *fence) MkdirAll(dir string, mode fs.FileMode) error {
	if f.copyingAt(dir) != nil {
		mode = 0o700
	}
	return f.FS.MkdirAll(dir, mode)
}

// Open opens a file for reading.
func (f *fence) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	if c := f.copying.Load(); c != nil && isLog(name) {
		return c.log(f.FS, name, options...)
	}
	return f.FS.Open(name, options...)
}

// endCopying ends the backup under way, if there is one.
func (f *fence) endCopying(why error) {
	if c := f.copying.Load(); c != nil {
		c.end(why)
	}
}
