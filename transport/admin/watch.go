package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// maxFilter bounds the kinds, and the codes, that a Watch is asked for.
const maxFilter = 64

// Watch implements adminv1.AdminServiceHandler.
func (s *Server) Watch(ctx context.Context, request *adminv1.WatchRequest, to *connect.ServerStream[adminv1.WatchResponse]) error {
	filter, err := filterOf(request)
	if err != nil {
		return err
	}
	watch, err := s.system.Watch(filter)
	if err != nil {
		return refused(err)
	}
	defer watch.Stop()
	run := stream[actors.Event]{
		server: s, next: watch.Next,
		send: func(e actors.Event) error {
			return to.Send(&adminv1.WatchResponse{News: &adminv1.WatchResponse_Event{Event: eventOf(&e)}})
		},
		missed: func(m *adminv1.Missed) error {
			return to.Send(&adminv1.WatchResponse{News: &adminv1.WatchResponse_Missed{Missed: m}})
		},
		heartbeat: func(h *adminv1.Heartbeat) error {
			return to.Send(&adminv1.WatchResponse{News: &adminv1.WatchResponse_Heartbeat{Heartbeat: h}})
		},
		end: func(e *adminv1.End) error {
			return to.Send(&adminv1.WatchResponse{News: &adminv1.WatchResponse_End{End: e}})
		},
	}
	return run.run(ctx)
}

func filterOf(request *adminv1.WatchRequest) (filter actors.EventFilter, err error) {
	if len(request.Kinds) > maxFilter || len(request.Codes) > maxFilter {
		return filter, invalid("kinds, codes", "too many", fmt.Sprintf("give at most %d of each", maxFilter))
	}
	if len(request.UserPrefix) > protocol.MaxUserIDBytes {
		return filter, invalid("user_prefix", "longer than an id", fmt.Sprintf("give at most %d bytes", protocol.MaxUserIDBytes))
	}
	var known []string
	for _, kind := range actors.EventKinds() {
		known = append(known, string(kind.Kind))
	}
	for _, kind := range request.Kinds {
		if !slices.Contains(known, kind) {
			return filter, invalid("kinds", fmt.Sprintf("there is no %q", clip(kind)), "give some of "+strings.Join(known, ", "))
		}
		filter.Kinds = append(filter.Kinds, actors.EventKind(kind))
	}
	filter.UserPrefix, filter.Codes = request.UserPrefix, request.Codes
	return filter, nil
}

func eventOf(e *actors.Event) *adminv1.Event {
	return &adminv1.Event{
		AtMs: e.At.UnixMilli(), Kind: string(e.Kind), User: string(e.User), Session: e.Session, Device: e.Device,
		Remote: e.Remote, Shard: shardOf(e.Shard), Code: string(e.Code), CloseCode: uint32(e.Close), Reason: words(e.Reason),
	}
}

// maxWords bounds a reason, in bytes: a panic may say anything.
const maxWords = 512

// words are a reason as a message may have it.
func words(reason string) string {
	return valid(reason[:min(len(reason), maxWords)])
}

// valid is a text as a message of the API may have it.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// shardOf is absent for a number below zero.
func shardOf(number int) *uint32 {
	if number < 0 {
		return nil
	}
	shard := uint32(number)
	return &shard
}
