package admin

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"github.com/prometheus/client_golang/prometheus"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/admin/adminv1"
	"callboard/transport/admin/healthv1"
)

// Server serves the admin API of one system.
type Server struct {
	config   Config
	access   atomic.Pointer[Access]
	system   *actors.System
	http     *http.Server
	errors   *connect.ErrorWriter
	failures *failures
	begun    time.Time
	over     context.Context // done when the streams are to end
	end      context.CancelFunc
	farewell time.Duration // how long calls under way may take at the end

	connections atomic.Int64
	broadcasts  atomic.Int64

	// What /metrics shows besides the system's.
	calls     *prometheus.CounterVec
	storeSize storeSize

	profiling atomic.Bool // a profile or a trace is being taken
	recorder  recorder
}

var (
	_ adminv1.AdminServiceHandler = (*Server)(nil)
	_ healthv1.HealthHandler      = (*Server)(nil)
)

// New makes a server for the operators of a system.
func New(system *actors.System, config Config) (*Server, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configuration of the admin API: %w", err)
	}
	s := &Server{config: config, system: system, failures: newFailures(config.Failures), begun: time.Now(), farewell: stopTimeout}
	s.over, s.end = context.WithCancel(context.Background())
	s.access.Store(&Access{config.Tokens, config.Certificates})
	s.storeSize.ask = system.StoreBytes
	options := connect.WithHandlerOptions(
		connect.WithReadMaxBytes(config.MaxRequestBytes),
		connect.WithInterceptors(interceptor{s}), // around recovered, to audit that too
		connect.WithRecover(s.recovered),
	)
	s.errors = connect.NewErrorWriter(options)
	reflector := grpcreflect.NewStaticReflector(adminv1.AdminServiceName, healthv1.HealthName)
	mux := http.NewServeMux()
	mux.Handle(adminv1.NewAdminServiceHandler(s, options))
	mux.Handle(healthv1.NewHealthHandler(s, options))
	mux.HandleFunc("GET "+openAPIPath, openAPI)
	mux.Handle(grpcreflect.NewHandlerV1(reflector, options))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector, options)) // what most tools still ask

	metrics := s.newMetrics()
	mux.Handle(metricsPath, s.page(func(w http.ResponseWriter, r *http.Request) error {
		metrics.ServeHTTP(w, r)
		return nil
	}))
	s.handleProfiles(mux)
	mux.Handle(recorderPath, s.page(s.recording))

	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(config.TLS != nil)
	protocols.SetUnencryptedHTTP2(config.TLS == nil) // gRPC without TLS
	s.http = &http.Server{
		Handler:           s.guard(mux),
		Protocols:         &protocols,
		ReadHeaderTimeout: config.HeaderTimeout,
		ReadTimeout:       config.HeaderTimeout + config.CallTimeout,
		WriteTimeout:      config.HeaderTimeout + 2*config.CallTimeout,
		IdleTimeout:       config.IdleTimeout,
		MaxHeaderBytes:    protocol.MaxHeaderBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 64},
		ConnState:         s.connState,
		ErrorLog:          slog.NewLogLogger(config.Log.Handler(), slog.LevelDebug), // what net/http says of broken clients
	}
	return s, nil
}

// stopTimeout is a Server's farewell.
const stopTimeout = time.Second

// openAPIPath is where the API is described for tools.
const openAPIPath = "/openapi.json"

func openAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, adminv1.OpenAPI()) // the client may have gone
}

// Serve answers until the context is done, and returns when the last call has ended or
// was cut off.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	if s.config.TLS != nil {
		listener = tls.NewListener(listener, s.config.TLS)
	}
	failed := make(chan error, 1)
	served := make(chan struct{})
	go func() { // ends with the Shutdown below
		defer close(served)
		failed <- s.http.Serve(listener)
	}()
	select {
	case err := <-failed:
		s.end()
		return fmt.Errorf("serving the admin API on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	s.end() // the streams say so to their callers
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.farewell)
	defer cancel()
	_ = s.http.Shutdown(limit) // what it does not end in time, Close does
	_ = s.http.Close()
	s.recorder.stop()
	<-served
	return nil
}

// connState bounds the connections.
func (s *Server) connState(nc net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if s.connections.Add(1) > int64(s.config.MaxConnections) {
			s.system.HitLimit(actors.LimitAdminConnections, "", nc.RemoteAddr().String(), "the admin API has as many connections as it may")
			_ = nc.Close() // the counter goes down with StateClosed
		}
	case http.StateClosed, http.StateHijacked:
		s.connections.Add(-1)
	}
}

// Check implements gRPC's health check: whether the node is ready for users.
func (s *Server) Check(_ context.Context, request *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	status := healthv1.HealthCheckResponse_SERVING
	switch {
	case request.Service != "" && request.Service != adminv1.AdminServiceName:
		return nil, refusal(connect.CodeNotFound, codeNotFound, "there is no such service", "leave the service empty, for the node as a whole")
	case s.system.Ready() != nil:
		status = healthv1.HealthCheckResponse_NOT_SERVING
	}
	return &healthv1.HealthCheckResponse{Status: status}, nil
}
