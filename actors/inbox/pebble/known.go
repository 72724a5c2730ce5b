package pebble

import (
	"bytes"
	"errors"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/greatroar/blobloom"

	"callboard/protocol"
)

const (
	// knownShare is the part of CacheBytes, but no more than knownMost, that known has besides. By
	// default these are 16 MiB.
	knownShare = 4
	knownMost  = 1 << 30

	// bitsOfID is how many bits an id has when the filter counts as full, and knownHashes how many
	// hashes it then does best with: about 1 unknown id in 100 is looked for in vain.
	bitsOfID, knownHashes = 10, 7

	// learnTime is how long ids are read before others have their turn.
	learnTime = 5 * time.Millisecond

	// learnPause is how long after a failure ids are read again, from the first on.
	learnPause = 10 * time.Second
)

// known says of most ids that no message has them, without a look into the store. Nearly every id
// that is looked for is new, and to find that out Pebble goes through all memtables and the newest
// tables: without known that is a third of the processor time of a message (BenchmarkLook).
//
// It is a Bloom filter, which never denies what was put into it. The filter that is asked has
// every id that any commit has tried since learn began to read the store, and every one that
// the store had then, but for those that a commit has taken away, which learn has seen to be on the
// disk. The ids of what is gone later stay in it, until there are so many that it is learnt anew.
type known struct {
	asked    atomic.Pointer[blobloom.SyncFilter] // nil: look into the store
	learning *blobloom.SyncFilter                // to be asked when learn has read the store, nil if that would be wrong; guarded by Store.commit
	added    int                                 // ids since asked or, if there is one, learning was made; likewise
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
	for {
		for l != nil && !s.learnAll(l) {
			if !s.pause(learnPause) {
				return
			}
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

// learnAll takes a lesson to its end, and reports whether it could.
func (s *Store) learnAll(l *lesson) bool {
	for l.from != nil {
		began := time.Now()
		if err := s.learnSome(l); err != nil { // who looks for an id is told of it
			return false
		}
		if l.from != nil && !s.rest(time.Since(began)) {
			return false
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

// endLesson has the filter asked of a lesson that has read the whole store. It refuses if the disk has
// failed since it was begun: what a commit had taken away may then be there again.
func (s *Store) endLesson(l *lesson) bool {
	s.commit.Lock()
	defer s.commit.Unlock()
	if s.known.learning != l.filter || s.db == nil || s.db.broken() != nil {
		return false
	}
	s.known.asked.Store(l.filter)
	s.known.learning, s.known.added, s.known.most = nil, s.known.added+l.count, max(int(s.knownBits()/bitsOfID), 2*l.count)
	return true
}

// learnSome goes on with a lesson for learnTime. After an error the lesson is where it was.
func (s *Store) learnSome(l *lesson) error {
	return s.readingAnyway(func(db *database) error {
		iter, err := db.NewIter(&pebble.IterOptions{LowerBound: l.from, UpperBound: []byte{lastSpace}})
		if err != nil {
			return err
		}
		var next []byte
		began, ok, count := time.Now(), iter.First(), 0
		for step := 1; ok && err == nil; step++ {
			if step%64 == 0 && time.Since(began) > learnTime {
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
			case kind > idKind:
				ok = iter.SeekGE(appendPrefix(nil, user, endKind))
			default:
				l.filter.Add(s.known.hash(iter.Key()))
				count++
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
