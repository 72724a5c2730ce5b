package admin

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"callboard/actors"
	"callboard/transport/admin/adminv1"
)

// How many of the busiest users are named.
const (
	defaultBusy = 20
	maxBusy     = 100
)

// GetLoad implements adminv1.AdminServiceHandler.
func (s *Server) GetLoad(ctx context.Context, request *adminv1.GetLoadRequest) (*adminv1.GetLoadResponse, error) {
	if request.Users > maxBusy {
		return nil, invalid("users", fmt.Sprintf("at most %d are named", maxBusy), "ask for fewer")
	}
	load, err := s.system.Load(ctx, int(cmp.Or(request.Users, defaultBusy)))
	if err != nil {
		return nil, refused(err)
	}
	response := &adminv1.GetLoadResponse{
		AtMs: time.Now().UnixMilli(), Taken: load.TakenBefore, Kept: load.Kept, Delivered: load.Delivered, Opened: load.Opened, Ended: load.Ended,
		Refused: countsOf(load.Refused), Closed: countsOf(load.Closed), Limits: countsOf(load.Limits), Stalled: uint32(max(0, load.Stalled)),
	}
	for _, shard := range load.Shards {
		response.Taken += shard.Taken
		response.Shards = append(response.Shards, &adminv1.ShardLoad{Number: uint32(shard.Number), Taken: shard.Taken})
	}
	for _, u := range load.Busiest {
		response.Busiest = append(response.Busiest, &adminv1.BusyUser{
			User: string(u.User), State: u.State, Shard: uint32(u.Shard), Sessions: uint32(u.Sessions),
			Messages: uint64(u.Messages), OverMs: uint64(u.Over.Milliseconds()),
		})
	}
	return response, nil
}

func countsOf(counts []actors.CodeCount) (all []*adminv1.CodeCount) {
	for _, c := range counts {
		all = append(all, &adminv1.CodeCount{Code: string(c.Code), Count: c.Count})
	}
	return all
}
