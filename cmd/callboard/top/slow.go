package top

import (
	"cmp"
	"slices"

	"callboard/transport/admin/adminv1"
)

// slow is what the walk over all sessions has found of devices that have something
// outstanding. A session is looked at again when the walk comes by the next time, and is
// slow if it has acknowledged nothing since.
type slow struct {
	after    uint64 // where the walk goes on
	sessions map[uint64]*slowSession
}

type slowSession struct {
	*adminv1.Session
	slow  bool
	lag   uint64 // of the device in the inbox
	known bool   // lag is
	asked int    // looks since it was asked for
}

const (
	// maxOutstanding bounds the sessions that are kept, those that are worst off.
	maxOutstanding = 1000

	// manyUnacknowledged are slow, however fast they become others.
	manyUnacknowledged = 64
)

func (s *slow) reset() { *s = slow{sessions: make(map[uint64]*slowSession)} }

// take puts in what a part of the walk has found, in the place of what was known of it.
func (s *slow) take(w walked) {
	for number := range s.sessions {
		if number > w.after && (number <= w.upTo || w.end) {
			if !slices.ContainsFunc(w.sessions, func(one *adminv1.Session) bool { return one.Session == number }) {
				delete(s.sessions, number)
			}
		}
	}
	for _, one := range w.sessions {
		known := s.sessions[one.Session]
		switch {
		case !outstanding(one):
			delete(s.sessions, one.Session)
		case known != nil:
			known.slow = one.Written-uint64(one.Unacknowledged) == known.Written-uint64(known.Unacknowledged)
			known.Session = one
		default:
			s.sessions[one.Session] = &slowSession{Session: one}
		}
	}
	if s.after = w.upTo; w.end {
		s.after = 0
	}
	all := s.sorted()
	for _, one := range all[min(maxOutstanding, len(all)):] {
		delete(s.sessions, one.Session.Session)
	}
}

// outstanding is whether a session has something that its peer has not, or does not answer.
func outstanding(s *adminv1.Session) bool {
	return s.Stalled || s.Unacknowledged > 0 || s.WaitingBytes > 0 || s.State == "silent"
}

// isSlow is whether somebody should look at it.
func (s *slowSession) isSlow() bool {
	return s.slow || s.Stalled || s.State == "silent" || s.Unacknowledged >= manyUnacknowledged
}

// worst are those that are slow, the worst first.
func (s *slow) worst() []*slowSession {
	return slices.DeleteFunc(s.sorted(), func(one *slowSession) bool { return !one.isSlow() })
}

// sorted are all that have something outstanding, the worst first.
func (s *slow) sorted() []*slowSession {
	all := make([]*slowSession, 0, len(s.sessions))
	for _, one := range s.sessions {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *slowSession) int {
		return cmp.Or(cmp.Compare(b.lag, a.lag), cmp.Compare(b.Unacknowledged, a.Unacknowledged),
			cmp.Compare(b.WaitingBytes, a.WaitingBytes), cmp.Compare(a.Session.Session, b.Session.Session))
	})
	return all
}

// users are the few whose lag is to be asked for next: those who wait for it longest, the
// worst first.
func (s *slow) users(limit int) (users []string) {
	all := s.worst()
	slices.SortStableFunc(all, func(a, b *slowSession) int { return cmp.Compare(b.asked, a.asked) })
	for _, one := range all {
		if len(users) == limit {
			break
		}
		if !slices.Contains(users, one.User) {
			users = append(users, one.User)
		}
	}
	return users
}

// lags notes what was found out of those who were asked for.
func (s *slow) lags(found map[string]*adminv1.GetUserResponse) {
	for _, one := range s.sessions {
		one.asked++
		user := found[one.User]
		if user == nil {
			continue
		}
		one.asked = 0
		for _, d := range user.GetInbox().GetDevices() {
			if d.Name == one.Device {
				one.lag, one.known = d.Lag, true
			}
		}
	}
}
