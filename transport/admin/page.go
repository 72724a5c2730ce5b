package admin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
)

// Pages are what is no call of the API: metrics, profiles, the flight recorder. Rules,
// audit and counts are the calls' own.

// isPage is whether a path is one's, or would be.
func isPage(path string) bool {
	return path == metricsPath || path == openAPIPath || strings.HasPrefix(path, "/debug/")
}

// page has an answer written that fails as a call does. After it has begun to write,
// serve returns nil, whatever becomes of the rest.
func (s *Server) page(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun, call := time.Now(), r.URL.Path
		err := serve(w, r)
		s.called(call, err)
		if rules[call].changes {
			s.audit(r.Context(), call, r.Method+" "+strconv.Quote(clip(r.URL.RawQuery)), r.RemoteAddr, err, time.Since(begun))
		}
		if err != nil {
			s.refuse(w, r, err)
		}
	})
}

// called counts a call, by its result. A call that there is not counts as unknown.
func (s *Server) called(call string, err error) {
	if _, known := rules[call]; !known && !open[call] {
		call = "unknown"
	}
	result := "ok"
	if err != nil {
		result = connect.CodeOf(err).String()
	}
	s.calls.WithLabelValues(call, result).Inc()
}

// plainStatus is the status of HTTP for an error, where nobody speaks the API's protocols.
func plainStatus(err error) int {
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument:
		return http.StatusBadRequest
	case connect.CodeUnauthenticated:
		return http.StatusUnauthorized
	case connect.CodePermissionDenied:
		return http.StatusForbidden
	case connect.CodeFailedPrecondition, connect.CodeAborted:
		return http.StatusConflict
	case connect.CodeResourceExhausted:
		return http.StatusTooManyRequests
	case connect.CodeUnimplemented, connect.CodeNotFound:
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}

// only refuses a request with another method.
func only(r *http.Request, methods ...string) error {
	if slices.Contains(methods, r.Method) {
		return nil
	}
	return invalid("method", r.Method+" does nothing here", "use "+methods[0])
}

// duration reads a number of whole seconds from a request's query.
func duration(r *http.Request, name string, fallback, most time.Duration) (time.Duration, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || time.Duration(n) > most/time.Second {
		return 0, invalid(name, "no number of seconds that may be", "give 1 to "+strconv.Itoa(int(most/time.Second)))
	}
	return time.Duration(n) * time.Second, nil
}

// lasts lets an answer take longer than others may.
func lasts(w http.ResponseWriter, d time.Duration) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // or it would end the request's context
	_ = control.SetWriteDeadline(time.Now().Add(d))
}
