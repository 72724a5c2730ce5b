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
	// known has CacheBytes/knownShare bytes, besides those of the cache, and knownMost at most. By
	// default these are 16 MiB.
	knownShare = 4
	knownMost  = 1 << 30

	// bitsOfID is how many bits an id has when the filter counts as full, and knownHashes how many
	// hashes it then does best with: about 1 unknown id in 100 is looked for in vain.
	bitsOfID, knownHashes = 10, 7

	// learnTime is about how long ids are read before others have their turn.
	learnTime = 5 * time.Millisecond

	// learnPause is how long after a failure ids are read again, from the first on; after each
	// further one it is twice as long, up to the time between two rounds of retention.
	learnPause = 10 * time.Second
)

// known says of most ids that no message has them, without a look into the store. Nearly every id
// that is looked for is new, and to find that out Pebble goes through all memtables and the newest
// tables, which took a third of the processor time of a message.
//
// It is a Bloom filter, which never denies what was put into it. The filter that is asked has
// every id that any commit has tried since learn began to read the store, and every one that
// the store had then, but for those that a commit has taken away, which learn has seen to be on the
// disk. The ids of what is gone later stay in it, until there are so many that it is learnt anew.
type known struct {
	asked    atomic.Pointer[blobloom.SyncFilter] // nil: look into the store
	learning *blobloom.SyncFilter                // to be asked when learn has read the store, nil if that would be wrong; guarded by Store.commit
	added    int                                 // ids in asked or, if there is one, of commits in learning; likewise
	most     int                                 // as many make learn begin anew; likewise
	anew     chan struct{}                       // holds one: learn is to begin
	seed     maphash.Seed
}

func newKnown() known { return known{anew: make(chan struct{}, 1), seed: maphash.MakeSeed()} }

func (k *known) hash(key []byte) uint64 { return maphash.Bytes(k.seed, key) }

// denies reports whether there is no message with the id of a key.
func (k *known) denies(key []byte) bool {
	filter := k.asked.Load()
	return filter != nil && !filter.Has(k.hash(key))
}

// add takes in an id before it is committed. The caller holds Store.commit.
func (k *known) add(key []byte) {
	asked := k.asked.Load()
	if asked == nil && k.learning == nil {
		return
	}
	h := k.hash(key)
	if asked != nil {
		asked.Add(h)
	}
	if k.learning != nil {
		k.learning.Add(h)
	}
	if k.added++; k.learning == nil && k.added >= k.most {
		select {
		case k.anew <- struct{}{}:
		default: // learn is about to begin
		}
	}
}

// A lesson makes a filter of the ids in the store.
type lesson struct {
	filter *blobloom.SyncFilter
	from   []byte // the key to go on with; nil after the last
	count  int    // ids in the filter
}

// learn ends a lesson, if it is not nil, and begins one when it is told to, until the Store is closed.
func (s *Store) learn(l *lesson) {
	pause := learnPause
	for {
		for l != nil {
			err := s.learnAll(l)
			if err == nil {
				pause = learnPause
				break
			}
			if pause == learnPause && !s.closed() {
				s.config.Log.Warn("the ids of all messages could not be read; sends take longer until they can", slog.Any("error", err))
			}
			if !s.pause(pause) {
				return
			}
			pause = min(2*pause, max(pause, s.config.RetentionInterval))
			l = s.beginLesson()
		}
		select {
		case <-s.quit:
			return
		case <-s.known.anew:
		}
		l = s.beginLesson()
	}
}

// learnAll takes a lesson to its end.
func (s *Store) learnAll(l *lesson) error {
	for l.from != nil {
		began := time.Now()
		if err := s.learnSome(l); err != nil {
			return err
		}
		if l.from != nil && !s.rest(time.Since(began)) {
			return inbox.ErrClosed
		}
	}
	return s.endLesson(l)
}

// beginLesson has all commits add to a new filter, besides the one that is asked.
func (s *Store) beginLesson() *lesson {
	l := &lesson{filter: blobloom.NewSync(s.knownBits(), knownHashes), from: []byte{userSpace}}
	s.commit.Lock()
	defer s.commit.Unlock()
	s.known.learning, s.known.added = l.filter, 0
	return l
}

func (s *Store) knownBits() uint64 { return uint64(min(s.config.CacheBytes/knownShare, knownMost)) * 8 }

// errOutdated is why a lesson is of no use: the disk has failed since it was begun.
var errOutdated = errors.New("the disk failed meanwhile")

// endLesson has the filter asked of a lesson that has read the whole store. It refuses if the disk has
// failed since it was begun: what had been taken away may then be there again. For the same reason
// what retention took must be on the disk.
func (s *Store) endLesson(l *lesson) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	switch {
	case s.closed():
		return inbox.ErrClosed
	case s.known.learning != l.filter || s.db == nil:
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
	s.known.asked.Store(l.filter)
	s.known.learning, s.known.added, s.known.most = nil, s.known.added+l.count, max(int(s.knownBits()/bitsOfID), 2*l.count)
	select {
	case <-s.known.anew: // somebody asked for what has just been done
	default:
	}
	return nil
}

// learnSome goes on with a lesson for learnTime. After an error the lesson is where it was.
func (s *Store) learnSome(l *lesson) error {
	return s.readingAnyway(func(db *database) error {
		if err := db.broken(); err != nil {
			return err
		}
		iter, err := db.NewIter(&pebble.IterOptions{LowerBound: l.from, UpperBound: []byte{lastSpace}})
		if err != nil {
			return err
		}
		var next []byte
		began, ok, count := time.Now(), iter.First(), 0
		for ids := 1; ok && err == nil; {
			if ids%64 == 0 && time.Since(began) > learnTime {
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
				l.filter.Add(s.known.hash(iter.Key()))
				count++
				ids++
				ok = iter.Next()
			}
		}
		if err = errors.Join(err, iter.Close()); err == nil { // what iter.Error would say, Close does
			l.from = next
			l.count += count
		}
		return err
	})
}
