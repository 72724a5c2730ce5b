package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// defaultPage is the size of a page that nobody gave one for.
const defaultPage = 100

func pageSize(asked uint32) (int, error) {
	if asked > actors.MaxPage {
		return 0, invalid("page_size", fmt.Sprintf("a page has at most %d", actors.MaxPage), "ask for fewer, and follow next_page_token")
	}
	return int(cmp.Or(asked, defaultPage)), nil
}

func invalidToken() error {
	return invalid("page_token", "this service never gave it", "begin again without one")
}

// pageAfter reads the token of lists that go by a number: the last one of the page before.
func pageAfter(token string) (uint64, error) {
	if token == "" {
		return 0, nil
	}
	after, err := strconv.ParseUint(token, 10, 64)
	if err != nil {
		return 0, invalidToken()
	}
	return after, nil
}

// ListUsers implements adminv1.AdminServiceHandler.
func (s *Server) ListUsers(ctx context.Context, request *adminv1.ListUsersRequest) (*adminv1.ListUsersResponse, error) {
	size, err := pageSize(request.PageSize)
	if err != nil {
		return nil, err
	}
	if len(request.Prefix) > protocol.MaxUserIDBytes {
		return nil, invalid("prefix", "longer than an id", fmt.Sprintf("give at most %d bytes", protocol.MaxUserIDBytes))
	}
	var from actors.UserPlace
	if request.PageToken != "" {
		shard, after, ok := strings.Cut(request.PageToken, "/")
		if from.Shard, err = strconv.Atoi(shard); err != nil || !ok || from.Shard < 0 || len(after) > protocol.MaxUserIDBytes {
			return nil, invalidToken()
		}
		from.After = protocol.UserID(after)
	}
	users, at, more, err := s.system.ListUsers(ctx, request.Prefix, from, size)
	if err != nil {
		return nil, refused(err)
	}
	response := &adminv1.ListUsersResponse{}
	for _, u := range users {
		response.Users = append(response.Users, userOf(u))
	}
	if more {
		response.NextPageToken = strconv.Itoa(at.Shard) + "/" + string(at.After)
	}
	return response, nil
}

// ListSessions implements adminv1.AdminServiceHandler.
func (s *Server) ListSessions(ctx context.Context, request *adminv1.ListSessionsRequest) (*adminv1.ListSessionsResponse, error) {
	size, err := pageSize(request.PageSize)
	if err != nil {
		return nil, err
	}
	after, err := pageAfter(request.PageToken)
	if err != nil {
		return nil, err
	}
	var sessions []actors.SessionInfo
	var more bool
	if request.User != "" {
		sessions, more, err = s.sessionsOf(ctx, request.User, after, size)
	} else if sessions, more, err = s.system.ListSessions(ctx, after, size); err != nil {
		err = refused(err)
	}
	if err != nil {
		return nil, err
	}
	response := &adminv1.ListSessionsResponse{}
	for _, one := range sessions {
		response.Sessions = append(response.Sessions, sessionOf(one))
	}
	if more {
		response.NextPageToken = strconv.FormatUint(sessions[len(sessions)-1].Number, 10)
	}
	return response, nil
}

// sessionsOf is a page of the sessions of one user, who has a few.
func (s *Server) sessionsOf(ctx context.Context, id string, after uint64, size int) (sessions []actors.SessionInfo, more bool, err error) {
	user, err := parseUser("user", id)
	if err != nil {
		return nil, false, err
	}
	look, err := s.system.LookUser(ctx, user)
	if err != nil {
		return nil, false, refused(err)
	}
	slices.SortFunc(look.Sessions, func(a, b actors.SessionInfo) int { return cmp.Compare(a.Number, b.Number) })
	for _, one := range look.Sessions {
		if one.Number > after {
			sessions = append(sessions, one)
		}
	}
	return sessions[:min(size, len(sessions))], len(sessions) > size, nil
}

func userOf(u actors.UserSummary) *adminv1.User {
	return &adminv1.User{
		User: string(u.User), State: u.State, Shard: uint32(u.Shard),
		Sessions: uint32(u.Sessions), Held: uint32(u.Held), Restarts: uint32(u.Restarts),
	}
}

func sessionOf(s actors.SessionInfo) *adminv1.Session {
	session := &adminv1.Session{
		Session: s.Number, User: string(s.User), Device: s.Device, Remote: s.Remote, Protocol: s.Protocol, State: s.State,
		InFlight: uint32(s.InFlight), WaitingBytes: uint64(s.WaitingBytes), Stalled: s.Stalled, Written: s.Written,
		Unacknowledged: uint32(s.Unacknowledged), Queued: uint32(s.Queued), InMessageMs: millis(s.InMessage),
	}
	if !s.Since.IsZero() {
		session.SinceMs = s.Since.UnixMilli()
	}
	return session
}
