package admin

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"

	"callboard/actors"
	"callboard/transport/admin/adminv1"
	"callboard/transport/admin/healthv1"
)

// rule is who may make a call, and whether the audit log has it.
type rule struct {
	least   Role
	changes bool // or shows what an operator has to account for
}

// rules has every call there is: one that is not in it is refused.
var rules = map[string]rule{
	adminv1.AdminServiceSendProcedure:          {Operator, true},
	adminv1.AdminServiceListUsersProcedure:     {Viewer, false},
	adminv1.AdminServiceListSessionsProcedure:  {Viewer, false},
	adminv1.AdminServiceGetUserProcedure:       {Viewer, false},
	adminv1.AdminServiceCloseUserProcedure:     {Operator, true},
	adminv1.AdminServiceCloseSessionProcedure:  {Operator, true},
	adminv1.AdminServiceGetTreeProcedure:       {Viewer, false},
	adminv1.AdminServiceGetStatsProcedure:      {Viewer, false},
	adminv1.AdminServiceDrainProcedure:         {Admin, true},
	adminv1.AdminServiceBroadcastProcedure:     {Operator, true},
	adminv1.AdminServiceBlockUserProcedure:     {Operator, true},
	adminv1.AdminServiceUnblockUserProcedure:   {Operator, true},
	adminv1.AdminServiceListBlockedProcedure:   {Viewer, false},
	adminv1.AdminServiceForgetDeviceProcedure:  {Operator, true},
	adminv1.AdminServiceTrimInboxProcedure:     {Operator, true},
	adminv1.AdminServiceGetConfigProcedure:     {Operator, false},
	adminv1.AdminServiceWatchProcedure:         {Viewer, false},
	adminv1.AdminServiceTraceProcedure:         {Operator, true},
	adminv1.AdminServiceGetLoadProcedure:       {Viewer, false},
	adminv1.AdminServiceScaleTreeProcedure:     {Admin, true},
	adminv1.AdminServiceBackupInboxesProcedure: {Admin, true},

	metricsPath:                {Viewer, false},
	pprofPath + "allocs":       {Admin, true},
	pprofPath + "goroutine":    {Admin, true},
	pprofPath + "heap":         {Admin, true},
	pprofPath + "threadcreate": {Admin, true},
	pprofPath + "profile":      {Admin, true},
	pprofPath + "trace":        {Admin, true},
	recorderPath:               {Admin, true},

	adminv1.AdminServiceListDeadlettersProcedure: {Viewer, false},
	adminv1.AdminServiceGetDeadletterProcedure:   {Viewer, false},
	adminv1.AdminServiceReadDeadletterProcedure:  {Admin, true},
	adminv1.AdminServiceRetryDeadletterProcedure: {Operator, true},
	adminv1.AdminServiceDropDeadlettersProcedure: {Operator, true},

	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      {Viewer, false},
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": {Viewer, false},

	openAPIPath: {Viewer, false},
}

// streams are the calls that answer more than once, and take longer than others may.
var streams = map[string]bool{
	adminv1.AdminServiceBroadcastProcedure: true, adminv1.AdminServiceWatchProcedure: true, adminv1.AdminServiceTraceProcedure: true,
	adminv1.AdminServiceBackupInboxesProcedure: true,
}

// open are the calls that anybody may make.
var open = map[string]bool{healthv1.HealthCheckProcedure: true}

// callerKey is where the context of a call has its Token.
type callerKey struct{}

// caller is who makes the call.
func caller(ctx context.Context) Token {
	t, _ := ctx.Value(callerKey{}).(Token)
	return t
}

// guard lets a request in whose token has the role for its call. It judges by the header
// alone, before anything of the body is read.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := r.URL.Path
		if open[call] || call == metricsPath && s.config.OpenMetrics {
			next.ServeHTTP(w, r)
			return
		}
		rule, known := rules[call]
		if !known {
			s.turnAway(w, r, refusal(connect.CodeUnimplemented, codeNotFound, "there is no "+strconv.Quote(call), "see the calls of callboard.admin.v1 by reflection, or use the CLI"))
			return
		}
		token, err := s.signIn(r)
		if err != nil {
			s.turnAway(w, r, err)
			return
		}
		if token.Role < rule.least {
			s.config.Audit.Warn("admin call refused", slog.String("who", token.Name), slog.String("role", token.Role.String()),
				slog.String("call", call), slog.String("remote", r.RemoteAddr))
			s.turnAway(w, r, refusal(connect.CodePermissionDenied, codePermissionDenied,
				"the token "+token.Name+" is a "+token.Role.String()+"'s, and this takes "+rule.least.String(), "use a token with that role"))
			return
		}
		if streams[call] {
			w = s.lasting(w, call)
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, token)))
	})
}

// turnAway refuses a request that is not let in.
func (s *Server) turnAway(w http.ResponseWriter, r *http.Request, err error) {
	s.called(r.URL.Path, err)
	s.refuse(w, r, err)
}

// signIn finds who makes a request. A token that was generated is let in also while its address is refused:
// nobody guesses it, and who fails sign-ins there on purpose is not to keep its bearer out.
func (s *Server) signIn(r *http.Request) (Token, error) {
	now := time.Now()
	token, known := s.access.Load().bearer(r)
	if known && token.Generated {
		return token, nil
	}
	if wait := s.failures.wait(r.RemoteAddr, now); wait > 0 {
		const reason = "too many sign-ins from this address have failed"
		s.system.HitLimit(actors.LimitFailures, "", r.RemoteAddr, reason)
		err := refusal(connect.CodeResourceExhausted, actors.LimitFailures, reason, "wait a second, and give the token of this service")
		err.Meta().Set("Retry-After", "1")
		return Token{}, err
	}
	if known {
		return token, nil
	}
	s.failures.add(r.RemoteAddr, now)
	s.config.Log.Warn("admin sign-in failed", slog.String("call", r.URL.Path), slog.String("remote", r.RemoteAddr))
	err := refusal(connect.CodeUnauthenticated, codeUnauthenticated, "the request bears no token and no certificate that is known here",
		"send Authorization: Bearer and what the file admin-token in the service's data directory has")
	err.Meta().Set("WWW-Authenticate", `Bearer realm="callboard"`)
	return Token{}, err
}

// refuse answers in the protocol that the request speaks.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if !isPage(r.URL.Path) && s.errors.IsSupported(r) {
		_ = s.errors.Write(w, r, err) // the client may have gone; nobody is left to tell
		return
	}
	text := err.Error()
	if failed, ok := errors.AsType[*connect.Error](err); ok {
		maps.Copy(w.Header(), failed.Meta())
		text = failed.Message() + ": " + actionOf(failed)
	}
	if !isPage(r.URL.Path) {
		text += "\ncalls are POSTs, with Content-Type: application/json or one of gRPC's"
	}
	http.Error(w, text, plainStatus(err))
}
