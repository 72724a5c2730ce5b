package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox"
)

// version is the version of a new store, and newest the highest that this program reads. They
// have the same keys; a store becomes one of the newest with its first entry that an older
// program could not read (value.go). So a store without such an entry can go back to the older
// program, and one with it is refused there as a whole, instead of failing at that entry.
const (
	version = 1
	newest  = tracedVersion
)

// Errors of Open.
var (
	// ErrLocked is the error when the directory is in use.
	ErrLocked = errors.New("the directory is in use")

	// ErrVersion is the error when another version of the program wrote the store.
	ErrVersion = errors.New("another version of callboard wrote this store")
)

// checkVersion refuses what this program cannot read, writes the version into a new
// store, and an epoch into one that has none.
func (s *Store) checkVersion(db *database) error {
	found, _, err := db.pair(versionKey)
	switch {
	case err != nil:
		return fmt.Errorf("reading the version: %w", err)
	case found >= version && found <= newest:
		db.version = found
		return s.checkEpoch(db)
	case found > newest:
		return fmt.Errorf("%w: it has version %d and this program reads up to %d; run the newer callboard, or give another directory",
			ErrVersion, found, newest)
	}
	empty, err := db.empty()
	switch {
	case err != nil:
		return fmt.Errorf("reading the version: %w", err)
	case !empty:
		return fmt.Errorf("%w: it has no version, so it may be no store of callboard's; give another directory", ErrVersion)
	case s.config.ReadOnly:
		return nil
	}
	return s.begin(db, true)
}

// raise writes the newest version beside a batch that needs it. The caller holds commit, and notes
// the version when the disk has the batch.
func (s *Store) raise(b *pebble.Batch, batch *inbox.Batch) (version uint64, err error) {
	if s.db.version == newest || !slices.ContainsFunc(batch.Appends, func(a inbox.Append) bool { return a.Message.Traceparent != "" }) {
		return s.db.version, nil
	}
	return newest, s.putPair(b, versionKey, newest, 0)
}

// empty reports whether there is no key at all.
func (d *database) empty() (bool, error) {
	iter, err := d.NewIter(nil)
	if err != nil {
		return false, err
	}
	found := iter.First()
	return !found, errors.Join(iter.Error(), iter.Close())
}

// pair reads a value of two numbers; both are 0 if the key is not there.
func (d *database) pair(key []byte) (a, b uint64, err error) {
	value, closer, err := d.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	a, b, err = parsePair(value)
	return a, b, errors.Join(err, closer.Close())
}

// alreadyHeld recognises the error of a second Open in the same process, for which the
// file systems have no sentinel.
func alreadyHeld(err error) bool {
	return err != nil && strings.Contains(err.Error(), "lock held by current process")
}

// isLocked tells a lock that is held, for which some systems say EACCES, from a file that
// may not be written to.
func isLocked(dir string, files vfs.FS) bool {
	info, err := files.Stat(files.PathJoin(dir, "LOCK"))
	return err == nil && info.Mode()&fs.FileMode(0o200) != 0
}
