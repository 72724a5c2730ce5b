package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"callboard/protocol"
)

// ErrClosed is what a Client says after its own Close.
var ErrClosed = errors.New("the client is closed")

// A RefusedError says that the server answered the handshake with an HTTP error.
type RefusedError struct {
	Status int                // Of HTTP: 503.
	Code   protocol.ErrorCode // Empty if it was not Callboard that answered.
	Reason string             // In words, for people.

	// RetryAfter is how long the server asks to be left alone; 0 if it does not say.
	RetryAfter time.Duration
}

// Error is the code, or the status if there is none, and the reason.
func (e *RefusedError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("refused with HTTP status %d %s", e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("refused: %s: %s", e.Code, e.Reason)
}

// refused reads the answer to a handshake that failed. Gorilla has put the first
// KB of the body into it, and closed the connection.
func refused(answer *http.Response) *RefusedError {
	e := &RefusedError{Status: answer.StatusCode}
	if wait, err := time.ParseDuration(answer.Header.Get("Retry-After") + "s"); err == nil {
		e.RetryAfter = wait
	}
	var problem struct {
		Code   protocol.ErrorCode `json:"code"`
		Reason string             `json:"reason"`
	}
	if json.NewDecoder(answer.Body).Decode(&problem) == nil {
		e.Code, e.Reason = problem.Code, problem.Reason
	}
	return e
}

// A ClosedError says that the server closed the connection, with the closing
// handshake. Code.Reconnect says whether to come back.
type ClosedError struct {
	Code   protocol.CloseCode
	Reason string // Most often Code.Word, or what was wrong in words.

	// RetryAfter is how long the server asks to be left alone; 0 if it does not say. A Conn leaves
	// it to its caller: it is the Retry of the last ERROR without an id.
	RetryAfter time.Duration
}

// Error is the code, its word, and the reason if it says more.
func (e *ClosedError) Error() string {
	if e.Reason == "" || e.Reason == string(e.Code.Word()) {
		return "closed by the server: " + e.Code.String()
	}
	return "closed by the server: " + e.Code.String() + ": " + e.Reason
}

// ended is why a connection ended on which reading failed with err.
func ended(err error) error {
	var closed *websocket.CloseError
	switch {
	case !errors.As(err, &closed):
		return fmt.Errorf("reading: %w", err)
	case closed.Code == websocket.CloseAbnormalClosure: // gorilla's word for an end without a close frame
		return fmt.Errorf("the connection was cut: %w", io.ErrUnexpectedEOF)
	}
	return &ClosedError{Code: protocol.CloseCode(closed.Code), Reason: closed.Text}
}
