package admin

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// GetUser implements adminv1.AdminServiceHandler.
func (s *Server) GetUser(ctx context.Context, request *adminv1.GetUserRequest) (*adminv1.GetUserResponse, error) {
	user, err := parseUser("user", request.User)
	if err != nil {
		return nil, err
	}
	look, err := s.system.LookUser(ctx, user)
	if err != nil {
		return nil, refused(err)
	}
	block := blockOf(s.system.Blocked(user))
	if block == nil && look.State == "" && look.InboxErr == nil && look.Inbox.Head == 0 && len(look.Inbox.Devices) == 0 && len(look.Closes) == 0 {
		return nil, refusal(connect.CodeNotFound, codeNotFound, "nobody ever wrote to "+string(user)+", and it was not seen connected",
			"look at the spelling; ListUsers names those who are here")
	}
	response := &adminv1.GetUserResponse{User: userOf(look.UserSummary), Inbox: inboxOf(look), Queued: uint32(look.Queued), InMessageMs: millis(look.InMessage), Block: block}
	for _, one := range look.Sessions {
		response.Sessions = append(response.Sessions, sessionOf(one))
	}
	for _, end := range look.Closes {
		response.Closes = append(response.Closes, &adminv1.Closing{
			Session: end.Session, Device: end.Device, Remote: end.Remote,
			Code: uint32(end.Code), Reason: end.Reason, AtMs: end.At.UnixMilli(), ByClient: end.ByPeer,
		})
	}
	return response, nil
}

func inboxOf(look *actors.UserLook) *adminv1.Inbox {
	if look.InboxErr != nil {
		unknown := "its user's actor did not answer in time"
		if why, ok := errors.AsType[*actors.Error](look.InboxErr); ok {
			unknown = why.Reason
		}
		return &adminv1.Inbox{Unknown: unknown}
	}
	state := look.Inbox
	box := &adminv1.Inbox{Head: state.Head, Floor: state.Floor}
	for _, d := range state.Devices {
		at := max(d.Cursor, state.Floor)
		box.Devices = append(box.Devices, &adminv1.Device{
			Name: d.Name, Cursor: d.Cursor, Lag: max(at, state.Head) - at, SeenMs: d.Seen,
		})
	}
	return box
}

// CloseUser implements adminv1.AdminServiceHandler.
func (s *Server) CloseUser(ctx context.Context, request *adminv1.CloseUserRequest) (*adminv1.CloseUserResponse, error) {
	user, err := parseUser("user", request.User)
	if err != nil {
		return nil, err
	}
	code, reason, err := closeOf(request.Code, request.Reason)
	if err != nil {
		return nil, err
	}
	if request.Device == nil {
		n, err := s.system.CloseUser(ctx, user, code, reason)
		if err != nil {
			return nil, refused(err)
		}
		return &adminv1.CloseUserResponse{Sessions: uint32(n)}, nil
	}
	look, err := s.system.LookUser(ctx, user)
	if err != nil {
		return nil, refused(err)
	}
	response := &adminv1.CloseUserResponse{}
	for _, session := range look.Sessions {
		if session.Device != *request.Device {
			continue
		}
		closed, err := s.system.CloseSession(ctx, user, session.Number, code, reason)
		if err != nil {
			return nil, refused(err)
		}
		if closed {
			response.Sessions++
		}
	}
	return response, nil
}

// CloseSession implements adminv1.AdminServiceHandler.
func (s *Server) CloseSession(ctx context.Context, request *adminv1.CloseSessionRequest) (*adminv1.CloseSessionResponse, error) {
	code, reason, err := closeOf(request.Code, request.Reason)
	if err != nil {
		return nil, err
	}
	user, found, err := s.system.FindSession(ctx, request.Session)
	if err == nil && found {
		found, err = s.system.CloseSession(ctx, user, request.Session, code, reason)
	}
	if err != nil {
		return nil, refused(err)
	}
	if !found {
		return nil, refusal(connect.CodeNotFound, codeNotFound, fmt.Sprintf("there is no session %d that could be closed", request.Session),
			"it has ended, or is about to; ListSessions shows those there are")
	}
	return &adminv1.CloseSessionResponse{User: string(user)}, nil
}

// closeOf completes and checks what a close frame is to say.
func closeOf(number uint32, reason string) (protocol.CloseCode, string, error) {
	code := protocol.CloseByOperator
	if number != 0 {
		if number > 0xffff || !protocol.CloseCode(number).Valid() {
			return 0, "", invalid("code", "no peer may send this close code", "give 1000, 4003 or another of 3000 to 4999, or leave it out")
		}
		code = protocol.CloseCode(number)
	}
	if len(reason) > protocol.MaxReasonBytes {
		return 0, "", invalid("reason", "too long", fmt.Sprintf("give at most %d bytes", protocol.MaxReasonBytes))
	}
	if reason == "" {
		reason = string(code.Word())
	}
	return code, reason, nil
}
