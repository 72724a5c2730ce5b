package admin

import (
	"context"
	"fmt"
	"strconv"

	"callboard/actors"
	"callboard/transport/admin/adminv1"
)

// ListDeadletters implements adminv1.AdminServiceHandler.
func (s *Server) ListDeadletters(ctx context.Context, request *adminv1.ListDeadlettersRequest) (*adminv1.ListDeadlettersResponse, error) {
	size, err := pageSize(request.PageSize)
	if err != nil {
		return nil, err
	}
	after, err := pageAfter(request.PageToken)
	if err != nil {
		return nil, err
	}
	letters, more, all, err := s.system.ListDeadletters(ctx, after, size)
	if err != nil {
		return nil, refused(err)
	}
	response := &adminv1.ListDeadlettersResponse{Total: uint64(all.Messages), Bytes: uint64(all.Bytes)}
	for _, l := range letters {
		response.Deadletters = append(response.Deadletters, &adminv1.Deadletter{
			Number: l.Number, AtMs: l.At, Sender: string(l.Sender), Receiver: string(l.Receiver), Id: words(l.ID),
			Crashes: l.Crashes, Reason: words(l.Reason), Size: uint64(l.Size),
		})
	}
	if more {
		response.NextPageToken = strconv.FormatUint(letters[len(letters)-1].Number, 10)
	}
	return response, nil
}

// GetDeadletter implements adminv1.AdminServiceHandler.
func (s *Server) GetDeadletter(ctx context.Context, request *adminv1.GetDeadletterRequest) (*adminv1.GetDeadletterResponse, error) {
	letter, err := s.deadletter(ctx, request.Number)
	if err != nil {
		return nil, err
	}
	return &adminv1.GetDeadletterResponse{Deadletter: deadletterOf(letter), Stack: valid(letter.Stack)}, nil
}

// ReadDeadletter implements adminv1.AdminServiceHandler.
func (s *Server) ReadDeadletter(ctx context.Context, request *adminv1.ReadDeadletterRequest) (*adminv1.ReadDeadletterResponse, error) {
	letter, err := s.deadletter(ctx, request.Number)
	if err != nil {
		return nil, err
	}
	return &adminv1.ReadDeadletterResponse{Deadletter: deadletterOf(letter), Content: valid(letter.Content)}, nil
}

func (s *Server) deadletter(ctx context.Context, number uint64) (*actors.Deadletter, error) {
	if number == 0 {
		return nil, missingNumber()
	}
	letter, err := s.system.ReadDeadletter(ctx, number)
	if err != nil {
		return nil, refused(err)
	}
	return letter, nil
}

// RetryDeadletter implements adminv1.AdminServiceHandler.
func (s *Server) RetryDeadletter(ctx context.Context, request *adminv1.RetryDeadletterRequest) (*adminv1.RetryDeadletterResponse, error) {
	if request.Number == 0 {
		return nil, missingNumber()
	}
	sent, err := s.system.RetryDeadletter(ctx, request.Number)
	if err != nil {
		return nil, refused(err)
	}
	return &adminv1.RetryDeadletterResponse{Seq: sent.Seq}, nil
}

// DropDeadletters implements adminv1.AdminServiceHandler.
func (s *Server) DropDeadletters(ctx context.Context, request *adminv1.DropDeadlettersRequest) (*adminv1.DropDeadlettersResponse, error) {
	switch n := len(request.Numbers); {
	case n > actors.MaxPage:
		return nil, invalid("numbers", "too many", fmt.Sprintf("give at most %d, or all", actors.MaxPage))
	case (n == 0) != request.All:
		return nil, invalid("numbers, all", "give one of them", "name the messages by their numbers, or set all")
	}
	dropped, err := s.system.DropDeadletters(ctx, request.All, request.Numbers...)
	if err != nil {
		return nil, refused(err)
	}
	return &adminv1.DropDeadlettersResponse{Dropped: uint64(dropped)}, nil
}

func missingNumber() error {
	return invalid("number", "missing", "ListDeadletters has the numbers")
}

func deadletterOf(l *actors.Deadletter) *adminv1.Deadletter {
	return &adminv1.Deadletter{
		Number: l.Number, AtMs: l.At, Sender: string(l.Sender), Receiver: string(l.Receiver), Id: words(l.ID),
		Crashes: l.Crashes, Reason: words(l.Reason), Size: uint64(len(l.Content)),
	}
}
