package actors

import (
	"maps"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// fakeStore keeps inboxes in memory and fails when it is told to. It stands for a
// disk: its commits go through the journal.
type fakeStore struct {
	mu      sync.Mutex
	users   map[protocol.UserID]*fakeInbox
	fail    error         // of Commit
	unread  error         // of Open, Read and Find
	held    chan struct{} // Commit waits until it is closed
	batches []int         // number of appends in each commit that was made
	reads   int
	takes   time.Duration                            // the next Commit
	applies bool                                     // a Commit that fails has been applied all the same
	panics  int                                      // so many Commits panic
	tries   int                                      // calls of Commit
	hidden  bool                                     // Read fails, and Open and Find do not
	reading func(user protocol.UserID, after uint64) // called by Read; may panic
	blocks  map[protocol.UserID]*inbox.Block
	dead    map[uint64]*inbox.Deadletter
	gaps    int // appends that did not follow the one before
	epoch   uint32
}

type fakeInbox struct {
	inbox.State
	entries []inbox.Entry
	devices map[string]inbox.Device
}

// fakeMemory is a fakeStore that stands for memory: it needs no journal.
type fakeMemory struct{ *fakeStore }

func (fakeMemory) Immediate() {}

var (
	_ inbox.Store       = (*fakeStore)(nil)
	_ inbox.Blocklist   = (*fakeStore)(nil)
	_ inbox.Deadletters = (*fakeStore)(nil)
	_ inbox.Immediate   = fakeMemory{}
)

// fakeEpoch is the epoch of a new fakeStore.
const fakeEpoch = 7

func newFakeStore() *fakeStore {
	return &fakeStore{users: map[protocol.UserID]*fakeInbox{}, epoch: fakeEpoch}
}

func (s *fakeStore) inbox(user protocol.UserID) *fakeInbox {
	if s.users[user] == nil {
		s.users[user] = &fakeInbox{devices: map[string]inbox.Device{}}
	}
	return s.users[user]
}

func (s *fakeStore) Open(user protocol.UserID) (inbox.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unread != nil {
		return inbox.State{}, s.unread
	}
	in := s.inbox(user)
	state := in.State
	state.Epoch = s.epoch
	for _, name := range slices.Sorted(maps.Keys(in.devices)) {
		state.Devices = append(state.Devices, in.devices[name])
	}
	return state, nil
}

func (s *fakeStore) Read(user protocol.UserID, after uint64, maxEntries, maxBytes int) (found []inbox.Entry, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.reading != nil {
		s.reading(user, after)
	}
	if s.unread != nil {
		return nil, s.unread
	}
	if s.hidden {
		return nil, errDisk
	}
	for _, e := range s.inbox(user).entries {
		if e.Message.Seq > after && len(found) < maxEntries && (maxBytes > 0 || len(found) == 0) {
			found = append(found, e)
			maxBytes -= int(inbox.Size(e.Message))
		}
	}
	return found, nil
}

func (s *fakeStore) Find(user protocol.UserID, sender, id string) (*protocol.Receive, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unread != nil {
		return nil, s.unread
	}
	for _, e := range s.inbox(user).entries {
		if e.Message.Sender == sender && e.Message.Id == id {
			return e.Message, nil
		}
	}
	return nil, nil
}

func (s *fakeStore) Commit(batch *inbox.Batch) error {
	s.mu.Lock()
	held, takes := s.held, s.takes
	s.takes = 0
	s.tries++
	s.mu.Unlock()
	if held != nil {
		<-held
	}
	time.Sleep(takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.panics > 0 {
		s.panics--
		panic("crash on purpose: the store")
	}
	if s.fail != nil && !s.applies {
		return s.fail
	}
	s.batches = append(s.batches, len(batch.Appends))
	for _, a := range batch.Appends {
		in := s.inbox(a.User)
		if a.Message.Seq != in.Head+1 || a.Sum != in.Sum+inbox.Size(a.Message) {
			s.gaps++
			panic("an inbox with a gap, or two writers")
		}
		in.entries = append(in.entries, a.Entry)
		in.Head, in.Sum = a.Message.Seq, a.Sum
	}
	for _, m := range batch.Moves {
		if m.Forget {
			delete(s.inbox(m.User).devices, m.Device.Name)
		} else {
			s.inbox(m.User).devices[m.Device.Name] = m.Device
		}
	}
	for _, t := range batch.Trims {
		s.take(t.User, min(t.UpTo, s.inbox(t.User).Head))
	}
	return s.fail
}

// Block implements inbox.Blocklist; it fails when Commit does.
func (s *fakeStore) Block(block *inbox.Block) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blocks == nil {
		s.blocks = map[protocol.UserID]*inbox.Block{}
	}
	if s.fail == nil {
		s.blocks[block.User] = block
	}
	return s.fail
}

func (s *fakeStore) Unblock(users ...protocol.UserID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, user := range users {
		if s.fail == nil {
			delete(s.blocks, user)
		}
	}
	return s.fail
}

func (s *fakeStore) Blocks(after protocol.UserID, limit int) (found []*inbox.Block, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, user := range slices.Sorted(maps.Keys(s.blocks)) {
		if user > after && len(found) < limit {
			found = append(found, s.blocks[user])
		}
	}
	return found, s.unread
}

// SetAside implements inbox.Deadletters; it fails when Commit does.
func (s *fakeStore) SetAside(letter *inbox.Deadletter, drop ...uint64) error {
	return s.changeDead(func() {
		for _, number := range drop {
			delete(s.dead, number)
		}
		s.dead[letter.Number] = letter
	})
}

func (s *fakeStore) Drop(numbers ...uint64) error {
	return s.changeDead(func() {
		for _, number := range numbers {
			delete(s.dead, number)
		}
	})
}

func (s *fakeStore) changeDead(change func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead == nil {
		s.dead = map[uint64]*inbox.Deadletter{}
	}
	if s.fail == nil {
		change()
	}
	return s.fail
}

func (s *fakeStore) Deadletters(after uint64, limit int) (found []*inbox.Deadletter, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, number := range slices.Sorted(maps.Keys(s.dead)) {
		if number > after && len(found) < limit {
			found = append(found, s.dead[number])
		}
	}
	return found, s.unread
}

// blocked is how many blocks there are.
func (s *fakeStore) blocked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.blocks)
}

// trim takes the oldest entries away, as retention does.
func (s *fakeStore) trim(user string, upTo uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(protocol.UserID(user), upTo)
}

func (s *fakeStore) take(user protocol.UserID, upTo uint64) {
	in := s.inbox(user)
	in.Floor = max(in.Floor, upTo)
	in.entries = slices.DeleteFunc(in.entries, func(e inbox.Entry) bool { return e.Message.Seq <= upTo })
}

// renews gives the numbering another epoch, as an operator does with one that was restored.
func (s *fakeStore) renews(epoch uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch = epoch
}

// breaks has commits fail from now on; with nil they work again.
func (s *fakeStore) breaks(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// lies has commits fail from now on though they are applied; with nil they work again.
func (s *fakeStore) lies(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail, s.applies = err, err != nil
}

// crashes has the next n commits panic.
func (s *fakeStore) crashes(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.panics = n
}

// stops has reads fail from now on; with nil they work again.
func (s *fakeStore) stops(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unread = err
}

// hides has Read alone fail, or work again.
func (s *fakeStore) hides(entries bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hidden = entries
}

// onRead has f called by each Read; it may panic.
func (s *fakeStore) onRead(f func(user protocol.UserID, after uint64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading = f
}

// hold has commits wait from now on, until release.
func (s *fakeStore) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = make(chan struct{})
}

func (s *fakeStore) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.held)
	s.held = nil
}

// pause has the next commit take a while.
func (s *fakeStore) pause(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes = d
}

// entries of a user's inbox.
func (s *fakeStore) entries(user string) []inbox.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.inbox(protocol.UserID(user)).entries)
}

// contents of a user's inbox.
func (s *fakeStore) contents(user string) (contents []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.inbox(protocol.UserID(user)).entries {
		contents = append(contents, e.Message.Content)
	}
	return contents
}

// settled waits until the cursors that have moved are in the store: the journal keeps
// them for a while, so that they go along with messages.
func settled() {
	synctest.Wait()
	time.Sleep(2 * movesWait)
	synctest.Wait()
}

func (s *fakeStore) cursor(user, device string) uint64 {
	settled()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inbox(protocol.UserID(user)).devices[device].Cursor
}

// commits is the number of appends in each commit that was made so far.
func (s *fakeStore) commits() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.batches)
}

// calls is how often Read and Commit were called so far.
func (s *fakeStore) calls() (reads, commits int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads, s.tries
}

// wasOfferedGaps is how many appends did not follow the one before.
func (s *fakeStore) wasOfferedGaps() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gaps
}

// knows is whether the store has a cursor for the device.
func (s *fakeStore) knows(user, device string) bool {
	settled()
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.inbox(protocol.UserID(user)).devices[device]
	return ok
}

// tried is how many Commits there were.
func (s *fakeStore) tried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}
