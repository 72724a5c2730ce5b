package pebble

import (
	"bytes"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/greatroar/blobloom"

	"callboard/actors/inbox"
	"callboard/protocol"
)

const (
	// A filter has CacheBytes/filterShare bytes, besides those of the cache, and maxFilterBytes at most. By
	// default these are 16 MiB.
	filterShare    = 4
	maxFilterBytes = 1 << 30

	// bitsOfID is how many bits an id has when the filter counts as full, and hashesOfID how many
	// hashes it then does best with: about 1 unknown id in 100 is looked for in vain.
	bitsOfID, hashesOfID = 10, 7

	// readTime is about how long ids are read before others have their turn.
	readTime = 5 * time.Millisecond

	// retryAfter is how long after a failure ids are read again, from the first on; after each
	// further one it is twice as long, up to the time between two rounds of retention.
	retryAfter = 10 * time.Second
)

// An idFilter says of most ids that no message has them, without a look into the store. Nearly every id
// that is looked for is new, and to find that out Pebble goes through all memtables and the newest
// tables, which took a third of the processor time of a message.
//
// It is a Bloom filter, which never excludes what was put into it. The filter that is asked has
// every id that any commit has tried since a rebuild began to read the store, and every one that
// the store had then, but for those that a commit has taken away, which the rebuild has seen to be on the
// disk. The ids of what is gone later stay in it, until there are so many that it is rebuilt.
type idFilter struct {
	asked    atomic.Pointer[blobloom.SyncFilter] // nil: look into the store
	building *blobloom.SyncFilter                // to be asked when the rebuild has read the store, nil if that would be wrong; guarded by Store.commit
	added    int                                 // ids in asked or, if there is one, of commits in building; likewise
	most     int                                 // as many begin a rebuild; likewise
	stale    chan struct{}                       // holds one: a rebuild is to begin
	seed     maphash.Seed
}

func newIDFilter() idFilter { return idFilter{stale: make(chan struct{}, 1), seed: maphash.MakeSeed()} }

func (f *idFilter) hash(key []byte) uint64 { return maphash.Bytes(f.seed, key) }

// excludes reports whether there is no message with the id of a key.
func (f *idFilter) excludes(key []byte) bool {
	filter := f.asked.Load()
	return filter != nil && !filter.Has(f.hash(key))
}

// add takes in an id before it is committed. The caller holds Store.commit.
func (f *idFilter) add(key []byte) {
	asked := f.asked.Load()
	if asked == nil && f.building == nil {
		return
	}
	h := f.hash(key)
	if asked != nil {
		asked.Add(h)
	}
	if f.building != nil {
		f.building.Add(h)
	}
	if f.added++; f.building == nil && f.added >= f.most {
		select {
		case f.stale <- struct{}{}:
		default: // one is about to begin
		}
	}
}

// A rebuild makes a filter of the ids in the store.
type rebuild struct {
	filter *blobloom.SyncFilter
	from   []byte // the key to go on with; nil after the last
	count  int    // ids in the filter
}

// rebuildIDs ends a rebuild, if it is not nil, and begins one when it is told to, until the Store is closed.
func (s *Store) rebuildIDs(b *rebuild) {
	pause := retryAfter
	for {
		for b != nil {
			err := s.readAllIDs(b)
			if err == nil {
				pause = retryAfter
				break
			}
			if pause == retryAfter && !s.closed() {
				s.config.Log.Warn("the ids of all messages could not be read; sends take longer until they can", slog.Any("error", err))
			}
			if !s.pause(pause) {
				return
			}
			pause = min(2*pause, max(pause, s.config.RetentionInterval))
			b = s.beginRebuild()
		}
		select {
		case <-s.quit:
			return
		case <-s.ids.stale:
		}
		b = s.beginRebuild()
	}
}

// readAllIDs takes a rebuild to its end.
func (s *Store) readAllIDs(b *rebuild) error {
	for b.from != nil {
		began := time.Now()
		if err := s.readSomeIDs(b); err != nil {
			return err
		}
		if b.from != nil && !s.rest(time.Since(began)) {
			return inbox.ErrClosed
		}
	}
	return s.endRebuild(b)
}

// beginRebuild has all commits add to a new filter, besides the one that is asked.
func (s *Store) beginRebuild() *rebuild {
	b := &rebuild{filter: blobloom.NewSync(s.filterBits(), hashesOfID), from: []byte{userSpace}}
	s.commit.Lock()
	defer s.commit.Unlock()
	s.ids.building, s.ids.added = b.filter, 0
	return b
}

func (s *Store) filterBits() uint64 {
	return uint64(min(s.config.CacheBytes/filterShare, maxFilterBytes)) * 8
}

// errOutdated is why a rebuild is of no use: the disk has failed since it was begun.
var errOutdated = errors.New("the disk failed meanwhile")

// endRebuild has the filter asked of a rebuild that has read the whole store. It refuses if the disk has
// failed since it was begun: what had been taken away may then be there again. For the same reason
// what retention took must be on the disk.
func (s *Store) endRebuild(b *rebuild) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	switch {
	case s.closed():
		return inbox.ErrClosed
	case s.ids.building != b.filter || s.db == nil:
		return errOutdated
	}
	if s.unsynced {
		if err := s.apply(&inbox.Batch{}); err != nil { // a sync, and all that was written before is on the disk
			return err
		}
	}
	if err := s.db.broken(); err != nil {
		return err
	}
	s.ids.asked.Store(b.filter)
	s.ids.building, s.ids.added, s.ids.most = nil, s.ids.added+b.count, max(int(s.filterBits()/bitsOfID), 2*b.count)
	select {
	case <-s.ids.stale: // somebody asked for what has just been done
	default:
	}
	return nil
}

// readSomeIDs goes on with a rebuild for readTime. After an error the rebuild is where it was.
func (s *Store) readSomeIDs(b *rebuild) error {
	return s.readingAnyway(func(db *database) error {
		if err := db.broken(); err != nil {
			return err
		}
		iter, err := db.NewIter(&pebble.IterOptions{LowerBound: b.from, UpperBound: []byte{lastSpace}})
		if err != nil {
			return err
		}
		var next []byte
		began, ok, count := time.Now(), iter.First(), 0
		for ids := 1; ok && err == nil; {
			if ids%64 == 0 && time.Since(began) > readTime {
				next = bytes.Clone(iter.Key())
				break
			}
			var user protocol.UserID
			var rest []byte
			if user, rest, err = userOf(iter.Key()); err != nil {
				break
			}
			switch kind := rest[0]; {
			case kind < idKind:
				ok = iter.SeekGE(appendPrefix(nil, user, idKind))
				ids = 0 // that may have taken long
			case kind > idKind:
				ok = iter.SeekGE(appendPrefix(nil, user, endKind))
				ids = 0
			default:
				b.filter.Add(s.ids.hash(iter.Key()))
				count++
				ids++
				ok = iter.Next()
			}
		}
		if err = errors.Join(err, iter.Close()); err == nil { // what iter.Error would say, Close does
			b.from = next
			b.count += count
		}
		return err
	})
}
