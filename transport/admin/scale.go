package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"callboard/actors"
	"callboard/transport/admin/adminv1"
)

// scalingEvery is the time between two words of how far a change of the number of
// shards is.
const scalingEvery = 100 * time.Millisecond

// ScaleTree implements adminv1.AdminServiceHandler.
func (s *Server) ScaleTree(ctx context.Context, request *adminv1.ScaleTreeRequest, to *connect.ServerStream[adminv1.ScaleTreeResponse]) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.CallTimeout)
	defer cancel()
	now, err := s.scale(ctx, request)
	if err != nil {
		return err
	}
	every := time.NewTicker(scalingEvery)
	defer every.Stop()
	for {
		if err := to.Send(&adminv1.ScaleTreeResponse{Scaling: scalingOf(now)}); err != nil {
			return err // the caller has gone; the shards go on
		}
		if now.Phase == actors.Settled {
			return nil
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil // who wants to know more asks again
		}
		now = s.system.Scaling()
	}
}

// scale begins a change, or leaves the number to the service.
func (s *Server) scale(ctx context.Context, request *adminv1.ScaleTreeRequest) (actors.Scaling, error) {
	why := "asked for by " + caller(ctx).Name
	var now actors.Scaling
	var err error
	switch {
	case request.Auto && request.Shards != 0:
		return now, invalid("auto", fmt.Sprintf("auto and %d shards are asked for", request.Shards), "give one of the two")
	case request.Auto:
		now, err = s.system.AutoScale(ctx, why)
	case request.Shards < 1 || request.Shards > actors.MaxShards:
		return now, invalid("shards", fmt.Sprintf("%d is no number of shards", request.Shards), fmt.Sprintf("give 1 to %d, or auto", actors.MaxShards))
	default:
		now, err = s.system.Scale(ctx, int(request.Shards), why)
	}
	switch {
	case errors.Is(err, actors.ErrScaling):
		return now, refusal(connect.CodeFailedPrecondition, codeScaling,
			fmt.Sprintf("a change from %d to %d shards is %s: %d of %d users have moved", now.From, now.To, now.Phase, now.Moved, now.ToMove),
			"wait until it is settled, which GetTree shows, and ask again")
	case err != nil:
		return now, refused(err)
	}
	return now, nil
}

func scalingOf(s actors.Scaling) *adminv1.Scaling {
	began := int64(0)
	if !s.Began.IsZero() {
		began = s.Began.UnixMilli()
	}
	return &adminv1.Scaling{
		From: uint32(s.From), To: uint32(s.To), Phase: string(s.Phase), Moved: uint64(s.Moved), ToMove: uint64(s.ToMove),
		BeganMs: began, TookMs: uint64(s.Took.Milliseconds()), Why: s.Why, Steering: string(s.Steering),
	}
}

func intensityOf(i actors.Intensity) *adminv1.Intensity {
	return &adminv1.Intensity{
		Failures: uint32(i.Failures), WindowMs: uint64(i.Window.Milliseconds()),
		ParkMs: uint64(i.Park.Milliseconds()), MaxParkMs: uint64(i.MaxPark.Milliseconds()),
	}
}
