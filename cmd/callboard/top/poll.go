package top

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"callboard/transport/admin/adminv1"
)

// What one look costs the service at most: a look at each shard, a page of users, some
// pages of sessions, and a few users.
const (
	userRows     = 200 // of the list of users
	sessionRows  = 500 // of a page of sessions
	sessionPages = 2   // for each look: 15,000 sessions are seen in 15 looks
	lagUsers     = 4   // slow ones whose lag is asked for
	busyUsers    = 100

	// patience is how long the calls of a look may take, all together.
	patience = 5 * time.Second

	// pauseNotAllowed is the time between two looks that are not allowed: failed sign-ins
	// are limited for the whole address.
	pauseNotAllowed = 5 * time.Second
)

type (
	// looked is what one look has found, or why it has not.
	looked struct {
		load  *adminv1.GetLoadResponse
		stats *adminv1.GetStatsResponse
		tree  *adminv1.GetTreeResponse
		users []*adminv1.User
		walk  walked
		lags  map[string]*adminv1.GetUserResponse // of the slow, by user
		open  opened
		err   error
	}
	// walked is a part of the walk over all sessions.
	walked struct {
		after, upTo uint64 // numbers
		end         bool   // there are none behind
		sessions    []*adminv1.Session
	}
	// due says that it is time for the next look.
	due struct{}
	// opened is the user that was just opened; nil if nobody knows it.
	opened struct {
		id   string
		user *adminv1.GetUserResponse
	}
	// acted is the answer to a closing.
	acted struct {
		done string
		err  error
	}
)

// question is what a look is to find out.
type question struct {
	prefix string   // of users
	after  uint64   // number of the session that the walk has come to
	slow   []string // users whose lag is wanted
	open   string   // the user that is open
}

// look asks the service. A look ends with the first call that fails.
func look(client adminv1.AdminServiceClient, q question) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		found := looked{lags: make(map[string]*adminv1.GetUserResponse)}
		if found.load, found.err = client.GetLoad(ctx, &adminv1.GetLoadRequest{Users: busyUsers}); found.err != nil {
			return found
		}
		if found.stats, found.err = client.GetStats(ctx, &adminv1.GetStatsRequest{}); found.err != nil {
			return found
		}
		if found.tree, found.err = client.GetTree(ctx, &adminv1.GetTreeRequest{}); found.err != nil {
			return found
		}
		page, err := client.ListUsers(ctx, &adminv1.ListUsersRequest{Prefix: q.prefix, PageSize: userRows})
		if found.err = err; err != nil {
			return found
		}
		found.users = page.Users
		if found.walk, found.err = walk(ctx, client, q.after); found.err != nil {
			return found
		}
		for _, user := range q.slow {
			if answer, err := client.GetUser(ctx, &adminv1.GetUserRequest{User: user}); err == nil {
				found.lags[user] = answer // and one that is not to be had is asked for again
			}
		}
		if q.open != "" {
			found.open.id = q.open
			found.open.user, _ = client.GetUser(ctx, &adminv1.GetUserRequest{User: q.open}) // nil: nobody knows it any more
		}
		return found
	}
}

// lookAt asks for one user, out of turn: somebody waits for it.
func lookAt(client adminv1.AdminServiceClient, id string) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		user, _ := client.GetUser(ctx, &adminv1.GetUserRequest{User: id}) // nil: the next look says why
		return opened{id, user}
	}
}

// walk goes on over the sessions, in the order of their numbers.
func walk(ctx context.Context, client adminv1.AdminServiceClient, after uint64) (walked, error) {
	w := walked{after: after, upTo: after}
	token := pageToken(after)
	for range sessionPages {
		page, err := client.ListSessions(ctx, &adminv1.ListSessionsRequest{PageSize: sessionRows, PageToken: token})
		if err != nil {
			return w, err
		}
		w.sessions = append(w.sessions, page.Sessions...)
		if n := len(page.Sessions); n > 0 {
			w.upTo = page.Sessions[n-1].Session
		}
		if token = page.NextPageToken; token == "" {
			w.end = true
			break
		}
	}
	return w, nil
}

// closeUser and closeSession end sessions.
func closeUser(client adminv1.AdminServiceClient, user string) tea.Cmd {
	return act("sessions of "+user+" closed", func(ctx context.Context) error {
		_, err := client.CloseUser(ctx, &adminv1.CloseUserRequest{User: user})
		return err
	})
}

func closeSession(client adminv1.AdminServiceClient, number uint64, user string) tea.Cmd {
	return act("session "+decimal(number)+" of "+user+" closed", func(ctx context.Context) error {
		_, err := client.CloseSession(ctx, &adminv1.CloseSessionRequest{Session: number})
		return err
	})
}

func act(done string, call func(context.Context) error) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return acted{done, call(ctx)}
	}
}

// dueIn waits for the next look.
func dueIn(d time.Duration) tea.Cmd {
	return tea.Tick(d, func(time.Time) tea.Msg { return due{} })
}
