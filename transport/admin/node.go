package admin

import (
	"context"
	"runtime/metrics"
	"time"

	"callboard/actors"
	"callboard/transport/admin/adminv1"
)

// GetTree implements adminv1.AdminServiceHandler.
func (s *Server) GetTree(ctx context.Context, _ *adminv1.GetTreeRequest) (*adminv1.GetTreeResponse, error) {
	tree, err := s.system.Describe(ctx)
	if err != nil {
		return nil, refused(err)
	}
	response := &adminv1.GetTreeResponse{
		Gateway: &adminv1.Gateway{Sessions: uint32(tree.Gateway.Sessions), Draining: tree.Gateway.Draining, Stuck: tree.Gateway.Stuck},
		Stuck:   uint32(tree.Stuck),
		Journal: &adminv1.Journal{
			Present: tree.Journal.Present, Queued: uint32(tree.Journal.Waiting), Trouble: trouble(tree.Journal.Trouble),
		},
		Scaling: scalingOf(tree.Scaling), AutoScale: tree.Scaling.Steering == actors.Auto, Intensity: intensityOf(tree.Intensity),
		StuckAfterMs: millis(tree.Limits.StuckAfter), MaxDeadletters: uint64(tree.Limits.MaxDeadletters), MaxDeadletterBytes: uint64(tree.Limits.MaxDeadletterBytes),
	}
	for _, level := range tree.Levels {
		response.Levels = append(response.Levels, levelOf(level))
	}
	for _, shard := range tree.Shards {
		response.Shards = append(response.Shards, &adminv1.Shard{
			Number: uint32(shard.Number), Users: uint32(shard.Users), Parked: uint32(shard.Parked),
			Failures: shard.Failures, Queued: uint32(shard.Waiting), Stuck: shard.Stuck, InMessageMs: millis(shard.InMessage),
		})
	}
	response.Deepest, response.Slowest, response.Sickest = notables(tree.Deepest), notables(tree.Slowest), notables(tree.Sickest)
	for _, a := range tree.Longest {
		response.Longest = append(response.Longest, &adminv1.StuckActor{Actor: a.Actor, Doing: a.Doing, SinceMs: a.Since.UnixMilli()})
	}
	return response, nil
}

func levelOf(l actors.Level) *adminv1.Level {
	level := &adminv1.Level{
		Name: l.Name, OnFailure: l.OnFailure, Why: l.Why, Actors: uint64(l.Actors), Failures: l.Failures,
		Queued: uint64(l.Queued), LongestMs: millis(l.Longest), Stuck: uint32(l.Stuck),
		Rest: l.Rest, RetryAfterMs: millis(l.RetryAfter), MaxRetryAfterMs: millis(l.MaxRetryAfter),
	}
	if l.Intensity != nil {
		level.Intensity = intensityOf(*l.Intensity)
	}
	if l.Sick != nil {
		level.Sick = &adminv1.Sick{Actor: l.Sick.Actor, Failures: uint64(l.Sick.Failures), UntilMs: l.Sick.Until.UnixMilli()}
	}
	return level
}

func notables(found []actors.Notable) (all []*adminv1.Notable) {
	for _, n := range found {
		all = append(all, &adminv1.Notable{
			User: userOf(n.UserSummary), Session: n.Session, Queued: uint32(n.Queued), InMessageMs: millis(n.InMessage),
		})
	}
	return all
}

// millis is a time that has passed, as the API has it.
func millis(d time.Duration) uint64 { return uint64(max(0, d.Milliseconds())) }

// GetStats implements adminv1.AdminServiceHandler.
func (s *Server) GetStats(ctx context.Context, _ *adminv1.GetStatsRequest) (*adminv1.GetStatsResponse, error) {
	tree, err := s.system.Describe(ctx)
	if err != nil {
		return nil, refused(err)
	}
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/sched/goroutines:goroutines"}}
	metrics.Read(samples) // which stops nobody
	totals := s.system.Totals()
	response := &adminv1.GetStatsResponse{
		Version: s.config.Version, StartedMs: s.begun.UnixMilli(), Sessions: uint64(tree.Gateway.Sessions),
		Opened: tree.Opened, Ended: tree.Ended, Failures: tree.Failures, Survived: tree.Survived, Unhandled: tree.Unhandled,
		Draining: tree.Gateway.Draining, Trouble: trouble(tree.Journal.Trouble),
		Poisoned: tree.Poisoned, DeadlettersLost: tree.DeadlettersLost,
		HeapBytes: samples[0].Value.Uint64(), Goroutines: samples[1].Value.Uint64(),
		Taken: totals.TakenBefore, Kept: totals.Kept, Repeated: totals.Repeated, Delivered: totals.Delivered, Stalled: uint32(max(0, totals.Stalled)),
		Refused: countsOf(totals.Refused), Closed: countsOf(totals.Closed), Limits: countsOf(totals.Limits),
	}
	for _, shard := range tree.Shards {
		response.Users += uint64(shard.Users)
		response.Parked += uint64(shard.Parked)
		response.Taken += shard.Taken
	}
	return response, nil
}

// trouble is the code of what the store refuses messages with.
func trouble(why *actors.Error) string {
	if why == nil {
		return ""
	}
	return string(why.Code)
}

// maxDrain bounds what a caller asks for; the setting may be longer.
const maxDrain = time.Hour

// Drain implements adminv1.AdminServiceHandler.
func (s *Server) Drain(ctx context.Context, request *adminv1.DrainRequest) (*adminv1.DrainResponse, error) {
	over := s.config.Drain()
	if request.OverMs != nil {
		if *request.OverMs > uint64(maxDrain.Milliseconds()) {
			return nil, invalid("over_ms", "longer than an hour", "give at most 3600000")
		}
		over = time.Duration(*request.OverMs) * time.Millisecond
	}
	over = max(over, time.Millisecond)
	sessions, err := s.system.StartDrain(ctx, over)
	if err != nil {
		return nil, refused(err)
	}
	return &adminv1.DrainResponse{Sessions: uint64(sessions), OverMs: millis(over)}, nil
}
