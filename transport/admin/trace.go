package admin

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"callboard/actors"
	"callboard/transport/admin/adminv1"
)

// Trace implements adminv1.AdminServiceHandler.
func (s *Server) Trace(ctx context.Context, request *adminv1.TraceRequest, to *connect.ServerStream[adminv1.TraceResponse]) error {
	trace, limit, err := s.openTrace(ctx, request)
	if err != nil {
		return err
	}
	defer trace.Stop()
	run := stream[actors.Hop]{
		server: s, next: trace.Next, limit: limit,
		send: func(h actors.Hop) error {
			return to.Send(&adminv1.TraceResponse{News: &adminv1.TraceResponse_Hop{Hop: hopOf(&h, request.Contents)}})
		},
		missed: func(m *adminv1.Missed) error {
			return to.Send(&adminv1.TraceResponse{News: &adminv1.TraceResponse_Missed{Missed: m}})
		},
		heartbeat: func(h *adminv1.Heartbeat) error {
			return to.Send(&adminv1.TraceResponse{News: &adminv1.TraceResponse_Heartbeat{Heartbeat: h}})
		},
		end: func(e *adminv1.End) error {
			return to.Send(&adminv1.TraceResponse{News: &adminv1.TraceResponse_End{End: e}})
		},
	}
	return run.run(ctx)
}

// openTrace begins the trace that was asked for, if the caller may have it.
func (s *Server) openTrace(ctx context.Context, request *adminv1.TraceRequest) (*actors.Trace, time.Duration, error) {
	user, err := parseUser("request.user", request.User)
	if err != nil {
		return nil, 0, err
	}
	limit := s.config.MaxTrace
	if request.ForMs > uint64(limit.Milliseconds()) {
		return nil, 0, invalid("for_ms", "longer than "+limit.String(), fmt.Sprintf("give at most %d", limit.Milliseconds()))
	}
	if request.ForMs > 0 {
		limit = time.Duration(request.ForMs) * time.Millisecond
	}
	if who := caller(ctx); request.Contents && who.Role < Admin {
		return nil, 0, refusal(connect.CodePermissionDenied, codePermissionDenied,
			"the token "+who.Name+" is a "+who.Role.String()+"'s, and contents take "+Admin.String(), "leave contents out, or use a token with that role")
	}
	trace, err := s.system.Trace(user, request.Contents)
	if err != nil {
		return nil, 0, refused(err)
	}
	return trace, limit, nil
}

func hopOf(h *actors.Hop, contents bool) *adminv1.Hop {
	hop := &adminv1.Hop{
		AtUs: h.At.UnixMicro(), Kind: string(h.Kind), Sender: string(h.Sender), Receiver: string(h.Receiver), Id: h.ID, Seq: h.Seq,
		Session: h.Session, Device: h.Device, Shard: shardOf(h.Shard), Size: uint64(h.Size), Code: string(h.Code), Reason: words(h.Reason),
	}
	if contents && h.Content != "" {
		hop.Content = &h.Content
	}
	return hop
}
