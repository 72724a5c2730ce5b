package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"connectrpc.com/connect"

	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// around bounds the time of each call, and writes a line into the audit log for each
// that changes something, whatever became of it.
func (s *Server) around(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		ctx, cancel := context.WithTimeout(ctx, s.config.CallTimeout)
		defer cancel()
		begun := time.Now()
		response, err := next(ctx, request)
		s.called(request.Spec().Procedure, err)
		if call := request.Spec().Procedure; rules[call].changes {
			s.audit(ctx, call, target(request.Any()), request.Peer().Addr, err, time.Since(begun))
		}
		return response, err
	}
}

func (s *Server) audit(ctx context.Context, call, target, remote string, err error, took time.Duration) {
	result := "ok"
	if err != nil {
		result = connect.CodeOf(err).String()
	}
	s.audited(ctx, call, target, remote, result, took)
}

func (s *Server) audited(ctx context.Context, call, target, remote, result string, took time.Duration) {
	who := caller(ctx)
	s.config.Audit.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "admin call",
		slog.String("who", who.Name), slog.String("role", who.Role.String()), slog.String("call", call),
		slog.String("target", target), slog.String("result", result), slog.Duration("took", took), slog.String("remote", remote))
}

// target is what a call acts on, without any content of messages.
func target(request any) string {
	switch m := request.(type) {
	case *adminv1.SendRequest:
		return fmt.Sprintf("receiver=%q sender=%q id=%q", clip(m.Receiver), clip(m.Sender), clip(m.Id))
	case *adminv1.CloseUserRequest:
		of := ""
		if m.Device != nil {
			of = fmt.Sprintf(" device=%q", clip(*m.Device))
		}
		return fmt.Sprintf("user=%q%s code=%d reason=%q", clip(m.User), of, m.Code, clip(m.Reason))
	case *adminv1.CloseSessionRequest:
		return fmt.Sprintf("session=%d code=%d reason=%q", m.Session, m.Code, clip(m.Reason))
	case *adminv1.BroadcastRequest:
		to := fmt.Sprintf("users=%d", len(m.Users))
		if m.AllConnected {
			to = "all_connected"
		}
		return fmt.Sprintf("%s sender=%q id=%q", to, clip(m.Sender), clip(m.Id))
	case *adminv1.BlockUserRequest:
		return fmt.Sprintf("user=%q for_ms=%d reason=%q", clip(m.User), m.ForMs, clip(m.Reason))
	case *adminv1.UnblockUserRequest:
		return fmt.Sprintf("user=%q", clip(m.User))
	case *adminv1.ForgetDeviceRequest:
		return fmt.Sprintf("user=%q device=%q force=%t", clip(m.User), clip(m.Device), m.Force)
	case *adminv1.TrimInboxRequest:
		return fmt.Sprintf("user=%q through=%d unseen=%t", clip(m.User), m.Through, m.Unseen)
	case *adminv1.BackupInboxesRequest:
		return fmt.Sprintf("name=%q", clip(m.Name))
	case *adminv1.ReadDeadletterRequest:
		return fmt.Sprintf("number=%d", m.Number)
	case *adminv1.RetryDeadletterRequest:
		return fmt.Sprintf("number=%d", m.Number)
	case *adminv1.DropDeadlettersRequest:
		if m.All {
			return "all"
		}
		return fmt.Sprintf("numbers=%d", m.Numbers[:min(len(m.Numbers), maxAudited)])
	case *adminv1.DrainRequest:
		return "node"
	case *adminv1.TraceRequest:
		return fmt.Sprintf("user=%q contents=%t", clip(m.User), m.Contents)
	case *adminv1.ScaleTreeRequest:
		if m.Auto {
			return "shards=auto"
		}
		return fmt.Sprintf("shards=%d", m.Shards)
	}
	return ""
}

// maxAudited bounds the numbers of one call that get into the log.
const maxAudited = 20

// clip bounds what of a refused request gets into the log.
func clip(s string) string { return s[:min(len(s), protocol.MaxReasonBytes)] }

// recovered answers a call whose handler has panicked.
func (s *Server) recovered(_ context.Context, spec connect.Spec, _ http.Header, reason any) error {
	s.config.Log.Error("admin call panicked", slog.String("call", spec.Procedure),
		slog.String("reason", fmt.Sprint(reason)), slog.String("stack", string(debug.Stack())))
	return refusal(connect.CodeInternal, protocol.CodeInternal, "the service made a mistake over this call", action(protocol.CodeInternal))
}
