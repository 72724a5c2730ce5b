package actors

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/btree"

	"callboard/protocol"
)

// Lists are read a page at a time, from an order that the gateway and each shard keep
// beside their maps: a page costs what is on it, however many there are, and no actor
// does more than a page in one step. What comes and goes between two pages may be
// missing; what stays is listed once. Who moves to another shard meanwhile counts as one
// who goes and comes.

// MaxPage is the most that one page has.
const MaxPage = 500

// listDegree is that of the ordered indexes: wide nodes, as they are read in runs.
const listDegree = 32

func newSessionOrder() *btree.BTreeG[*session] {
	return btree.NewG(listDegree, func(a, b *session) bool { return a.number < b.number })
}

func newUserOrder() *btree.BTreeG[*entry] {
	return btree.NewG(listDegree, func(a, b *entry) bool { return a.id < b.id })
}

type (
	// listSessions, to the gateway, asks for a sessionPage: those with a number above
	// after, or just the one with that number.
	listSessions struct {
		after uint64
		limit int
	}
	// sessionPage answers listSessions.
	sessionPage struct {
		sessions []SessionInfo // with what never changes of a session
		pids     []*actor.PID
		more     bool
	}
	// listUsers, to a shard, asks for a userPage: those behind after whose ids begin
	// with prefix.
	listUsers struct {
		prefix, after protocol.UserID
		limit         int
	}
	// userPage answers listUsers.
	userPage struct {
		users []UserSummary
		more  bool
	}
)

// UserSummary is what a user's shard knows.
type UserSummary struct {
	User     protocol.UserID
	State    string // active, leaving, recovering, fencing, parked, departing or arriving; empty: the user has no actor
	Shard    int
	Sessions int
	Held     int // messages for the next actor
	Restarts int // of the actor, since the user became active
}

// UserPlace is a place in the list of users. The zero place is before the first.
type UserPlace struct {
	Shard int
	After protocol.UserID // of that shard
}

// ListUsers returns up to limit users with an actor, 1 to MaxPage, who come after a
// place, by shard and then by id; only those whose ids begin with the prefix. It
// returns the place of the last and whether there may be more.
func (s *System) ListUsers(ctx context.Context, prefix string, from UserPlace, limit int) (users []UserSummary, at UserPlace, more bool, err error) {
	limit = min(max(limit, 1), MaxPage)
	shards := s.ring.Load().all()
	for at = from; at.Shard >= 0 && at.Shard < len(shards); at = (UserPlace{Shard: at.Shard + 1}) {
		page, err := askShard[*userPage](ctx, s, shards[at.Shard], &listUsers{protocol.UserID(prefix), at.After, limit - len(users)})
		switch {
		case errors.Is(err, errGivenUp):
			continue
		case err != nil:
			return nil, at, false, err
		}
		if users = append(users, page.users...); len(users) == limit {
			at.After = users[len(users)-1].User
			return users, at, page.more || at.Shard+1 < len(shards), nil
		}
	}
	return users, at, false, nil
}

// ListSessions returns up to limit sessions, 1 to MaxPage, whose numbers are above
// after, in their order, and whether there are more. Each is asked how it is; one that
// does not say within lookPatience is listed as silent.
func (s *System) ListSessions(ctx context.Context, after uint64, limit int) (sessions []SessionInfo, more bool, err error) {
	page, err := ask[*sessionPage](ctx, s, s.gateway, &listSessions{after, min(max(limit, 1), MaxPage)})
	if err != nil {
		return nil, false, err
	}
	return s.askSessions(ctx, page.sessions, page.pids), page.more, nil
}

// FindSession returns whose session it is; false if there is none of that number.
func (s *System) FindSession(ctx context.Context, number uint64) (protocol.UserID, bool, error) {
	if number == 0 {
		return "", false, nil
	}
	page, err := ask[*sessionPage](ctx, s, s.gateway, &listSessions{number - 1, 1})
	if err != nil || len(page.sessions) == 0 || page.sessions[0].Number != number {
		return "", false, err
	}
	return page.sessions[0].User, true, nil
}

// page answers listSessions.
func (g *gateway) page(msg *listSessions) *sessionPage {
	page := &sessionPage{}
	if msg.after+1 == 0 {
		return page
	}
	g.order.AscendGreaterOrEqual(&session{number: msg.after + 1}, func(s *session) bool {
		if page.more = len(page.sessions) == msg.limit; page.more {
			return false
		}
		page.sessions = append(page.sessions, SessionInfo{Number: s.number, User: s.link.user, State: silent})
		page.pids = append(page.pids, g.beats.of(s))
		return true
	})
	return page
}

// page answers listUsers.
func (s *shard) page(msg *listUsers) *userPage {
	page := &userPage{}
	s.order.AscendGreaterOrEqual(&entry{id: max(msg.prefix, msg.after)}, func(e *entry) bool {
		switch {
		case e.id == msg.after:
			return true
		case !strings.HasPrefix(string(e.id), string(msg.prefix)):
			return false
		}
		if page.more = len(page.users) == msg.limit; !page.more {
			page.users = append(page.users, s.summary(e))
		}
		return !page.more
	})
	return page
}

func (s *shard) summary(e *entry) UserSummary {
	return UserSummary{
		User: e.id, State: e.state.String(), Shard: s.number,
		Sessions: len(e.sessions), Held: len(e.held.all()), Restarts: int(e.restarts),
	}
}

// lookPatience is how long a look waits for those that it asks. They answer within
// milliseconds, but for one that has just ended.
const lookPatience = 250 * time.Millisecond

// askSessions fills in what only the sessions know.
func (s *System) askSessions(ctx context.Context, sessions []SessionInfo, pids []*actor.PID) []SessionInfo {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	at := make(map[uint64]int, len(sessions))
	for i := range sessions {
		at[sessions[i].Number] = i
	}
	q := make(question, len(pids))
	sender, _ := s.actors.ProcessRegistry.Add(q, s.actors.ProcessRegistry.NextId())
	defer s.actors.ProcessRegistry.Remove(sender)
	for _, pid := range pids {
		s.root.Send(pid, &actor.MessageEnvelope{Message: msgDescribeSession, Sender: sender})
	}
	for range pids {
		select {
		case got := <-q: // or the word that the session is no more
			if info, ok := got.(*SessionInfo); ok {
				if i, asked := at[info.Number]; asked {
					sessions[i] = *info
				}
			}
		case <-ctx.Done():
			return sessions
		}
	}
	return sessions
}
