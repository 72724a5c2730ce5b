package admin

import (
	"context"

	"connectrpc.com/connect"

	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// ForgetDevice implements adminv1.AdminServiceHandler.
func (s *Server) ForgetDevice(ctx context.Context, request *adminv1.ForgetDeviceRequest) (*adminv1.ForgetDeviceResponse, error) {
	user, err := parseUser("user", request.User)
	if err != nil {
		return nil, err
	}
	device, err := protocol.ParseDevice(request.Device)
	if err != nil {
		return nil, refusal(connect.CodeInvalidArgument, codeInvalidArgument, err.Error(), "GetUser shows the devices there are")
	}
	done, err := s.system.ForgetDevice(ctx, user, device, request.Force)
	if err != nil {
		return nil, refused(err)
	}
	return &adminv1.ForgetDeviceResponse{Cursor: done.Cursor, Sessions: uint32(done.Sessions)}, nil
}

// TrimInbox implements adminv1.AdminServiceHandler.
func (s *Server) TrimInbox(ctx context.Context, request *adminv1.TrimInboxRequest) (*adminv1.TrimInboxResponse, error) {
	user, err := parseUser("user", request.User)
	if err != nil {
		return nil, err
	}
	if request.Through == 0 {
		return nil, invalid("through", "messages are numbered from 1", "give the number of the last message to go; GetUser shows floor and head")
	}
	done, err := s.system.TrimInbox(ctx, user, request.Through, request.Unseen)
	if err != nil {
		return nil, refused(err)
	}
	response := &adminv1.TrimInboxResponse{Removed: done.Removed, Floor: done.Floor, SeenByNobody: done.Nobody}
	for _, u := range done.Unseen {
		response.Unseen = append(response.Unseen, &adminv1.Unseen{Device: u.Device, Messages: u.Messages})
	}
	return response, nil
}
