package admin

import (
	"context"
	"fmt"
	"time"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// maxBlock is the longest block that ends by itself.
const maxBlock = 10 * 365 * 24 * time.Hour

// BlockUser implements adminv1.AdminServiceHandler.
func (s *Server) BlockUser(ctx context.Context, request *adminv1.BlockUserRequest) (*adminv1.BlockUserResponse, error) {
	user, err := parseUser("user", request.User)
	switch {
	case err != nil:
		return nil, err
	case len(request.Reason) > protocol.MaxReasonBytes:
		return nil, invalid("reason", "too long", fmt.Sprintf("give at most %d bytes", protocol.MaxReasonBytes))
	case request.ForMs > uint64(maxBlock.Milliseconds()):
		return nil, invalid("for_ms", "longer than ten years", "leave it out to block until the user is unblocked")
	}
	block := actors.Block{User: user, Reason: request.Reason, By: caller(ctx).Name, At: time.Now().UnixMilli()}
	if request.ForMs > 0 {
		block.Until = block.At + int64(request.ForMs)
	}
	sessions, err := s.system.Block(ctx, block)
	if err != nil {
		return nil, refused(err)
	}
	return &adminv1.BlockUserResponse{Block: blockOf(&block), Sessions: uint32(sessions)}, nil
}

// UnblockUser implements adminv1.AdminServiceHandler.
func (s *Server) UnblockUser(ctx context.Context, request *adminv1.UnblockUserRequest) (*adminv1.UnblockUserResponse, error) {
	user, err := parseUser("user", request.User)
	if err != nil {
		return nil, err
	}
	was, err := s.system.Unblock(ctx, user)
	if err != nil {
		return nil, refused(err)
	}
	return &adminv1.UnblockUserResponse{WasBlocked: was}, nil
}

// ListBlocked implements adminv1.AdminServiceHandler.
func (s *Server) ListBlocked(_ context.Context, request *adminv1.ListBlockedRequest) (*adminv1.ListBlockedResponse, error) {
	size, err := pageSize(request.PageSize)
	if err != nil {
		return nil, err
	}
	if len(request.PageToken) > protocol.MaxUserIDBytes {
		return nil, invalidToken()
	}
	blocks, more := s.system.ListBlocked(protocol.UserID(request.PageToken), size)
	response := &adminv1.ListBlockedResponse{}
	for _, b := range blocks {
		response.Blocks = append(response.Blocks, blockOf(b))
	}
	if more {
		response.NextPageToken = string(blocks[len(blocks)-1].User)
	}
	return response, nil
}

// blockOf is a block as the API has it; nil if there is none.
func blockOf(b *actors.Block) *adminv1.Block {
	if b == nil {
		return nil
	}
	return &adminv1.Block{User: string(b.User), Reason: b.Reason, By: b.By, AtMs: b.At, UntilMs: b.Until}
}
