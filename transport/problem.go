package transport

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"callboard/protocol"
)

// problem is the JSON body of a refused HTTP request: the code that programs
// test and the reason for people.
type problem struct {
	Code   protocol.ErrorCode `json:"code"`
	Reason string             `json:"reason"`
}

// writeProblem refuses a request.
func writeProblem(w http.ResponseWriter, status int, code protocol.ErrorCode, reason string) {
	body := problemBody(w.Header(), code, reason)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone; nobody is left to tell
}

// retryAfter tells a client when to come back, in whole seconds and never at once.
func retryAfter(h http.Header, wait time.Duration) {
	h.Set("Retry-After", strconv.Itoa(int(max(1, (wait+time.Second-1)/time.Second))))
}

// problemBody returns the body of a refusal and sets the header that says what it is.
func problemBody(h http.Header, code protocol.ErrorCode, reason string) []byte {
	body, err := json.Marshal(problem{code, reason})
	if err != nil { // two strings: cannot happen
		panic(err)
	}
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	return append(body, '\n')
}
