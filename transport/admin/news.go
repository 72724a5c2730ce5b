package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// stream is one caller's Watch or Trace. What comes while the caller does not read waits in
// the feed, which is bounded and counts what it has no room for; what the network holds is
// bounded too.
type stream[News any] struct {
	server *Server
	next   func(context.Context) (news News, missed uint64, err error) // of the feed
	limit  time.Duration                                               // how long it may last; 0: no limit

	send      func(News) error
	missed    func(*adminv1.Missed) error
	heartbeat func(*adminv1.Heartbeat) error
	end       func(*adminv1.End) error
}

// errTimeIsUp is why a stream ends that has lasted as long as it may.
var errTimeIsUp = errors.New("time is up")

// run brings news to the caller until the service stops, the time is up or the caller has
// gone. In the first two cases the last thing that the caller is sent is an End.
func (s *stream[News]) run(ctx context.Context) error {
	news, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.server.over, func() { cancel(actors.ErrDraining) })()
	if s.limit > 0 {
		defer time.AfterFunc(s.limit, func() { cancel(errTimeIsUp) }).Stop()
	}
	for {
		err := s.beat()
		if err == nil {
			err = s.bring(news)
		}
		if err != nil {
			return s.over(ctx, news, err)
		}
	}
}

// bring sends what comes until the next heartbeat is due.
func (s *stream[News]) bring(ctx context.Context) error {
	due, cancel := context.WithTimeout(ctx, s.server.config.HeartbeatEvery)
	defer cancel()
	for {
		one, missed, err := s.next(due)
		switch {
		case err != nil && ctx.Err() == nil && due.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		if missed > 0 {
			err = s.missed(&adminv1.Missed{Count: missed})
		} else {
			err = s.send(one)
		}
		switch {
		case err != nil:
			return err
		case context.Cause(ctx) == errTimeIsUp: //nolint:errorlint // it is ours, and not wrapped; what waits is not brought any more
			return errTimeIsUp
		case due.Err() != nil && ctx.Err() == nil:
			return nil // busy streams have a heartbeat too
		}
	}
}

func (s *stream[News]) beat() error {
	return s.heartbeat(&adminv1.Heartbeat{EveryMs: uint32(s.server.config.HeartbeatEvery.Milliseconds())})
}

// over tells the caller why the stream ends, if there is somebody left to tell.
func (s *stream[News]) over(ctx, news context.Context, err error) error {
	switch cause := context.Cause(news); {
	case ctx.Err() != nil:
		return connect.NewError(connect.CodeCanceled, errors.New("the caller has gone"))
	case errors.Is(cause, errTimeIsUp):
		return s.end(&adminv1.End{Code: string(codeTimeIsUp), Reason: fmt.Sprintf("it has lasted %s, as long as it was to", s.limit)})
	case cause != nil, errors.Is(err, actors.ErrDraining):
		return s.end(&adminv1.End{Code: string(protocol.CodeDraining), Reason: "the service stops; call again when it is back"})
	}
	return err // of a send: the caller has gone, or has not read for too long
}
