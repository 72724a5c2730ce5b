package actors

import (
	"sync/atomic"

	"callboard/protocol"
)

// How things are counted. What happens for every message is counted in stripes, so that
// two cores seldom want the same cache line, and once for many messages where many are
// at hand. It costs no lock and no allocation; BenchmarkRelay shows what it does cost.

// stripes is the number of parts of what is counted for every message.
const stripes = 16

// stripe is one part. It fills two cache lines, for processors fetch them in pairs.
type stripe struct {
	kept      atomic.Uint64 // messages that have been committed
	keptBytes atomic.Uint64
	delivered atomic.Uint64 // messages written for sessions
	_         [128 - 3*8]byte
}

// counts are totals since the start. Actors add, anybody reads.
type counts struct {
	opened, ended atomic.Uint64 // sessions
	failures      atomic.Uint64 // of users' actors
	replaced      atomic.Uint64 // users' actors, for the store had failed
	parkings      atomic.Uint64 // of users
	survived      atomic.Uint64 // panics in actors that must not restart
	unhandled     atomic.Uint64 // messages that no actor should have got
	stuck         atomic.Uint64 // actors that were reported as stuck
	poisoned      atomic.Uint64 // messages that were set aside
	repeated      atomic.Uint64 // sends that had their place already
	takenBefore   atomic.Uint64 // messages that came for users of shards that have ended
	failedCommits atomic.Uint64

	deadlettersLost atomic.Uint64 // of the messages set aside, such that went to make room

	missedEvents atomic.Uint64 // by Watches that were read too slowly
	missedHops   atomic.Uint64 // by Traces

	users, parked atomic.Int64 // now
	stalled       atomic.Int64 // sessions whose network takes no more

	refused words // sends, by code
	frames  words // frames that never became a send, by code
	closes  words // sessions, by the word of their close code
	limits  words // by the limit that acted

	failed map[string]*atomic.Uint64 // failures of actors that are no users', by level; the map is never written

	confirms *histogram // from a SEND's leaving its reader to its answer; a sample
	acks     *histogram // from a message's delivery to its ACK; a sample
	commits  *histogram // time of a commit
	batches  *histogram // messages of a commit

	stripes [stripes]stripe
}

// Words besides the protocol's codes.
const (
	wordAbnormal protocol.ErrorCode = "abnormal" // the end of a connection without a close frame
	wordOther    protocol.ErrorCode = "other"    // what is not in the list
)

func newCounts() *counts {
	failed := make(map[string]*atomic.Uint64)
	for level := range supervision {
		failed[level] = new(atomic.Uint64)
	}
	return &counts{
		failed: failed,
		refused: newWords(protocol.CodeConflict, protocol.CodeInboxFull, protocol.CodeUnavailable,
			protocol.CodeStorageFull, protocol.CodeInternal, protocol.CodeDraining),
		frames: newWords(protocol.CodeInvalidMessage, protocol.CodeUnknownType, protocol.CodeInvalidUserID,
			protocol.CodeSenderMismatch, protocol.CodeTooLarge, protocol.CodeInvalidUTF8, protocol.CodeRateLimited),
		closes:   newWords(closeWords()...),
		limits:   newWords(limits...),
		confirms: newTimes(), acks: newTimes(), commits: newTimes(), batches: newSizes(),
	}
}

// closeWords are the words of the close codes, and of the reasons that a session is refused for.
func closeWords() []protocol.ErrorCode {
	words := []protocol.ErrorCode{wordAbnormal, protocol.CodeTooManySessions, protocol.CodeTooManyDevices}
	for _, row := range protocol.Codes() {
		if row.Close != 0 {
			words = append(words, row.Code)
		}
	}
	return words
}

// countRefusal counts a send that is refused, and the limit that refuses it.
func (s *System) countRefusal(receiver string, why *Error) {
	s.counts.refused.add(why.Code)
	switch why.Code {
	case protocol.CodeInboxFull:
		s.HitLimit(why.Code, protocol.UserID(receiver), "", why.Reason)
	case protocol.CodeStorageFull: // StoreFailed and StoreTrouble tell of it, once for many sends
		s.counts.limits.add(why.Code)
	}
}

// countEnd counts the end of a session: under the word of its close code, or under its
// reason where that is a word and the code stands for several.
func (s *session) countEnd() {
	s.flows()
	closes, word := s.link.system.counts.closes, s.code.Word()
	switch s.code {
	case closeAbnormal:
		word = wordAbnormal
	case protocol.CloseTryAgainLater:
		if reason := protocol.ErrorCode(s.reason); closes[reason] != nil {
			word = reason
		}
	}
	closes.add(word)
}

// countDelivered counts what was written since the last time, at once.
func (s *session) countDelivered() {
	if s.written > 0 {
		s.link.system.counts.stripe(s.number).delivered.Add(uint64(s.written))
		s.written = 0
	}
}

// keep counts messages that have been committed.
func (s *stripe) keep(messages int, bytes uint64) {
	s.kept.Add(uint64(messages))
	s.keptBytes.Add(bytes)
}

// total is what all stripes have.
func (c *counts) total() (kept, keptBytes, delivered uint64) {
	for i := range c.stripes {
		part := &c.stripes[i]
		kept += part.kept.Load()
		keptBytes += part.keptBytes.Load()
		delivered += part.delivered.Load()
	}
	return kept, keptBytes, delivered
}

// stripe is the part that something with this number counts in.
func (c *counts) stripe(number uint64) *stripe { return &c.stripes[number%stripes] }
