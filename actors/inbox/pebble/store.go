package pebble

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// Store keeps inboxes in a directory.
type Store struct {
	config Config
	dir    string
	lock   *pebble.Lock

	commit  sync.Mutex // held by one commit, repair or step of retention at a time
	scratch []byte     // for keys; guarded by commit

	unsynced bool // retention has taken something that may come back; likewise

	open    sync.RWMutex                 // held by readers; db changes under the write lock, and commit
	db      *database                    // nil after a repair that failed, and after Close
	trouble error                        // why there is none
	doubt   map[protocol.UserID]struct{} // whose state nobody knows since a commit failed; guarded by open
	unsure  bool                         // whether nobody knows who is blocked and what is set aside, likewise

	flight flight
	ids    idFilter

	retention atomic.Pointer[Retention]
	backing   sync.Mutex // held by the backup under way

	quit  chan struct{} // closed by Close
	again chan struct{} // holds one: retention is to make a round now
	group sync.WaitGroup
}

var _ inbox.Store = (*Store)(nil)

// Open opens the store in a directory, or creates one. It locks the directory, and reads
// no more than what the last run had not brought into order, some tens of MiB at most, and ids of
// messages for some milliseconds.
func Open(dir string, config Config) (*Store, error) {
	config, err := config.complete()
	if err != nil {
		return nil, fmt.Errorf("configuring the store: %w", err)
	}
	lock, err := lockDirectory(dir, &config)
	if err != nil {
		return nil, err
	}
	if err := checkFinished(dir, &config); err != nil {
		_ = lock.Close()
		return nil, err
	}
	s := &Store{
		config: config, dir: dir, lock: lock,
		ids: newIDFilter(), quit: make(chan struct{}), again: make(chan struct{}, 1),
	}
	s.retention.Store(&Retention{config.RetentionAge, config.RetentionEntries})
	if s.db, err = s.openDatabase(); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("opening %s: %w", dir, refine(err))
	}
	if !config.ReadOnly {
		s.group.Go(s.retain)
		building := s.beginRebuild()
		if err := s.readSomeIDs(building); err == nil && building.from == nil && s.endRebuild(building) == nil {
			building = nil // of a small store that is all
		}
		s.group.Go(func() { s.rebuildIDs(building) })
	}
	return s, nil
}

// lockDirectory makes sure that no other process has the store.
func lockDirectory(dir string, config *Config) (*pebble.Lock, error) {
	if config.ReadOnly {
		if _, err := config.FS.Stat(dir); err != nil {
			return nil, fmt.Errorf("opening %s: %w", dir, err)
		}
		// Who only looks leaves no lock behind that might be another user's than the service's.
		if found, err := pebble.Peek(dir, config.FS); err == nil && !found.Exists {
			return nil, fmt.Errorf("opening %s: %w", dir, pebble.ErrDBDoesNotExist)
		}
	} else if err := makeDirectory(config.FS, dir); err != nil {
		return nil, fmt.Errorf("creating %s: %w", dir, refine(err))
	}
	lock, err := pebble.LockDirectory(dir, config.FS)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) && isLocked(dir, config.FS) || alreadyHeld(err) {
		return nil, fmt.Errorf("%w: %s; stop the service that uses it, or give another directory", ErrLocked, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", dir, refine(err))
	}
	return lock, nil
}

// openDatabase opens what the disk has and checks that this program can read it.
func (s *Store) openDatabase() (*database, error) {
	db, err := openDatabase(s.dir, s.lock, &s.config)
	if err != nil {
		return nil, err
	}
	if err := s.checkVersion(db); err != nil {
		_ = db.close()
		return nil, err
	}
	return db, nil
}

// Close waits for what runs, and closes the files. Every call from then on returns
// inbox.ErrClosed.
func (s *Store) Close() error {
	s.commit.Lock()
	if s.closed() {
		s.commit.Unlock()
		return inbox.ErrClosed
	}
	close(s.quit)
	s.commit.Unlock()
	s.group.Wait()

	s.commit.Lock()
	defer s.commit.Unlock()
	if s.db != nil {
		s.db.fence.endCopying(inbox.ErrClosed)
	}
	s.open.Lock()
	defer s.open.Unlock()
	var err error
	if s.db != nil {
		err = s.db.close()
		s.db = nil
	}
	s.trouble = inbox.ErrClosed
	if unlock := s.lock.Close(); err == nil {
		err = unlock
	}
	if err != nil {
		return fmt.Errorf("closing %s: %w", s.dir, refine(err))
	}
	return nil
}

func (s *Store) closed() bool {
	select {
	case <-s.quit:
		return true
	default:
		return false
	}
}

// refine says which of the sentinels of package inbox an error is.
func refine(err error) error {
	if vfs.IsNoSpaceError(err) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", inbox.ErrFull, err)
	}
	return err
}
