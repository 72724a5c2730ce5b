package pebble

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"callboard/actors/inbox"
)

// Errors of Backup, Copy and Restore besides those of Open.
var (
	// ErrBackupRuns is the error when another backup of the store is under way.
	ErrBackupRuns = errors.New("a backup is under way")

	// ErrExists is the error when there is something already where a copy is to be made.
	ErrExists = errors.New("there is something already")

	// ErrTooManyBackups is the error when a folder has MaxBackups.
	ErrTooManyBackups = errors.New("there are too many backups")

	// ErrUnfinished is the error when a directory was being restored and that did not end.
	ErrUnfinished = errors.New("the directory was not restored to the end")
)

// MaxBackups is how many directories the folder may hold that Backup writes to. A backup
// keeps its files on the disk when the store has long written them anew.
const MaxBackups = 100

// partial ends the name of a backup that is not whole yet.
const partial = ".partial"

// Backup is a copy of a store.
type Backup struct {
	Epoch uint32 // of its inboxes
	Files int64
	Bytes int64 // what its files hold; those that are linked take no room of their own at first
}

// Backup makes a copy of the store, as it is at one moment after the call, while others go
// on using it. It is itself a directory of a store. Files that do not change any more are linked where the
// file system can, and copied otherwise; commits wait while the log is read into
// memory, which is a few milliseconds for each memtable.
//
// The copy is the directory name in folder, which holds nothing but backups, and is made if need be. It has its name
// only once it is whole and synced. progress is called now and then, from this goroutine. With the context the backup ends, and
// nothing is left of it. An error of the disk ends the backup, and does the store no harm.
func (s *Store) Backup(ctx context.Context, folder, name string, progress func(files, bytes int64)) (Backup, error) {
	if !s.backing.TryLock() {
		return Backup{}, ErrBackupRuns
	}
	defer s.backing.Unlock()
	files := s.config.FS
	if err := s.clearFolder(folder, name); err != nil {
		return Backup{}, err
	}
	made, final := files.PathJoin(folder, name+partial), files.PathJoin(folder, name)
	done, err := s.checkpoint(ctx, folder, made, progress)
	if err == nil {
		err = errors.Join(files.Rename(made, final), syncDirectory(files, folder))
	}
	if err != nil {
		_ = files.RemoveAll(made) // what stays goes with the next backup
		return Backup{}, fmt.Errorf("backing up to %s: %w", final, refine(err))
	}
	return done, nil
}

// checkpoint has the database copy itself. The copy is as good as the files are: if the disk
// fails meanwhile, Pebble may have written what never came to it.
func (s *Store) checkpoint(ctx context.Context, folder, dir string, progress func(files, bytes int64)) (done Backup, err error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	s.open.RLock() // the database is not replaced meanwhile
	defer s.open.RUnlock()
	switch {
	case s.closed():
		return Backup{}, inbox.ErrClosed
	case s.config.ReadOnly:
		return Backup{}, errReadOnly
	case s.db == nil:
		return Backup{}, s.trouble
	}
	c := &copying{ctx: ctx, end: end, folder: folder, commit: &s.commit, progress: progress}
	s.db.fence.copying.Store(c)
	defer s.db.fence.copying.Store(nil)
	switch { // who closes and who fails from now on ends c
	case s.closed():
		return Backup{}, inbox.ErrClosed
	case s.db.broken() != nil:
		return Backup{}, s.db.broken()
	}
	if err := s.db.Checkpoint(dir); err != nil {
		return Backup{}, err
	}
	if err := cmp.Or(context.Cause(ctx), s.db.broken()); err != nil {
		return Backup{}, err
	}
	return Backup{Epoch: s.db.epoch, Files: c.files, Bytes: c.bytes}, nil
}

// clearFolder makes the folder ready for another backup: it removes what was cut off by
// the end of a process.
func (s *Store) clearFolder(folder, name string) error {
	files := s.config.FS
	if err := makeDirectory(files, folder); err != nil {
		return fmt.Errorf("creating %s: %w", folder, refine(err))
	}
	there, err := files.List(folder)
	if err != nil {
		return fmt.Errorf("reading %s: %w", folder, err)
	}
	count := 0
	for _, entry := range there {
		switch {
		case entry == name:
			return fmt.Errorf("%w: %s", ErrExists, files.PathJoin(folder, entry))
		case strings.HasSuffix(entry, partial):
			if err := files.RemoveAll(files.PathJoin(folder, entry)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("removing what is left of a backup: %w", err)
			}
		default:
			count++
		}
	}
	if count >= MaxBackups {
		return fmt.Errorf("%w: %s has %d", ErrTooManyBackups, folder, count)
	}
	return nil
}
