package admin

import (
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"time"

	"connectrpc.com/connect"
)

const (
	pprofPath = "/debug/pprof/"

	// The longest that a processor profile and a trace take, and what they take if
	// nothing is said.
	maxProfile, defaultProfile = time.Minute, 30 * time.Second
	maxTrace, defaultTrace     = 10 * time.Second, time.Second

	codeBusy = "busy"
)

// profiles are those that the runtime keeps anyway.
var profiles = []string{"allocs", "goroutine", "heap", "threadcreate"}

// handleProfiles serves profiles where go tool pprof expects them. net/http/pprof is not
// used: it would show the command line, and put itself into http.DefaultServeMux.
func (s *Server) handleProfiles(mux *http.ServeMux) {
	for _, name := range profiles {
		mux.Handle(pprofPath+name, s.page(func(w http.ResponseWriter, r *http.Request) error { return s.profile(w, r, name) }))
	}
	mux.Handle(pprofPath+"profile", s.page(func(w http.ResponseWriter, r *http.Request) error {
		return s.record(w, r, defaultProfile, maxProfile, func() error { return pprof.StartCPUProfile(w) }, pprof.StopCPUProfile)
	}))
	mux.Handle(pprofPath+"trace", s.page(func(w http.ResponseWriter, r *http.Request) error {
		return s.record(w, r, defaultTrace, maxTrace, func() error { return trace.Start(w) }, trace.Stop)
	}))
}

// profile writes one of those that are there; with debug=1 as text.
func (s *Server) profile(w http.ResponseWriter, r *http.Request, name string) error {
	if err := only(r, http.MethodGet); err != nil {
		return err
	}
	debug := 0
	switch r.URL.Query().Get("debug") {
	case "", "0":
		attach(w, name)
	case "1":
		debug = 1
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	default: // 2 would stop the service for as long as it takes to print every stack
		return invalid("debug", "not one that may be", "give 0 for a file, or 1 for text")
	}
	if !s.profiling.CompareAndSwap(false, true) {
		w.Header().Del("Content-Disposition")
		return busy()
	}
	defer s.profiling.Store(false)
	_ = pprof.Lookup(name).WriteTo(w, debug) // the client may have gone
	return nil
}

// record writes what happens from start to stop.
func (s *Server) record(w http.ResponseWriter, r *http.Request, usual, most time.Duration, start func() error, stop func()) error {
	if err := only(r, http.MethodGet); err != nil {
		return err
	}
	length, err := duration(r, "seconds", usual, most)
	if err != nil {
		return err
	}
	if !s.profiling.CompareAndSwap(false, true) {
		return busy()
	}
	defer s.profiling.Store(false)
	attach(w, "callboard")
	lasts(w, length+s.config.CallTimeout)
	if err := start(); err != nil {
		w.Header().Del("Content-Disposition")
		return refusal(connect.CodeAborted, codeBusy, "it could not be started: "+err.Error(), "try again in a minute")
	}
	select {
	case <-time.After(length):
	case <-r.Context().Done():
	}
	stop()
	return nil
}

// attach has the answer saved as a file.
func attach(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

func busy() error {
	return refusal(connect.CodeAborted, codeBusy, "another profile or trace is being taken", "wait for its end: a minute at most")
}
