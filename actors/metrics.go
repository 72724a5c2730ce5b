package actors

import (
	"callboard/actors/inbox"
	"callboard/protocol"
)

// Metrics are what has been counted since the start, and how much there is now. Each is
// read by itself while the service runs, so sums may be off by what happened in between.
type Metrics struct {
	Opened, Ended uint64 // sessions; the difference is there now
	Users         int64  // with an actor, or parked
	Parked        int64

	Stalled int64 // sessions whose network takes no more at the moment

	Watches, Traces          int
	MissedEvents, MissedHops uint64 // by those who read them too slowly

	Failures, Replaced, Parkings uint64 // of users' actors
	Survived, Unhandled          uint64 // as in Tree
	Poisoned, DeadlettersLost    uint64 // likewise
	Stuck                        uint64 // actors that were reported as stuck

	Kept, KeptBytes uint64 // messages that have been committed
	Repeated        uint64 // sends answered with the place that they had already
	Delivered       uint64 // messages written for sessions, a copy for each

	// By word. The words are those of a list, and "other".
	Refused map[protocol.ErrorCode]uint64 // sends
	Frames  map[protocol.ErrorCode]uint64 // frames that the readers refused
	Closes  map[protocol.ErrorCode]uint64 // sessions that ended, by the word of the close code
	Limits  map[protocol.ErrorCode]uint64 // how often a limit has acted

	// Times are in seconds. Confirms and Acks are samples, of one message in 64.
	Confirms Histogram // from a SEND's leaving its reader to its answer
	Acks     Histogram // from a message's being kept and sent on to its ACK, in version 1
	Commits  Histogram // time of a commit
	Batches  Histogram // messages of a commit

	FailedCommits uint64

	ShardQueue, FullestShard int // messages in the shards' mailboxes: all, and of the fullest
	Shards                   int
	JournalQueue             int

	Draining bool
	Ready    bool
}

// Metrics reads what has been counted. It asks no actor, so it answers whatever the
// actors are busy with, and costs them nothing.
func (s *System) Metrics() *Metrics {
	c := s.counts
	m := &Metrics{
		Ended: c.ended.Load(), Opened: c.opened.Load(), // in this order: no more have ended than were opened
		Users: c.users.Load(), Parked: c.parked.Load(),
		Failures: c.failures.Load(), Replaced: c.replaced.Load(), Parkings: c.parkings.Load(),
		Survived: c.survived.Load(), Unhandled: c.unhandled.Load(),
		Poisoned: c.poisoned.Load(), DeadlettersLost: c.deadlettersLost.Load(), Stuck: c.stuck.Load(), Repeated: c.repeated.Load(),
		Refused: c.refused.read(), Frames: c.frames.read(), Closes: c.closes.read(), Limits: c.limits.read(),
		Confirms: c.confirms.read(), Acks: c.acks.read(), Commits: c.commits.read(), Batches: c.batches.read(),
		FailedCommits: c.failedCommits.Load(),
		Stalled:       c.stalled.Load(),
		Watches:       s.watches.Load().number(), Traces: s.traces.Load().number(),
		MissedEvents: c.missedEvents.Load(), MissedHops: c.missedHops.Load(),
		Draining: s.draining.Load(), Ready: s.Ready() == nil,
	}
	m.Kept, m.KeptBytes, m.Delivered = c.total()
	for _, road := range s.ring.Load().all() {
		waiting := road.box.UserMessageCount()
		m.ShardQueue += waiting
		m.FullestShard = max(m.FullestShard, waiting)
		m.Shards++
	}
	if s.journalBox != nil {
		m.JournalQueue = s.journalBox.UserMessageCount()
	}
	return m
}

// StoreBytes is what the store takes, in memory or on the disk; false if it does not
// know. It may wait for the disk.
func (s *System) StoreBytes() (bytes uint64, known bool) {
	if sized, ok := s.config.Store.(inbox.Sized); ok {
		return sized.Bytes(), true
	}
	return 0, false
}
