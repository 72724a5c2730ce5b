package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	// readyTimeout is how long a service may take to be ready, with all that it has to
	// recover.
	readyTimeout = 30 * time.Second

	// stopTimeout is how long it may take to end in order.
	stopTimeout = 30 * time.Second

	// logTail is how much of its log is shown when it ends unasked, in bytes.
	logTail = 2 << 10
)

// A service is a process of the program under test, on a port of its own, that can be
// killed and started again on the same data. Only one goroutine uses it.
type service struct {
	program string
	args    []string
	address string
	folder  string // of the data and the log

	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone
}

// newService makes a folder; remove removes it.
func newService(program string, args ...string) (*service, error) {
	folder, err := os.MkdirTemp("", "callboard-bench-")
	if err != nil {
		return nil, err
	}
	return &service{program: program, args: args, folder: folder}, nil
}

func (s *service) url() string { return "ws://" + s.address }

func (s *service) pid() int { return s.cmd.Process.Pid }

// start starts the process. Ready waits until it serves.
func (s *service) start() error {
	if s.address == "" {
		address, err := freeAddress()
		if err != nil {
			return err
		}
		s.address = address
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	args := append([]string{"serve", "--listen", s.address, "--admin", "", "--data", filepath.Join(s.folder, "data"), "--log-level", "warn"}, s.args...)
	s.cmd = exec.Command(s.program, args...) //nolint:noctx // it is killed when this run wants to, and by nothing else
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("starting the service: %w", err)
	}
	s.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) { // ends with the process, which kill and stop wait for
		_ = cmd.Wait() // ProcessState has it
		close(ended)
	}(s.cmd, s.ended)
	return nil
}

func (s *service) log() string { return filepath.Join(s.folder, "log") }

// ready waits until the service serves.
func (s *service) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		if s.asks(ctx) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-s.ended:
			return s.unasked()
		case <-ctx.Done():
			return fmt.Errorf("the service is not ready after %s: %w; its log ends with: %s", readyTimeout, ctx.Err(), s.lastWords())
		}
	}
}

func (s *service) asks(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// unasked is the error for a service that has ended by itself.
func (s *service) unasked() error {
	return fmt.Errorf("the service ended unasked with %s; its log ends with: %s", s.cmd.ProcessState, s.lastWords())
}

// gone is whether the process has ended.
func (s *service) gone() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// kill ends the process as a power switch would.
func (s *service) kill() error {
	if s.gone() {
		return s.unasked()
	}
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	<-s.ended
	return nil
}

// stop ends the process in order.
func (s *service) stop() error {
	if s.gone() {
		return s.unasked()
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.ended:
	case <-time.After(stopTimeout):
		_ = s.cmd.Process.Kill() // it may have ended just now
		<-s.ended
		return fmt.Errorf("the service had not ended %s after SIGTERM", stopTimeout)
	}
	if !s.cmd.ProcessState.Success() {
		return s.unasked()
	}
	return nil
}

// end makes sure that no process is left over.
func (s *service) end() {
	if s.cmd == nil || s.ended == nil || s.gone() {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended just now
	<-s.ended
}

// remove removes all that the service has written.
func (s *service) remove() error { return os.RemoveAll(s.folder) }

// lastWords is the end of its log, on one line.
func (s *service) lastWords() string {
	written, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	written = written[max(0, len(written)-logTail):]
	return string(bytes.ReplaceAll(bytes.TrimSpace(written), []byte("\n"), []byte(" | ")))
}

// freeAddress is an address of the loopback that nobody listens on. It is not one of
// those that the system gives to connections: while the service is down, one of its
// clients could get it.
func freeAddress() (string, error) {
	const first, last = 10_000, 32_000
	for range 1000 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(last-first)))
		listener, err := net.Listen("tcp", address) //nolint:noctx // it takes no time
		if err == nil {
			return address, listener.Close()
		}
	}
	return "", errors.New("no port from 10000 to 32000 is free on 127.0.0.1")
}
