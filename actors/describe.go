package actors

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/inbox"
	"callboard/actors/mailbox"
	"callboard/protocol"
)

// Tree is the supervision tree as it is, one level below the other. The parts
// are read one after another while the service runs, so sums may be off by what
// happened in between.
type Tree struct {
	Gateway GatewayInfo
	Stuck   int          // actors that have been in one message for longer than Config.StuckAfter
	Longest []StuckActor // some of them, those that have been for the longest
	Shards  []ShardInfo
	Journal JournalInfo

	Scaling   Scaling // the last change of the number of shards, or the one under way
	Intensity Intensity
	Levels    []Level // from the root down
	Limits    Limits

	// Users' actors and sessions that stand out, ten of each at most: those with the longest
	// queues, those that have been in their message the longest, and the users whose
	// actors were replaced the most often for they had failed.
	Deepest, Slowest, Sickest []Notable

	Opened, Ended   uint64 // sessions since the start
	Failures        uint64 // of users' actors since the start, each answered with a new one
	Survived        uint64 // panics in the registry, the gateway and the shards
	Poisoned        uint64 // messages that were set aside since the start
	DeadlettersLost uint64 // of those, such that went to make room
	Unhandled       uint64 // messages that no actor should have got
}

// GatewayInfo is the gateway's part of a Tree.
type GatewayInfo struct {
	Sessions int
	Draining bool
	Stuck    bool // it does not answer, and the rest is not known
}

// JournalInfo is the journal's part of a Tree.
type JournalInfo struct {
	Present bool   // there is none if the store needs none
	Waiting int    // messages in its mailbox
	Trouble *Error // what sends are refused with; nil when the store works
}

// ShardInfo is one shard's part of a Tree.
type ShardInfo struct {
	Number   int
	Users    int // with an actor, or parked
	Parked   int
	Failures uint64 // of its users' actors since the start
	Waiting  int    // messages in its mailbox
	Taken    uint64 // messages that came for its users, since the start
	Stuck    bool   // it does not answer: Users, Parked, Failures and Taken are not known

	InMessage time.Duration // how long it has been in the message at hand; 0: less than a tick

	known   []UserSummary
	sickest []Notable
}

// UserInfo is what there is to know of one user.
type UserInfo struct {
	User     protocol.UserID
	State    string // active or parked, or arriving from another shard; empty: the user has no actor
	Actor    string // the actor's name
	Sessions []uint64
	Waiting  int // messages in the actor's mailbox
	Failures int // lately

	// Of the inbox, if the user has an actor.
	Head    uint64 // the newest message in it
	Floor   uint64 // messages up to it are gone
	Devices []inbox.Device
	Broken  bool // the inbox could not be opened, and its numbers mean nothing

	Unacknowledged []int // messages on their way to each of Sessions
}

// Describe looks at the whole tree. The workers say who has something to do; then it asks each
// shard once, for itself and for the few of its users that stand out, and no user. Who is stuck
// is not asked.
func (s *System) Describe(ctx context.Context) (*Tree, error) {
	gateway := &GatewayInfo{Draining: s.draining.Load(), Stuck: s.isStuck(s.gateway.GetId())}
	tree := &Tree{
		Opened: s.counts.opened.Load(), Ended: s.counts.ended.Load(),
		Failures: s.counts.failures.Load(), Survived: s.counts.survived.Load(),
		Unhandled: s.counts.unhandled.Load(), Poisoned: s.counts.poisoned.Load(), DeadlettersLost: s.counts.deadlettersLost.Load(),
		Scaling: s.Scaling(), Intensity: s.Intensity(), Levels: newLevels(), Limits: *s.limits.Load(),
	}
	ranks, shards := s.describeWorking(tree)
	if !gateway.Stuck {
		var err error
		if gateway, err = ask[*GatewayInfo](ctx, s, s.gateway, &describeGateway{}); err != nil {
			return nil, err
		}
	}
	tree.Gateway = *gateway
	if now := s.stuckActors.Load(); now != nil {
		tree.Stuck, tree.Longest = now.count, slices.Clone(now.longest)
	}
	if err := s.describeShards(ctx, tree, ranks, shards); err != nil {
		return nil, err
	}
	tree.Deepest, tree.Slowest, tree.Sickest = ranks.deepest.top, ranks.slowest.top, ranks.sickest.top
	s.inMessages(tree.Sickest)
	if failure := s.storage.Load(); failure != nil {
		tree.Journal.Trouble = failure.refusal
	}
	if s.journalBox != nil {
		tree.Journal.Present, tree.Journal.Waiting = true, s.journalBox.UserMessageCount()
	}
	s.levels(tree)
	return tree, nil
}

// describeWorking is what the workers know: the levels, who stands out, and how long each
// shard has been in its message, by name.
func (s *System) describeWorking(tree *Tree) (ranks *rankings, shards map[string]time.Duration) {
	ranks, shards = newRankings(), make(map[string]time.Duration)
	now, limit := time.Now(), s.limits.Load().StuckAfter
	s.workers.Working(func(one mailbox.Working) {
		level := levelOf(one.Actor)
		for i := range tree.Levels {
			if tree.Levels[i].Name == level {
				tree.Levels[i].working(&one, now, limit)
			}
		}
		if level == "shard" {
			shards[one.Actor] = inMessage(&one, now)
			return
		}
		ranks.working(&one, now)
	})
	return ranks, shards
}

// describeShards asks the shards.
func (s *System) describeShards(ctx context.Context, tree *Tree, ranks *rankings, inMessage map[string]time.Duration) error {
	ring := s.ring.Load()
	named := make(map[*actor.PID][]protocol.UserID)
	for _, user := range ranks.users() {
		pid := ring.road(user).pid
		named[pid] = append(named[pid], user)
	}
	var known []UserSummary
	for number, road := range ring.all() {
		if name := road.pid.GetId(); s.isStuck(name) {
			tree.Shards = append(tree.Shards, ShardInfo{
				Number: number, Stuck: true, Waiting: road.box.UserMessageCount(), InMessage: inMessage[name],
			})
			continue
		}
		shard, err := askShard[*ShardInfo](ctx, s, road, &describeShard{below: true, users: named[road.pid]})
		switch {
		case errors.Is(err, errGivenUp):
			continue
		case err != nil:
			return err
		}
		known = append(known, shard.known...)
		for i := range shard.sickest {
			ranks.sickest.offer(&shard.sickest[i])
		}
		shard.known, shard.sickest = nil, nil
		shard.InMessage = inMessage[road.pid.GetId()]
		tree.Shards = append(tree.Shards, *shard)
	}
	ranks.summaries(known)
	return nil
}

// DescribeUser looks at one user. A user without an actor is described by an
// empty State.
func (s *System) DescribeUser(ctx context.Context, user protocol.UserID) (*UserInfo, error) {
	return askUser[*UserInfo](ctx, s, user, &describeUser{user})
}
