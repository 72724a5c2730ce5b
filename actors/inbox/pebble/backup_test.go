package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/pebble"
	"callboard/actors/inbox/pebble/disktest"
)

func quiet(int64, int64) {}

// busy commits messages for users, one commit after the other, until it is stopped. It counts what was
// confirmed.
func busy(t *testing.T, s *pebble.Store, confirmed *atomic.Uint64) (stop func()) {
	t.Helper()
	quit := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		sum := uint64(0)
		for seq := uint64(1); ; seq++ {
			select {
			case <-quit:
				return
			default:
			}
			entry := inboxtest.Entry("bob", seq, sum, fmt.Sprint(seq), strings.Repeat("x", 500))
			sum = entry.Sum
			if err := s.Commit(&inbox.Batch{Appends: []inbox.Append{entry}}); err != nil {
				t.Error(err)
				return
			}
			confirmed.Store(seq)
		}
	})
	return func() { close(quit); group.Wait() }
}

// Memtables of 1 MiB make logs end and tables be written while the copies are made.
func TestBackupUnderLoadHasAllThatWasConfirmedBefore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	folder := filepath.Join(dir, "backups")
	s := openStore(t, dir, pebble.Config{MemTableBytes: 1 << 20})
	var confirmed atomic.Uint64
	stop := busy(t, s, &confirmed)
	defer stop()
	for i := range 8 {
		for confirmed.Load() < uint64(500*(i+1)) && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
		before := confirmed.Load()
		name := fmt.Sprint("b", i)

		done, err := s.Backup(t.Context(), folder, name, quiet)

		if err != nil || done.Epoch != s.Epoch() || done.Files < 4 || done.Bytes < 100_000 {
			t.Fatalf("%+v, %v", done, err)
		}
		after := confirmed.Load() + 1
		c := openStore(t, filepath.Join(folder, name), pebble.Config{ReadOnly: true})
		state, err := c.Open("bob")
		if err != nil || state.Head < before || state.Head > after {
			t.Errorf("backup %d has %d messages of %d to %d: %v", i, state.Head, before, after, err)
		}
		if err := errors.Join(verify(c), c.Close()); err != nil {
			t.Errorf("backup %d: %v", i, err)
		}
	}
}

func TestBackupIsForItsOwnerAlone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "backups")
	s := openStore(t, t.TempDir(), pebble.Config{})
	if _, err := s.Backup(t.Context(), folder, "b", quiet); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{folder, filepath.Join(folder, "b")} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
}

func TestBackupOverwritesNothing(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, t.TempDir(), pebble.Config{})
	if err := os.Mkdir(filepath.Join(folder, "half.partial"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(t.Context(), folder, "b", quiet); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(t.Context(), folder, "b", quiet); !errors.Is(err, pebble.ErrExists) {
		t.Errorf("the second of a name: %v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "half.partial")); err == nil {
		t.Error("what was cut off is still there")
	}
	for i := 1; i < pebble.MaxBackups; i++ {
		if err := os.Mkdir(filepath.Join(folder, fmt.Sprint(i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Backup(t.Context(), folder, "c", quiet); !errors.Is(err, pebble.ErrTooManyBackups) {
		t.Errorf("one too many: %v", err)
	}
}

func TestOneBackupAtATimeEndsWithItsCallerAndLeavesNothing(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, t.TempDir(), pebble.Config{})
	inboxtest.Fill(t, s, "bob", 3, "hello")
	ctx, cancel := context.WithCancel(t.Context())
	var second error
	_, err := s.Backup(ctx, folder, "b", func(int64, int64) {
		if second == nil {
			_, second = s.Backup(t.Context(), folder, "c", quiet)
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) || !errors.Is(second, pebble.ErrBackupRuns) {
		t.Errorf("%v; the second: %v", err, second)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	if _, err := s.Backup(t.Context(), folder, "b", quiet); err != nil {
		t.Error(err)
	}
}

// The place of backups may be another disk: when that fails, the store goes on.
func TestBackupThatFailsHarmsNobody(t *testing.T) {
	files := disktest.New(vfs.NewMem())
	s := openStore(t, "data", pebble.Config{FS: files})
	inboxtest.Fill(t, s, "bob", 3, "hello")
	for failAt := 0; ; failAt++ {
		step := 0
		files.Break(func(name string) error {
			if !strings.Contains(name, "backups/") {
				return nil
			}
			if step++; step == failAt+1 {
				return syscall.ENOSPC
			}
			return nil
		})
		_, err := s.Backup(t.Context(), "backups", fmt.Sprint(failAt), quiet)
		if step <= failAt {
			if err != nil || failAt < 5 {
				t.Errorf("after %d failures: %v", failAt, err)
			}
			return
		}
		if _, left := files.Stat(fmt.Sprintf("backups/%d", failAt)); (err == nil) != (left == nil) { // a link that fails becomes a copy
			t.Errorf("failure %d: %v, and of the copy: %v", failAt, err, left)
		}
		commit(t, s, inbox.Batch{Appends: []inbox.Append{inboxtest.Entry("eve", uint64(failAt)+1, mustSum(t, s, "eve"), fmt.Sprint(failAt), "hello")}})
	}
}

func mustSum(t *testing.T, s *pebble.Store, user string) uint64 {
	t.Helper()
	state, err := s.Open("eve")
	if err != nil {
		t.Fatal(user, err)
	}
	return state.Sum
}

// A disk that has failed has not got all that the database believes to have written.
func TestBackupDuringAFailureIsNone(t *testing.T) {
	files := disktest.New(vfs.NewMem())
	s := openStore(t, "data", pebble.Config{FS: files})
	inboxtest.Fill(t, s, "bob", 3, "hello")
	hit := make(chan struct{})
	var once sync.Once
	files.Break(func(name string) error {
		if strings.Contains(name, "data/") && strings.HasSuffix(name, ".log") {
			once.Do(func() { close(hit) })
			return syscall.EIO
		}
		return nil
	})
	var committing sync.WaitGroup
	var begin sync.Once

	done, err := s.Backup(t.Context(), "backups", "b", func(int64, int64) {
		begin.Do(func() {
			committing.Go(func() {
				if s.Commit(&inbox.Batch{Appends: []inbox.Append{inboxtest.Entry("eve", 1, 0, "1", "hello")}}) == nil {
					t.Error("the disk has not failed")
				}
			})
			<-hit
		})
	})

	committing.Wait()
	if err == nil {
		t.Errorf("%+v", done)
	}
	if _, err := s.Backup(t.Context(), "backups", "b", quiet); err == nil {
		t.Error("a backup was made of a store that the disk has failed")
	}
	files.Break(nil)
	inboxtest.Fill(t, s, "ann", 1, "which mends the store")
	if _, err := s.Backup(t.Context(), "backups", "b", quiet); err != nil {
		t.Error(err)
	}
}

func TestBackupAndCloseDoNotWaitForEachOther(t *testing.T) {
	folder := t.TempDir()
	s, err := pebble.Open(t.TempDir(), pebble.Config{})
	if err != nil {
		t.Fatal(err)
	}
	inboxtest.Fill(t, s, "bob", 3, "hello")
	var closing sync.WaitGroup
	var once sync.Once
	_, err = s.Backup(t.Context(), folder, "b", func(int64, int64) {
		once.Do(func() {
			begun := make(chan struct{})
			closing.Go(func() {
				close(begun)
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			<-begun
		})
	})
	closing.Wait()
	if err != nil && !errors.Is(err, inbox.ErrClosed) {
		t.Error(err)
	}
	if _, err := s.Backup(t.Context(), folder, "c", quiet); !errors.Is(err, inbox.ErrClosed) {
		t.Errorf("of a closed store: %v", err)
	}
}
