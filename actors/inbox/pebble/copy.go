package pebble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Copy copies the store in the directory from, which no service may be using, to the directory to, which must not be
// there. Like Backup it leaves the whole copy or none.
func Copy(ctx context.Context, from, to string, config Config) (Backup, error) {
	config.ReadOnly = true
	s, err := Open(from, config)
	if err != nil {
		return Backup{}, err
	}
	done, err := s.copyTo(ctx, to)
	return done, errors.Join(err, s.Close())
}

func (s *Store) copyTo(ctx context.Context, to string) (Backup, error) {
	files := s.config.FS
	if _, err := files.Stat(to); err == nil {
		return Backup{}, fmt.Errorf("%w: %s", ErrExists, to)
	}
	made := to + partial
	if err := errors.Join(files.RemoveAll(made), makeDirectory(files, made)); err != nil {
		return Backup{}, fmt.Errorf("creating %s: %w", made, refine(err))
	}
	done, err := copyFiles(ctx, files, s.dir, made)
	if err == nil {
		err = errors.Join(files.Rename(made, to), syncDirectory(files, files.PathDir(to)))
	}
	if err != nil {
		_ = files.RemoveAll(made) // what stays goes with the next Copy
		return Backup{}, fmt.Errorf("copying to %s: %w", to, refine(err))
	}
	done.Epoch = s.Epoch()
	return done, nil
}

// copyFiles copies the files of a directory that are the store's, and syncs them.
func copyFiles(ctx context.Context, files vfs.FS, from, to string) (done Backup, err error) {
	there, err := files.List(from)
	if err != nil {
		return Backup{}, err
	}
	for _, name := range there {
		if !isStoreFile(name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return Backup{}, err
		}
		written, err := copyFile(ctx, files, files.PathJoin(from, name), files.PathJoin(to, name))
		if err != nil {
			return Backup{}, err
		}
		done.Files++
		done.Bytes += written
	}
	return done, syncDirectory(files, to)
}

func copyFile(ctx context.Context, files vfs.FS, from, to string) (written int64, err error) {
	source, err := files.Open(from)
	if err != nil {
		return 0, err
	}
	defer func() { _ = source.Close() }() // it was read alone
	target, err := files.Create(to, vfs.WriteCategoryUnspecified)
	if err != nil {
		return 0, err
	}
	written, err = io.Copy(target, &reader{ctx, source})
	return written, errors.Join(err, target.Sync(), target.Close())
}

// reader ends with its context.
type reader struct {
	ctx  context.Context //nolint:containedctx // io.Reader takes none
	file vfs.File
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.file.Read(p)
}

// isStoreFile tells Pebble's files from what else may be in the directory, such as tokens. The lock is
// not of the store but of who has it open.
func isStoreFile(name string) bool {
	for _, pattern := range []string{"*.sst", "*.blob", "*.log", "MANIFEST-*", "OPTIONS-*", "marker.*"} {
		if ok, _ := path.Match(pattern, name); ok { // the patterns are right
			return true
		}
	}
	return false
}
