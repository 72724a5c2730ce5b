package admin

import (
	"cmp"
	"context"
	"crypto/rand"

	"connectrpc.com/connect"

	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// Send implements adminv1.AdminServiceHandler.
func (s *Server) Send(ctx context.Context, request *adminv1.SendRequest) (*adminv1.SendResponse, error) {
	sent, err := s.system.Send(ctx, &protocol.Send{
		Receiver: request.Receiver, Content: request.Content,
		Sender: cmp.Or(request.Sender, string(protocol.System)),
		Id:     cmp.Or(request.Id, rand.Text()), // with an id it is answered with its place

		Traceparent: traceparentOf(ctx),
	})
	if err != nil {
		return nil, refused(err)
	}
	return &adminv1.SendResponse{Id: sent.Id, Seq: sent.Seq, AtMs: sent.At}, nil
}

// traceparentOf is what the header of that name says of a call, so that an operator's program that
// traces needs no more than it does for any other call. What is none counts as left out.
func traceparentOf(ctx context.Context) string {
	info, ok := connect.CallInfoForHandlerContext(ctx)
	if !ok {
		return ""
	}
	if given := info.RequestHeader().Values("traceparent"); len(given) == 1 && protocol.IsTraceparent(given[0]) {
		return given[0]
	}
	return ""
}
