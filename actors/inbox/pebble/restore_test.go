package pebble_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/pebble"
	"callboard/actors/inbox/pebble/disktest"
)

// backedUp makes a backup of a store with three messages for bob, to which two more come
// after it.
func backedUp(t *testing.T, config pebble.Config, folder string) (s *pebble.Store) {
	t.Helper()
	s = openStore(t, filepath.Join(folder, "data"), config)
	inboxtest.Fill(t, s, "bob", 3, "hello")
	if _, err := s.Backup(t.Context(), filepath.Join(folder, "backups"), "b", quiet); err != nil {
		t.Fatal(err)
	}
	inboxtest.Fill(t, s, "eve", 2, "later")
	return s
}

func TestRestoredStoreIsTheBackupUnderANewEpoch(t *testing.T) {
	folder := t.TempDir()
	s := backedUp(t, pebble.Config{}, folder)
	to := filepath.Join(folder, "new")
	if err := os.MkdirAll(filepath.Join(to, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "admin-token"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	done, err := pebble.Restore(t.Context(), filepath.Join(folder, "backups", "b"), to, pebble.Config{}, "admin-token")

	if err != nil || done.Epoch == s.Epoch() || done.Epoch == 0 || done.Files < 4 {
		t.Fatalf("%+v from epoch %d: %v", done, s.Epoch(), err)
	}
	restored := openStore(t, to, pebble.Config{})
	bob, err := restored.Open("bob")
	eve, none := restored.Open("eve")
	if err != nil || none != nil || bob.Head != 3 || eve.Head != 0 || bob.Epoch != done.Epoch {
		t.Errorf("%+v, %+v, %v, %v", bob, eve, err, none)
	}
	if err := verify(restored); err != nil {
		t.Error(err)
	}
}

func TestRestoreOverwritesNothingAndTakesNothingInUse(t *testing.T) {
	folder := t.TempDir()
	backedUp(t, pebble.Config{}, folder)
	backup := filepath.Join(folder, "backups", "b")
	data := filepath.Join(folder, "data")
	if _, err := pebble.Restore(t.Context(), backup, data, pebble.Config{}); !errors.Is(err, pebble.ErrExists) {
		t.Errorf("over a store: %v", err)
	}
	if _, err := pebble.Restore(t.Context(), data, filepath.Join(folder, "new"), pebble.Config{}); !errors.Is(err, pebble.ErrLocked) {
		t.Errorf("from a store in use: %v", err)
	}
	if _, err := pebble.Restore(t.Context(), filepath.Join(folder, "none"), filepath.Join(folder, "new"), pebble.Config{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("from nothing: %v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "new")); err == nil {
		t.Error("a directory was made")
	}
}

// Whenever the restoring is cut off, what is there is not opened as a store, and least of
// all as an empty one.
func TestHalfRestoredDirectoryIsRefused(t *testing.T) {
	files := disktest.New(vfs.NewMem())
	config := pebble.Config{FS: files}
	folder := "/"
	backedUp(t, config, folder)
	for failAt := 0; ; failAt++ {
		var steps atomic.Int64 // Pebble removes files in a goroutine of its own
		to := files.PathJoin("/", "new"+strings.Repeat("x", failAt))
		files.Break(func(name string) error {
			if !strings.Contains(name, to+"/") {
				return nil
			}
			if steps.Add(1) > int64(failAt) {
				return syscall.EIO
			}
			return nil
		})
		_, err := pebble.Restore(context.Background(), "/backups/b", to, config)
		files.Break(nil)
		if steps.Load() <= int64(failAt) {
			if err != nil || failAt < 10 {
				t.Errorf("after %d failures: %v", failAt, err)
			}
			return
		}
		if err == nil {
			continue // it failed at what closing removes
		}
		s, again := pebble.Open(to, config)
		if again == nil {
			state, _ := s.Open("bob")
			_ = s.Close()
			if steps.Load() > 1 { // the first is the mark itself, before which nothing is there
				t.Fatalf("failure %d (%v) left a store that opens, with %d messages", failAt, err, state.Head)
			}
		} else if !errors.Is(again, pebble.ErrUnfinished) {
			t.Errorf("failure %d: %v", failAt, again)
		}
	}
}

func TestCopyOfAStoppedStoreIsWhole(t *testing.T) {
	folder := t.TempDir()
	s := backedUp(t, pebble.Config{}, folder)
	to, data := filepath.Join(folder, "copy"), filepath.Join(folder, "data")
	if _, err := pebble.Copy(t.Context(), data, to, pebble.Config{}); !errors.Is(err, pebble.ErrLocked) {
		t.Errorf("of a store in use: %v", err)
	}
	epoch := s.Epoch()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	done, err := pebble.Copy(t.Context(), data, to, pebble.Config{})

	if err != nil || done.Epoch != epoch {
		t.Fatalf("%+v, %v", done, err)
	}
	c := openStore(t, to, pebble.Config{ReadOnly: true})
	if eve, err := c.Open("eve"); err != nil || eve.Head != 2 || verify(c) != nil {
		t.Errorf("%+v, %v", eve, err)
	}
	if _, err := pebble.Copy(t.Context(), data, to, pebble.Config{}); !errors.Is(err, pebble.ErrExists) {
		t.Errorf("over another: %v", err)
	}
}
