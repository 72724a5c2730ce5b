package admin

import (
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"callboard/transport/admin/adminv1"
)

// interceptor bounds and audits calls of every kind.
type interceptor struct{ server *Server }

var _ connect.Interceptor = interceptor{}

// WrapUnary implements connect.Interceptor, as do the methods below.
func (i interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return i.server.around(next)
}

func (i interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler writes two lines into the audit log for a stream that changes something: one when it is
// asked for, so that it is seen while it goes on and if the process dies over it, and one when it ends. A stream
// bounds its time itself.
func (i interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		begun, w, call := time.Now(), &witness{StreamingHandlerConn: conn}, conn.Spec().Procedure
		if rules[call].changes {
			w.asked = func(request any) { i.server.audited(ctx, call, target(request), conn.Peer().Addr, "begun", 0) }
		}
		err := next(ctx, w)
		i.server.called(call, err)
		if rules[call].changes {
			i.server.audit(ctx, call, target(w.request), conn.Peer().Addr, err, time.Since(begun))
		}
		return err
	}
}

// witness remembers what was asked first, which for our streams is all.
type witness struct {
	connect.StreamingHandlerConn

	request any
	asked   func(request any) // called with it, if anybody wants to know
}

func (w *witness) Receive(request any) error {
	err := w.StreamingHandlerConn.Receive(request)
	if err == nil && w.request == nil {
		w.request = request
		if w.asked != nil {
			w.asked(request)
		}
	}
	return err
}

// lastingWriter lets a stream live longer than the server's timeouts: each answer has a
// time of its own to be written in. The one for reading is over with the request, which
// net/http sees to.
type lastingWriter struct {
	http.ResponseWriter

	control *http.ResponseController
	timeout time.Duration
}

func (s *Server) lasting(w http.ResponseWriter, call string) http.ResponseWriter {
	timeout := s.config.CallTimeout
	if call == adminv1.AdminServiceWatchProcedure || call == adminv1.AdminServiceTraceProcedure {
		timeout = s.config.StreamPatience
	}
	return &lastingWriter{ResponseWriter: w, control: http.NewResponseController(w), timeout: timeout}
}

// Unwrap is for http.ResponseController.
func (w *lastingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *lastingWriter) Write(b []byte) (int, error) {
	w.extend()
	return w.ResponseWriter.Write(b)
}

// Flush implements http.Flusher.
func (w *lastingWriter) Flush() {
	w.extend()
	_ = w.control.Flush() // the next Write fails too
}

func (w *lastingWriter) extend() {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.timeout))
}
