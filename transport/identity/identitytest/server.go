package identitytest

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// Server is an issuer's address of keys.
type Server struct {
	*httptest.Server
	Asked atomic.Int64 // how often

	mu  sync.Mutex
	set []byte // nil: it does not work
}

// Serve answers with a set, and with 502 while that is nil.
func Serve(tb testing.TB, set []byte) *Server {
	tb.Helper()
	s := &Server{set: set}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.Asked.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.set == nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write(s.set) // whoever asked may have gone
	}))
	tb.Cleanup(s.Close)
	return s
}

// Put has it answer with another set.
func (s *Server) Put(set []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set = set
}
