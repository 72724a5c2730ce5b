package memory

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// shardCount makes it unlikely that two cores want the same lock at the same time.
const shardCount = 256

// Store keeps inboxes in memory.
type Store struct {
	config Config
	seed   maphash.Seed
	closed atomic.Bool
	bytes  atomic.Int64 // what everything costs; at most config.MaxBytes
	shards [shardCount]shard

	blocked shelf[protocol.UserID, inbox.Block]
	dead    shelf[uint64, inbox.Deadletter]
}

var _ inbox.Store = (*Store)(nil)

// shard is the inboxes of some users.
type shard struct {
	sync.Mutex
	boxes  map[protocol.UserID]*box
	recent recency  // boxes that remember messages, the one that changed last in front
	_      [24]byte // keeps the locks of two shards out of one cache line
}

// New returns a Store without inboxes.
func New(config Config) *Store {
	config.validate()
	s := &Store{config: config, seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].boxes = map[protocol.UserID]*box{}
		s.shards[i].recent.limit = max(config.MaxBytes/8/shardCount, 1)
	}
	return s
}

// Immediate says that a Commit costs no more than a function call, and that many
// goroutines may call it at once, each for users of its own.
func (s *Store) Immediate() {}

// Close frees what the inboxes take. A Commit that runs at the same time is finished or
// refused; from then on every call returns inbox.ErrClosed.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return inbox.ErrClosed
	}
	for i := range s.shards {
		shard := &s.shards[i]
		shard.Lock()
		clear(shard.boxes)
		shard.recent = recency{}
		shard.Unlock()
	}
	s.blocked.close()
	s.dead.close()
	return nil
}

// Open implements inbox.Store.
func (s *Store) Open(user protocol.UserID) (state inbox.State, err error) {
	err = s.look(user, func(b *box) { state = b.state() })
	state.Epoch = s.config.Epoch
	return state, err
}

// Read implements inbox.Store.
func (s *Store) Read(user protocol.UserID, after uint64, maxEntries, maxBytes int) (entries []inbox.Entry, err error) {
	err = s.look(user, func(b *box) { entries = b.read(after, maxEntries, maxBytes) })
	return entries, err
}

// Find implements inbox.Store. It knows some messages that Read does not have any more.
func (s *Store) Find(user protocol.UserID, sender, id string) (found *protocol.Receive, err error) {
	err = s.look(user, func(b *box) {
		if id != "" {
			found = b.find(sender, id)
		}
	})
	return found, err
}

// look has a user's box looked at, if there is one.
func (s *Store) look(user protocol.UserID, at func(*box)) error {
	shard := s.shard(user)
	shard.Lock()
	defer shard.Unlock()
	if s.closed.Load() {
		return inbox.ErrClosed
	}
	if box := shard.boxes[user]; box != nil {
		at(box)
	}
	return nil
}

func (s *Store) shard(user protocol.UserID) *shard {
	return &s.shards[maphash.String(s.seed, string(user))%shardCount]
}
