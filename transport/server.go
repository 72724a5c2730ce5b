package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"callboard/actors"
	"callboard/protocol"
)

// Server serves users' connections: the WebSocket at /ws/{id}, and at
// /ws where tokens say who connects, /healthz and
// /readyz for whoever watches over it.
type Server struct {
	config Config
	system *actors.System
	http   *http.Server
	live   atomic.Pointer[live]

	ready        atomic.Bool
	connections  atomic.Int64 // WebSockets, from the upgrade to the end of their reader
	unidentified unidentified
	pending      *pending
	attempts     *attempts
	atDoor       *visit // of the connection that was accepted last; the accepting goroutine's
	started      time.Time

	upgraded atomic.Uint64 // these are for Metrics
	refused  map[protocol.ErrorCode]*atomic.Uint64
	traffic  *[trafficParts]traffic

	readers sync.WaitGroup
	drains  sync.WaitGroup
}

// New makes a server for the users of a system.
func New(system *actors.System, config Config) (*Server, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configuration of the server: %w", err)
	}
	s := &Server{
		config: config, system: system, pending: newPending(), attempts: newAttempts(), started: time.Now(),
		refused: newRefused(), traffic: new([trafficParts]traffic),
	}
	s.live.Store(newLive(config.live()))
	mux := http.NewServeMux()
	mux.HandleFunc("/ws/{id}", s.upgrade)
	if config.Identity != nil {
		mux.HandleFunc("/ws", s.upgrade)
	}
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("/", notFound)
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: config.HandshakeTimeout,
		ReadTimeout:       config.HandshakeTimeout,
		WriteTimeout:      2 * config.HandshakeTimeout,
		IdleTimeout:       config.IdleTimeout,
		MaxHeaderBytes:    protocol.MaxHeaderBytes,
		ConnContext:       s.visited,
		ConnState:         s.connState,
		ErrorLog:          slog.NewLogLogger(config.Log.Handler(), slog.LevelDebug), // what net/http says of broken clients
	}
	return s, nil
}

// Serve accepts connections until the context is done. Then it is not ready any
// more, stops accepting, closes the sessions evenly over the time given, and
// returns when all have gone or that time is over; Reload may have given another. It returns nil in both cases:
// the sockets that remain end with the process.
func (s *Server) Serve(ctx context.Context, listener net.Listener, drain time.Duration) error {
	listener = door{listener, s}
	if s.config.TLS != nil {
		listener = tls.NewListener(sealing{listener}, s.config.TLS)
	}
	s.ready.Store(true) // before the first can connect
	failed := make(chan error, 1)
	served := make(chan struct{})
	go func() { // ends with the Shutdown below
		defer close(served)
		failed <- s.http.Serve(listener)
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serving on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	s.ready.Store(false)
	if given := s.live.Load().Drain; given > 0 {
		drain = given
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = s.http.Shutdown(limit) // what it does not end in time, Close below does
	}()
	err := s.system.Drain(limit, drain*4/5) // the last fifth is for the last to answer
	s.closeRest()
	<-stopped
	<-served
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("closing the sessions: %w", err)
	}
	return nil
}

// restTimeout bounds closeRest.
const restTimeout = time.Second

// closeRest closes the connections that are left: those that say nothing. TLS waits some seconds for
// each that does not take its farewell; those end with the process.
func (s *Server) closeRest() {
	closed := make(chan struct{})
	go func() { // ends when all are closed, or with the process
		defer close(closed)
		_ = s.http.Close()
	}()
	select {
	case <-closed:
	case <-time.After(restTimeout):
	}
}

// now is the time since the start.
func (s *Server) now() time.Duration { return time.Since(s.started) }

// Wait returns when every goroutine of every connection has ended. Call it after
// Serve and after the system was stopped.
func (s *Server) Wait() {
	s.readers.Wait()
	s.drains.Wait()
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte("ok\n"))
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.ready.Load() {
		writeProblem(w, http.StatusServiceUnavailable, protocol.CodeDraining, "the service is starting or shutting down")
		return
	}
	if why, ok := errors.AsType[*actors.Error](s.system.Ready()); ok { // the cause is in the log
		writeProblem(w, http.StatusServiceUnavailable, why.Code, why.Reason)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	writeProblem(w, http.StatusNotFound, protocol.CodeNotFound, "there is /ws/{id} for WebSockets, /healthz and /readyz")
}
