package actors

import (
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/inbox"
	"callboard/actors/mailbox"
	"callboard/protocol"
)

const (
	// maxBatchBytes is how much content one commit takes at most before it is made
	// though more waits: a longer one makes those that wait for it late, and gains
	// nothing any more (BenchmarkJournal).
	maxBatchBytes = 1 << 20

	// maxYields is how often the journal lets others on before it commits, as long as
	// they have something more for the batch.
	maxYields = 4

	// movesWait is how long cursors wait for a batch with messages to go along with.
	// maxMoves is how many may: with more they go alone.
	movesWait = 100 * time.Millisecond
	maxMoves  = 1024

	// maxCommitTime is how long a commit may take before the service is not ready.
	maxCommitTime = 5 * time.Second

	// probeEvery is how long the journal waits, after a commit has failed, before
	// it asks the store whether it works again.
	probeEvery = time.Second
)

// journal is the only one that commits to the store: all that has come while the
// last commit was under way goes into the next one, so many messages share one
// fsync. It answers the senders itself: a message that is kept is confirmed
// whatever has become of the receiver's actor.
//
// When a commit fails, nothing in it is confirmed, and the numbers that its users
// gave are void. Such a user is barred: what its actor had sent behind is refused
// too, until its shard puts up a fence, by which it has got a new actor that will
// read from the store where the inbox ends.
type journal struct {
	system  *System
	batch   inbox.Batch
	waiting []*commit // what batch is made of, oldest first
	fences  []*fence  // to be answered when that is done
	bytes   uint64
	yields  int
	timer   bool // a movesDue is on its way
	pressed bool // somebody waits for what is no message
	box     *mailbox.Mailbox
	barred  map[protocol.UserID]*actor.PID // the actor that waits to be replaced
	failure *Error                         // what commits are refused with; nil: they are taken
	probing bool                           // a probe is on its way; it is whenever there is a failure
	stamina stamina
	rested  time.Duration // when the last rest ends, as now has it
}

var _ mailbox.Owner = (*journal)(nil)

// Receive implements actor.Actor.
func (j *journal) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
	case *actor.Restarting:
		j.timer = false // movesDue may be what it failed on
		j.abandon(ErrInternal)
		j.answerFences() // the commit before one may be what it failed on
		j.rest()
	case *actor.Stopping:
		j.flush()
	case *actor.Stopped:
		close(j.system.journalDone)

	case *commit:
		j.accept(msg)
	case *fence:
		j.fence(msg)
	case *movesDue:
		j.system.fault("journal", msg)
		j.timer = false
		j.flush()
	case *probe:
		j.probing = false // before anything that can fail: rest has another one come
		j.system.fault("journal", msg)
		j.probe(ctx)

	default:
		j.system.unhandled(ctx)
	}
}

// rest has the journal, if it has failed too often with no commit in between, take nothing for a
// while, as if the store did not work. A failure over what comes meanwhile, a cursor or a fence, does not
// make the rest longer: it would never end.
func (j *journal) rest() {
	wait, now := probeEvery, j.system.now()
	if now < j.rested {
		j.probeIn(j.rested - now)
		return
	}
	if rest := j.system.tires("journal", j.system.journal.GetId(), &j.stamina); rest > 0 {
		j.rested = now + rest
		if j.failure == nil {
			j.close(ErrUnavailableStore, fmt.Errorf("the journal has failed %d times in a row and rests", j.stamina.failures))
			wait = rest
		}
	}
	if j.failure != nil { // the probe may be what it failed on
		j.probeIn(wait)
	}
}

// accept puts a user's entries into the batch.
func (j *journal) accept(msg *commit) {
	if _, barred := j.barred[msg.user]; barred || j.failure != nil && len(msg.entries) > 0 {
		j.refuse(msg, or(j.failure, ErrUnavailableStore))
		return
	}
	j.waiting = append(j.waiting, msg)
	j.system.fault("journal", msg) // from here on a failure is answered by abandon
	for _, k := range msg.entries {
		j.batch.Appends = append(j.batch.Appends, k.entry(msg.user))
		j.bytes += inbox.Size(&k.message)
	}
	j.batch.Moves = append(j.batch.Moves, msg.moves...)
	if len(msg.chores) > 0 {
		j.batch.Trims = trimsOf(j.batch.Trims, msg.user, msg.chores)
		j.pressed = true
	}
	if j.bytes >= maxBatchBytes {
		j.flush()
	}
}

// Drained implements mailbox.Owner: all that waited while the last commit was
// under way is in the batch. Others who are about to send more are let on first: an
// fsync for a few messages costs as much as one for many (BenchmarkJournal).
func (j *journal) Drained() {
	switch {
	case len(j.batch.Appends) == 0 && len(j.batch.Moves) < maxMoves && !j.pressed:
		j.waitForMore()
	case j.yields < maxYields:
		j.yields++
		runtime.Gosched()
		if j.box.UserMessageCount() == 0 {
			j.flush()
		}
	default:
		j.flush()
	}
}

// waitForMore has cursors that came alone wait for messages.
func (j *journal) waitForMore() {
	if len(j.waiting) > 0 && !j.timer {
		j.timer = true
		j.system.after(movesWait, j.system.journal, msgMovesDue)
	}
}

// flush commits the batch and answers for what was in it.
func (j *journal) flush() {
	j.yields, j.pressed = 0, false
	if len(j.waiting) == 0 {
		return
	}
	if j.failure != nil { // there are only moves; they are tried again
		j.abandon(j.failure)
		return
	}
	began := j.system.now()
	j.system.committing.Store(int64(max(began, 1)))
	err := j.system.config.Store.Commit(&j.batch)
	j.system.committing.Store(0)
	j.count(j.system.now()-began, err)
	if err != nil {
		j.failed(err)
		j.abandon(j.failure)
		return
	}
	j.stamina.failures = 0
	j.batch.Reset()
	j.bytes = 0
	for len(j.waiting) > 0 {
		msg := j.next()
		for _, k := range msg.entries {
			k.confirm(j.system)
		}
		j.system.root.Send(msg.by, &committed{msg})
		j.system.finish(msg.user, msg.chores, nil) // whoever looks now sees it
	}
	j.waiting = nil
}

// count notes what the commit of the batch was like.
func (j *journal) count(took time.Duration, err error) {
	c := j.system.counts
	c.commits.add(uint64(took), 1)
	if err != nil {
		c.failedCommits.Add(1)
		return
	}
	if n := len(j.batch.Appends); n > 0 {
		c.batches.add(uint64(n), 1)
		c.stripe(0).keep(n, j.bytes)
	}
}

// next takes the oldest commit out of those that wait: it is answered once,
// whatever happens after.
func (j *journal) next() *commit {
	msg := j.waiting[0]
	j.waiting[0] = nil
	j.waiting = j.waiting[1:]
	return msg
}

// abandon refuses all that waits.
func (j *journal) abandon(why *Error) {
	j.batch.Reset()
	j.bytes = 0
	for len(j.waiting) > 0 {
		j.refuse(j.next(), why)
	}
	j.waiting = nil
}

// refuse answers for what is not kept, and bars the user if it has numbers that
// are void now.
func (j *journal) refuse(msg *commit, why *Error) {
	if len(msg.entries) > 0 {
		j.barred[msg.user] = msg.by
	}
	j.system.refuseAll(msg.entries, why)
	j.system.finish(msg.user, msg.chores, why)
	j.system.root.Send(msg.by, &uncommitted{msg, why})
}

// fence is behind all that the user's last actor had sent: once it is answered, the
// store knows what of that is kept.
func (j *journal) fence(msg *fence) {
	j.fences = append(j.fences, msg)
	j.system.fault("journal", msg) // from here on the next life answers it
	j.flush()
	j.answerFences()
}

func (j *journal) answerFences() {
	for _, msg := range j.fences {
		delete(j.barred, msg.user)
		msg.by.PostPriorityMessage(&fenced{msg.user})
	}
	j.fences = nil
}

// failed notes that the store does not work, for those who ask whether the
// service is ready, and looks after it.
func (j *journal) failed(err error) {
	j.close(storageError(err), err)
	j.system.log.Error("commit failed: messages are refused until the store works again",
		slog.String("code", string(j.failure.Code)), slog.Any("error", err))
	j.probeIn(probeEvery)
}

// close has commits refused from here on.
func (j *journal) close(refusal *Error, cause error) {
	j.failure = refusal
	j.system.storage.Store(&storageFailure{refusal, cause})
	if j.system.watched() {
		j.system.publish(Event{Kind: StoreFailed, Shard: -1, Code: refusal.Code, Reason: cause.Error()})
	}
}

// probeIn has a probe come, unless one is on its way.
func (j *journal) probeIn(d time.Duration) {
	if !j.probing {
		j.probing = true
		j.system.after(d, j.system.journal, msgProbe)
	}
}

// probe asks the store whether it works again, when the journal itself has rested.
func (j *journal) probe(ctx actor.Context) {
	if rest := j.rested - j.system.now(); rest > 0 {
		j.probeIn(rest)
		return
	}
	if err := j.system.config.Store.Commit(&inbox.Batch{}); err != nil {
		j.probeIn(probeEvery)
		return
	}
	j.failure = nil
	j.system.storage.Store(nil)
	j.system.log.Info("the store works again")
	if j.system.watched() {
		j.system.publish(Event{Kind: StoreWorks, Shard: -1})
	}
	for _, by := range j.barred {
		ctx.Send(by, msgRetry)
	}
}

// keep is a message that has its place in an inbox and waits for its commit.
type keep struct {
	message protocol.Receive
	sum     uint64
	answer  *actor.PID // gets SENT or ERROR; nil if nobody waits
}

// entry is what the store gets of it.
func (k *keep) entry(user protocol.UserID) inbox.Append {
	return inbox.Append{User: user, Entry: inbox.Entry{Message: &k.message, Sum: k.sum}}
}

// confirm tells the sender that the message is kept.
func (k *keep) confirm(s *System) {
	if s.traced(k.message.Sender, k.message.Receiver, k.message.Traceparent) {
		s.hopOf(HopKept, &k.message, 0, "", "")
	}
	if k.answer != nil {
		s.answered(&k.message)
		s.root.Send(k.answer, sentFor(&k.message))
	}
}

// refuseAll tells the senders that their messages are not kept.
func (s *System) refuseAll(entries []*keep, why *Error) {
	for _, k := range entries {
		s.refusedKept(&k.message, why)
		if k.answer != nil {
			s.root.Send(k.answer, k.refusal(why))
		}
	}
}

func (k *keep) refusal(why *Error) *protocol.Error {
	return &protocol.Error{Id: k.message.Id, Code: string(why.Code), Reason: why.Reason}
}

// sentFor confirms a message that is in the inbox. Without an id nobody could tell
// which one is meant.
func sentFor(m *protocol.Receive) *protocol.Sent {
	if m.Id == "" {
		return msgSent
	}
	return &protocol.Sent{Id: m.Id, Seq: m.Seq, At: m.At}
}

// storageFailure is why the store does not take messages.
type storageFailure struct {
	refusal *Error // for clients
	cause   error  // for operators
}

// Ready returns nil, or why the service cannot do what it is for at the moment: what
// clients are told, which an *Error in it is, and the cause, which is for operators.
func (s *System) Ready() error {
	if s.draining.Load() {
		return ErrDraining
	}
	if failure := s.storage.Load(); failure != nil {
		return fmt.Errorf("%w (%w)", failure.refusal, failure.cause)
	}
	if s.journal == nil { // nobody looks after the store, and to ask takes no longer than a call
		if err := s.config.Store.Commit(&inbox.Batch{}); err != nil {
			return fmt.Errorf("%w (%w)", storageError(err), err)
		}
	}
	if began := time.Duration(s.committing.Load()); began != 0 && s.now()-began > maxCommitTime {
		return fmt.Errorf("%w (a commit has been under way for %s: the disk hangs)", ErrUnavailableStore, s.now()-began)
	}
	if why := s.stuckVitals(); why != nil {
		return why
	}
	if why := s.sickVitals(); why != nil {
		return why
	}
	return nil
}
