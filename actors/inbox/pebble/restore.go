package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// unfinished is a file in a directory that is being restored: nobody may open it as if the
// store there were whole, or empty.
const unfinished = "RESTORING"

// Restore puts a copy that Backup or Copy has made into a directory, which must not be there or hold
// no files but those that keep names; it verifies what it has put there, and gives it a new epoch. If it
// does not come to its end, the directory cannot be opened, and has to be emptied.
func Restore(ctx context.Context, from, to string, config Config, keep ...string) (done Backup, err error) {
	source, err := Open(from, Config{ReadOnly: true, FS: config.FS})
	if err != nil {
		return Backup{}, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	files := source.config.FS
	if err := makeDirectory(files, to); err != nil {
		return Backup{}, fmt.Errorf("creating %s: %w", to, refine(err))
	}
	if err := checkVacant(files, to, keep); err != nil {
		return Backup{}, err
	}
	mark := files.PathJoin(to, unfinished)
	if err := writeFile(files, mark); err != nil {
		return Backup{}, fmt.Errorf("writing %s: %w", mark, refine(err))
	}
	if done, err = copyFiles(ctx, files, from, to); err != nil {
		return Backup{}, fmt.Errorf("copying to %s: %w", to, refine(err))
	}
	config.restoring = true
	if done.Epoch, err = renewCopy(ctx, to, config); err != nil {
		return Backup{}, err
	}
	return done, errors.Join(files.Remove(mark), syncDirectory(files, to))
}

// renewCopy makes sure that a copy is whole, and says that it is one.
func renewCopy(ctx context.Context, dir string, config Config) (epoch uint32, err error) {
	s, err := Open(dir, config)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	faults := 0
	if err := s.Verify(ctx, func(Problem) { faults++ }); err != nil {
		return 0, err
	}
	if faults > 0 {
		return 0, fmt.Errorf("%w: the copy has %d faults; 'callboard inbox verify' of the backup names them", ErrUnfinished, faults)
	}
	return s.Renew()
}

// checkVacant refuses a directory that has files, but for those of the names.
func checkVacant(files vfs.FS, dir string, keep []string) error {
	there, err := files.List(dir)
	if err != nil {
		return fmt.Errorf("reading %s: %w", dir, err)
	}
	kept := map[string]bool{}
	for _, name := range keep {
		kept[name] = true
	}
	for _, name := range there {
		info, err := files.Stat(files.PathJoin(dir, name))
		if err != nil {
			return fmt.Errorf("reading %s: %w", dir, err)
		}
		if !info.IsDir() && !kept[name] {
			return fmt.Errorf("%w: %s has %s", ErrExists, dir, name)
		}
	}
	return nil
}

// checkFinished refuses a directory whose restoring has not ended.
func checkFinished(dir string, config *Config) error {
	_, err := config.FS.Stat(config.FS.PathJoin(dir, unfinished))
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && config.restoring:
		return nil
	case err == nil:
		return fmt.Errorf("%w: %s; remove what is in it, and restore again", ErrUnfinished, dir)
	}
	return fmt.Errorf("reading %s: %w", dir, err)
}

// writeFile makes an empty file that survives a power loss.
func writeFile(files vfs.FS, name string) error {
	file, err := files.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close(), syncDirectory(files, files.PathDir(name)))
}
