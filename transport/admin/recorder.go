package admin

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime/trace"
	"sync"
	"time"

	"connectrpc.com/connect"
)

const (
	recorderPath = "/debug/flight-recorder"

	// recorderBytes bounds what the recorder keeps in memory, and recorderAge is how
	// far it goes back if that is room enough.
	recorderBytes = 16 << 20
	recorderAge   = 10 * time.Second

	// The longest that it records, and what it does if nothing is said.
	maxRecording, defaultRecording = time.Hour, 10 * time.Minute

	codeNotRecording = "not_recording"
)

// recorder is the flight recorder: what the runtime's execution trace has of the last
// seconds. It runs on demand, for it takes processor time, and for a
// bounded time, for it is easily forgotten.
type recorder struct {
	mu     sync.Mutex
	flight *trace.FlightRecorder // nil: it does not run
	end    *time.Timer
	until  time.Time
}

// recording answers GET with what was recorded; POST begins to record, or goes on for
// longer, and DELETE ends it.
func (s *Server) recording(w http.ResponseWriter, r *http.Request) error {
	if err := only(r, http.MethodGet, http.MethodPost, http.MethodDelete); err != nil {
		return err
	}
	switch r.Method {
	case http.MethodPost:
		length, err := duration(r, "seconds", defaultRecording, maxRecording)
		if err == nil {
			err = s.recorder.start(length)
		}
		if err == nil {
			_, _ = fmt.Fprintf(w, "recording for %s\n", length) // the client may have gone
		}
		return err
	case http.MethodDelete:
		s.recorder.stop()
		return nil
	}
	recorded, err := s.recorder.dump()
	if err != nil {
		return err
	}
	attach(w, "callboard.trace")
	_, _ = w.Write(recorded) // the client may have gone
	return nil
}

func (c *recorder) start(length time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight == nil {
		flight := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: recorderAge, MaxBytes: recorderBytes})
		if err := flight.Start(); err != nil {
			return refusal(connect.CodeAborted, codeBusy, "it could not be started: "+err.Error(), "try again in a moment")
		}
		c.flight = flight
		c.end = time.AfterFunc(length, c.expire)
	}
	c.until = time.Now().Add(length)
	c.end.Reset(length)
	return nil
}

// expire ends the recording when its time is over.
func (c *recorder) expire() {
	c.mu.Lock()
	over := !time.Now().Before(c.until)
	c.mu.Unlock()
	if over { // or else it was started again in this instant
		c.stop()
	}
}

func (c *recorder) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight != nil {
		c.end.Stop()
		c.flight.Stop()
		c.flight = nil
	}
}

// dump is what was recorded. It is written into memory first, so that a client that
// reads slowly holds nobody up.
func (c *recorder) dump() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight == nil {
		return nil, refusal(connect.CodeFailedPrecondition, codeNotRecording, "the flight recorder does not run",
			"start it with POST, wait for what you look for, and come again")
	}
	var recorded bytes.Buffer
	if _, err := c.flight.WriteTo(&recorded); err != nil {
		return nil, refusal(connect.CodeAborted, codeBusy, "it could not be written: "+err.Error(), "try again in a moment")
	}
	return recorded.Bytes(), nil
}
