package pebble

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"callboard/actors/inbox"
	"callboard/protocol"
)

const (
	// retainStep and retainBytes are how many entries retention takes while commits wait, and
	// how many bytes of them: it reads each to find its id. One always goes.
	retainStep  = 1000
	retainBytes = 2 << 20

	// retainShare is how much more time retention rests than it works.
	retainShare = 9
)

// Retention says how long messages are kept, as Config's RetentionAge and RetentionEntries do.
type Retention struct {
	Age     time.Duration
	Entries int
}

// Retain sets another retention, and has a round begin with it: who gives less may be short of
// room. A round that runs takes it from the next user on. A value that is not positive is refused
// and changes nothing.
func (s *Store) Retain(r Retention) error {
	if r.Age <= 0 || r.Entries <= 0 {
		return fmt.Errorf("retention of %v and %d messages: give positive ones", r.Age, r.Entries)
	}
	s.retention.Store(&r)
	select {
	case s.again <- struct{}{}:
	default: // a round is to follow already, and reads what was set here
	}
	return nil
}

// taken is what a round of retention took.
type taken struct{ entries, devices uint64 }

// retain takes what is too old or too much, round after round, until the Store is closed.
// It takes hold of the commit lock for one step at a time.
func (s *Store) retain() {
	timer := time.NewTimer(s.config.RetentionInterval)
	defer timer.Stop()
	for {
		select {
		case <-s.quit:
			return
		case <-timer.C:
		case <-s.again:
		}
		took, err := s.retainRound()
		switch {
		case err != nil:
			s.config.Log.Warn("a round of retention ended early", slog.Any("error", err))
		case took != taken{}:
			s.config.Log.Info("retention took messages",
				slog.Uint64("entries", took.entries), slog.Uint64("devices", took.devices))
		}
		timer.Reset(s.config.RetentionInterval)
	}
}

// retainRound goes through all users once, resting now and then.
func (s *Store) retainRound() (taken, error) {
	var took taken
	limit := s.config.Now().Add(-s.retention.Load().Age).UnixMilli()
	for from := []byte{userSpace}; from != nil; {
		began := time.Now()
		users, next, err := s.page(from)
		if err != nil && next == nil {
			return took, fmt.Errorf("reading the inboxes: %w", err)
		}
		if err != nil { // the others are to be had all the same
			s.config.Log.Error("an inbox cannot be read; look at it with 'callboard inbox verify'", slog.Any("error", err))
		}
		for i := range users {
			if s.overdue(&users[i], limit) {
				s.retainUser(users[i].ID, limit, &took)
			}
		}
		from = next
		if from != nil && !s.rest(time.Since(began)) {
			return took, nil
		}
	}
	return took, nil
}

// rest waits in proportion to the work done. It reports whether the Store is still open.
func (s *Store) rest(worked time.Duration) bool { return s.pause(min(retainShare*worked, time.Second)) }

// pause waits. It reports whether the Store is still open.
func (s *Store) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.quit:
		return false
	case <-timer.C:
		return true
	}
}

// overdue reports whether there is anything of a user's to take.
func (s *Store) overdue(u *User, limit int64) bool {
	return u.Head > u.Floor && u.Oldest < limit || s.surplus(u) > u.Floor ||
		slices.ContainsFunc(u.Devices, func(d inbox.Device) bool { return gone(d, u.Floor, limit) })
}

// surplus is up to which number the entries are too many. Those that no device has are
// not among them: to refuse more of these is the service's decision, with inbox_full.
func (s *Store) surplus(u *User) uint64 {
	keep := uint64(s.retention.Load().Entries)
	if u.Head < keep {
		return 0
	}
	var had uint64
	for _, d := range u.Devices {
		had = max(had, d.Cursor)
	}
	return min(u.Head-keep, had)
}

// gone reports whether a device can be forgotten: it was not seen for as long as messages are kept,
// and nothing is left of what it has, so that it misses nothing and sees nothing twice should
// it come back as a new one.
func gone(d inbox.Device, floor uint64, limit int64) bool { return d.Seen < limit && d.Cursor <= floor }

// retainUser takes a user's surplus, step by step. What goes wrong is logged.
func (s *Store) retainUser(user protocol.UserID, limit int64, took *taken) {
	for more := true; more; {
		began := time.Now()
		more = false
		s.background(func() (err error) {
			more, err = s.retainSome(user, limit, took)
			return inUser(user, err)
		})
		if more && !s.rest(time.Since(began)) {
			return
		}
	}
}

// retainSome takes at most retainStep entries and retainBytes, and reports whether there are more to take. The
// caller holds commit, so that the inbox stays as it is read here.
func (s *Store) retainSome(user protocol.UserID, limit int64, took *taken) (more bool, err error) {
	iter, err := s.db.userIter(user)
	if err != nil {
		return false, err
	}
	u, err := readUser(iter)
	_ = iter.Close() // its error is readUser's
	if err != nil {
		return false, err
	}
	surplus := s.surplus(&u)
	upTo, before := u.Floor, u.Sum-u.Bytes // the number and the Sum of the last that is gone
	err = s.db.entries(user, u.Floor+1, func(seq uint64, value []byte) (bool, error) {
		h, err := parseEntryHeader(value)
		if err != nil || seq > surplus && h.at >= limit {
			return false, err
		}
		if seq-u.Floor > retainStep || h.sum-before > retainBytes && upTo > u.Floor {
			more = true
			return false, nil
		}
		upTo = seq
		return true, nil
	})
	if err != nil {
		return false, err
	}

	b := s.db.NewBatch()
	defer func() { _ = b.Close() }() // gives its memory back; it cannot fail
	count, err := s.putTrim(b, user, upTo, nil)
	if err != nil {
		return false, err
	}
	var devices uint64
	for _, d := range u.Devices {
		if gone(d, upTo, limit) {
			devices++
			if err := s.putMove(b, &inbox.Move{User: user, Device: d, Forget: true}); err != nil {
				return false, err
			}
		}
	}
	// Nobody waits for this to be on the disk: what a power loss takes back is taken again.
	if err := s.db.Apply(b, pebble.NoSync); err != nil {
		return false, err
	}
	s.unsynced = true
	took.entries += count
	took.devices += devices
	return more, nil
}

// inUser says whose inbox it was.
func inUser(user protocol.UserID, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("inbox of %s: %w", user, err)
}
