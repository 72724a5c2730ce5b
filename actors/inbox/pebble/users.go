package pebble

import (
	"context"
	"errors"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// User is what the store knows of a user.
type User struct {
	ID protocol.UserID
	inbox.State

	Bytes  uint64 // what the entries that are there count together
	Oldest int64  // when the oldest of them was sent, milliseconds since 1970-01-01 UTC; 0 if there is none
}

// pageUsers is how many users are read at a time. In between repairs have their turn.
const pageUsers = 64

// Users goes through all users, shorter names first. It sees each page of them as it was at one
// moment. The error is the last thing that it yields.
func (s *Store) Users(ctx context.Context) iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		from := []byte{userSpace}
		for from != nil {
			err := ctx.Err()
			var users []User
			if err == nil {
				users, from, err = s.page(from)
			}
			for _, u := range users {
				if !yield(u, nil) {
					return
				}
			}
			if err != nil {
				yield(User{}, err)
				return
			}
		}
	}
}

// User returns what the store knows of one user; of one it does not know, the zero State.
func (s *Store) User(user protocol.UserID) (User, error) {
	u := User{ID: user}
	err := s.reading(user, func(db *database) error {
		iter, err := db.userIter(user)
		if err != nil {
			return err
		}
		u, err = readUser(iter)
		u.Epoch = db.epoch
		if err == nil {
			err = u.readOldest(iter)
		}
		return errors.Join(err, iter.Close())
	})
	u.ID = user
	return u, inUser(user, err)
}

// readOldest reads when the oldest entry was sent, with the iterator set to the user's keys.
func (u *User) readOldest(iter *pebble.Iterator) error {
	if u.Head == u.Floor || !iter.SeekGE(appendPrefix(nil, u.ID, entryKind)) {
		return iter.Error()
	}
	value, err := iter.ValueAndErr()
	if err != nil {
		return err
	}
	h, err := parseEntryHeader(value)
	u.Oldest = h.at
	return err
}

// page reads some users, and returns where to go on, or nil after the last.
func (s *Store) page(from []byte) (users []User, next []byte, err error) {
	s.open.RLock()
	defer s.open.RUnlock()
	if s.db == nil {
		return nil, nil, s.trouble
	}
	iter, err := s.db.NewIter(nil)
	if err != nil {
		return nil, nil, err
	}
	users, next, err = readPage(iter, from)
	return users, next, errors.Join(err, iter.Close())
}

// readPage goes on behind an inbox that it cannot read, and says so in broken.
func readPage(iter *pebble.Iterator, from []byte) (users []User, next []byte, broken error) {
	for range pageUsers {
		iter.SetBounds(from, []byte{lastSpace})
		if !iter.First() {
			return users, nil, errors.Join(broken, iter.Error())
		}
		id, _, err := userOf(iter.Key())
		if err != nil {
			return users, nil, errors.Join(broken, err)
		}
		from = appendPrefix(nil, id, endKind)
		iter.SetBounds(appendPrefix(nil, id, 0), appendPrefix(nil, id, lastKind))
		u, err := readUser(iter)
		if err == nil {
			err = u.readOldest(iter)
		}
		if err != nil {
			broken = errors.Join(broken, inUser(id, err))
			continue
		}
		users = append(users, u)
	}
	return users, from, broken
}
