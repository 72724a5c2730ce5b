package pebble_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/pebble"
)

// pausing is a file system that pauses after it has read a first piece of a log.
type pausing struct {
	vfs.FS

	pause func()
}

func (p pausing) Unwrap() vfs.FS { return p.FS }

func (p pausing) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	file, err := p.FS.Open(name, options...)
	if err != nil || !strings.HasSuffix(name, ".log") {
		return file, err
	}
	return &pausingFile{File: file, pause: p.pause}, nil
}

type pausingFile struct {
	vfs.File

	pause func()
}

func (p *pausingFile) Read(b []byte) (int, error) {
	n, err := p.File.Read(b[:min(len(b), 32<<10)])
	p.pause()
	return n, err
}

// The log grows while it is copied: what was read of it at different moments could have a
// hole.
func TestBackupIsOfOneMoment(t *testing.T) {
	var s *pebble.Store
	committed := make(chan error)
	paused, seq, sum := false, uint64(0), uint64(0)
	add := func() error {
		seq++
		entry := inboxtest.Entry("bob", seq, sum, fmt.Sprint(seq), strings.Repeat("x", 10_000))
		sum = entry.Sum
		return s.Commit(&inbox.Batch{Appends: []inbox.Append{entry}})
	}
	folder := t.TempDir()
	files := pausing{FS: vfs.Default, pause: func() {
		if s == nil || paused {
			return
		}
		paused = true
		go func() {
			var err error
			for range 12 {
				err = errors.Join(err, add())
			}
			committed <- err
		}()
		select {
		case err := <-committed: // nobody kept it from that
			go func() { committed <- err }()
		case <-time.After(300 * time.Millisecond):
		}
	}}
	opened := openStore(t, filepath.Join(folder, "data"), pebble.Config{FS: files})
	s = opened
	for range 2 {
		if err := add(); err != nil {
			t.Fatal(err)
		}
	}

	_, err := s.Backup(t.Context(), filepath.Join(folder, "backups"), "b", quiet)

	if failed := <-committed; err != nil || failed != nil || !paused {
		t.Fatalf("%v, %v, paused %t", err, failed, paused)
	}
	c := openStore(t, filepath.Join(folder, "backups", "b"), pebble.Config{ReadOnly: true})
	if state, err := c.Open("bob"); err != nil || state.Head != 2 {
		t.Errorf("%+v, %v", state, err)
	}
	if err := verify(c); err != nil {
		t.Error(err)
	}
}
