package pebble

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox"
)

// mend makes sure that there is a database to commit to. Once the disk has failed it closes
// what there is and opens what is on the disk. The caller holds commit.
func (s *Store) mend() error {
	switch {
	case s.closed():
		return inbox.ErrClosed
	case s.config.ReadOnly:
		return errReadOnly
	case s.db != nil && s.db.broken() == nil:
		return nil
	}
	if err := s.probe(); err != nil {
		// The old database stays for those who read.
		return fmt.Errorf("the disk does not work yet: %w", refine(err))
	}
	s.open.Lock()
	defer s.open.Unlock()
	s.ids.building = nil
	if s.db != nil {
		_ = s.db.close() // what it has to say is known
		s.db = nil
	}
	db, err := s.openDatabase()
	if err != nil {
		s.trouble = fmt.Errorf("opening %s again: %w", s.dir, refine(err))
		return s.trouble
	}
	s.db, s.trouble, s.doubt, s.unsure = db, nil, nil, false
	s.config.Log.Info("the disk works again", slog.String("dir", s.dir))
	return nil
}

// probe asks whether it makes sense to close what can be read, to open it anew: that takes
// about as much room as the log, and a disk that writes.
func (s *Store) probe() error {
	if s.db != nil && vfs.IsNoSpaceError(s.db.broken()) {
		usage, err := s.config.FS.GetDiskUsage(s.dir)
		if room := memTables * uint64(s.config.MemTableBytes); err == nil && usage.AvailBytes < room {
			return fmt.Errorf("%w: %d bytes are free and %d are needed", inbox.ErrFull, usage.AvailBytes, room)
		}
	}
	name := s.config.FS.PathJoin(s.dir, "probe.tmp")
	file, err := s.config.FS.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(make([]byte, 4096))
	return errors.Join(err, file.Sync(), file.Close(), s.config.FS.Remove(name))
}

// background does work of the Store's own between two commits, unless the disk has failed.
// If it fails, the log has been told, and the next commit mends it.
func (s *Store) background(work func() error) {
	s.commit.Lock()
	defer s.commit.Unlock()
	if s.closed() || s.db == nil || s.db.broken() != nil {
		return
	}
	if err := work(); err != nil && s.db.broken() == nil {
		s.config.Log.Error("work on the inboxes failed; look at them with 'callboard inbox verify'", slog.Any("error", err))
	}
}
