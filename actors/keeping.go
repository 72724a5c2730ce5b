package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// How a message gets its place in a user's inbox: send numbers it, Drained hands
// over what was numbered meanwhile, committed delivers it. The journal confirms.
//
// A number is void when its commit fails. Then the actor has itself replaced by one
// that reads from the store where the inbox ends, which is the one recovery path.

// retryEvery is how long a user waits before it asks a store that has failed again.
const retryEvery = time.Second

// sendKey is what makes a send the repetition of another.
type sendKey struct{ sender, id string }

// maxFresh is how many messages a user numbers before it hands them over though
// more are waiting for a number.
const maxFresh = 256

// send gives a message the next number, unless it has one or may have none.
func (u *user) send(ctx actor.Context, msg *protocol.Send) {
	if u.broken != nil {
		u.decline(ctx, msg, u.refusing())
		return
	}
	if len(u.fresh) >= maxFresh {
		u.handOver()
	}
	if msg.Id != "" && u.repeated(ctx, msg) {
		return
	}
	if u.fate != nil {
		u.decline(ctx, msg, u.refusing())
		return
	}
	if why := u.cannotKeep(msg); why != nil {
		u.decline(ctx, msg, why)
		return
	}
	u.last++
	k := &keep{answer: ctx.Sender()}
	m := &k.message
	m.Seq, m.Id, m.Sender, m.Receiver, m.Content, m.At = u.last, msg.Id, msg.Sender, msg.Receiver, msg.Content, u.clock()
	m.Traceparent = msg.Traceparent
	size := inbox.Size(m)
	u.sum += size
	u.unseen += size
	k.sum = u.sum
	u.fresh = append(u.fresh, k)
	if u.system.traced(m.Sender, m.Receiver, m.Traceparent) {
		u.system.hopOf(HopNumbered, m, 0, "", "")
	}
	if msg.Id != "" {
		if u.pending == nil {
			u.pending = make(map[sendKey]*keep)
		}
		u.pending[sendKey{msg.Sender, msg.Id}] = k
	}
}

// decline refuses a send.
func (u *user) decline(ctx actor.Context, msg *protocol.Send, why *Error) {
	u.system.refusedSend(msg, why)
	answer(ctx, refusal(msg, why))
}

// refusing is what senders are told while nobody knows where the inbox ends.
func (u *user) refusing() *Error {
	if failure := u.system.storage.Load(); failure != nil {
		return failure.refusal
	}
	return or(u.fate, ErrUnavailableStore)
}

// clock is the time for messages; one look serves all until the mailbox has drained.
func (u *user) clock() int64 {
	if u.time == 0 {
		u.time = now()
	}
	return u.time
}

// cannotKeep is why the inbox takes no message now, or nil.
func (u *user) cannotKeep(msg *protocol.Send) *Error {
	if failure := u.system.storage.Load(); failure != nil {
		return failure.refusal
	}
	limits := u.system.limits.Load()
	entries, bytes := uint64(limits.MaxInboxEntries), uint64(limits.MaxInboxBytes)
	size := uint64(len(msg.Content))
	if u.unseen+size <= bytes && (u.last-u.floor < entries || u.last-u.seen() < entries) {
		return nil
	}
	u.lookAgain()
	switch {
	case u.last-u.seen() >= entries:
		return &Error{protocol.CodeInboxFull, fmt.Sprintf(
			"receiver: %d messages wait for user %s, which is as many as may; no device of the user has fetched them", entries, u.id)}
	case u.unseen+size > bytes:
		return &Error{protocol.CodeInboxFull, fmt.Sprintf(
			"receiver: %d bytes wait for user %s, and %d may; no device of the user has fetched them", u.unseen, u.id, bytes)}
	}
	return nil
}

// seen is the number up to which some device has everything, or it is gone.
func (u *user) seen() uint64 { return max(u.fetched(), u.floor) }

// lookEvery is how often a full inbox is looked at in the store, to see whether retention has
// worked meanwhile: its senders may ask much more often.
const lookEvery = 100 * time.Millisecond

// fullness is what lookAgain has found.
type fullness struct {
	lookedAt time.Duration // as System.now has it
	fetched  uint64
}

// lookAgain looks, if it may say something new: because a device has fetched more, or after a
// while.
func (u *user) lookAgain() {
	fetched, now := u.fetched(), u.system.now()
	if last := u.fullness; last == nil || fetched != last.fetched || now-last.lookedAt >= lookEvery {
		u.look()
		u.fullness = &fullness{now, fetched}
	}
}

// look finds out what of the inbox is gone, and how many bytes no device has. If the
// store does not say, what was known is left as it is.
func (u *user) look() {
	u.lookForFloor()
	seen := u.seen()
	if seen >= u.head {
		u.unseen = u.sum - u.keptSum
		return
	}
	if next, err := u.system.config.Store.Read(u.id, seen, 1, 1); err == nil && len(next) > 0 {
		u.unseen = u.sum - next[0].Sum + inbox.Size(next[0].Message)
	}
}

// lookForFloor finds out what retention has taken.
func (u *user) lookForFloor() {
	next, err := u.system.config.Store.Read(u.id, u.floor, 1, 1)
	switch {
	case err != nil:
		return
	case len(next) > 0:
		u.floor = next[0].Message.Seq - 1
	default:
		u.floor = max(u.floor, u.head)
	}
	if u.system.skipped.Load() != nil {
		u.system.passed(u.id, u.floor)
	}
}

// repeated answers a send that has a place already, or that claims the id of
// another.
func (u *user) repeated(ctx actor.Context, msg *protocol.Send) bool {
	k := u.pending[sendKey{msg.Sender, msg.Id}]
	if k != nil {
		if k.message.Content != msg.Content {
			u.decline(ctx, msg, ErrConflict)
		} else if to := ctx.Sender(); to != nil {
			if u.repeats == nil {
				u.repeats = make(map[sendKey][]*actor.PID)
			}
			u.repeats[sendKey{msg.Sender, msg.Id}] = append(u.repeats[sendKey{msg.Sender, msg.Id}], to)
			u.system.repeatedSend(&k.message, msg)
		}
		return true
	}
	m, err := u.system.config.Store.Find(u.id, msg.Sender, msg.Id)
	switch {
	case err != nil, m != nil && m.Seq > u.head: // it may be there or not: nobody can say
		u.decline(ctx, msg, u.refusing())
	case m == nil:
		return false
	case m.Content != msg.Content:
		u.decline(ctx, msg, ErrConflict)
	default:
		u.system.repeatedSend(m, msg)
		u.system.answeredAgain(m)
		answer(ctx, sentFor(m))
	}
	return true
}

// handOver passes on what was numbered and what has moved. Moves alone wait for
// the answer to the last: a device that acknowledges much costs a commit at a time.
func (u *user) handOver() {
	if len(u.fresh) > 0 || !u.chores.none() || u.commits == 0 && !u.putOff && u.dirty() {
		u.handOverAll()
	}
}

func (u *user) handOverAll() {
	if u.system.journal == nil {
		u.commitHere()
		return
	}
	msg := &commit{user: u.id, by: u.self, entries: u.fresh, moves: u.moves(), chores: u.chores.take()}
	u.fresh = nil
	u.commits++
	u.root().Send(u.system.journal, msg)
}

// commitHere commits to a store that takes no time.
func (u *user) commitHere() {
	if u.batch == nil {
		u.batch = new(inbox.Batch)
	}
	u.batch.Moves = u.moves()
	for _, k := range u.fresh {
		u.batch.Appends = append(u.batch.Appends, k.entry(u.id))
	}
	u.batch.Trims = trimsOf(u.batch.Trims, u.id, u.chores.all())
	err := u.system.config.Store.Commit(u.batch)
	entries, chores := u.fresh, u.chores.take()
	u.fresh = nil // a failure below must not answer them again
	if err != nil {
		u.system.storeTrouble("messages not kept", u.id, err)
		why := storageError(err)
		u.system.refuseAll(entries, why)
		u.system.finish(u.id, chores, why)
		u.void(entries, u.batch.Moves, why)
		return
	}
	u.batch.Reset()
	if cap(u.batch.Appends) == 0 { // one who is never written to keeps none
		u.batch = nil
	}
	if n := len(entries); n > 0 { // before the senders are told, who may look
		u.system.counts.stripe(uint64(u.lane)).keep(n, entries[n-1].sum-u.keptSum)
	}
	for _, k := range entries {
		k.confirm(u.system)
	}
	u.kept(entries)
	u.chored(chores)
	u.system.finish(u.id, chores, nil)
	if cap(entries) <= maxFresh {
		clear(entries)
		u.fresh = entries[:0]
	}
}

// committed: the messages are kept and have been confirmed; now they are delivered.
func (u *user) committed(msg *committed) {
	u.commits--
	u.kept(msg.commit.entries)
	u.chored(msg.commit.chores)
}

// kept delivers messages that have been committed.
func (u *user) kept(entries []*keep) {
	if len(entries) == 0 {
		return
	}
	newest := entries[len(entries)-1]
	u.head, u.keptSum = newest.message.Seq, newest.sum
	if u.pending != nil {
		u.settlePending(entries)
	}
	u.deliver(entries)
}

// settlePending forgets the ids of what is kept: the store knows them now.
func (u *user) settlePending(entries []*keep) {
	for _, k := range entries {
		key := sendKey{k.message.Sender, k.message.Id}
		delete(u.pending, key)
		for _, to := range u.repeats[key] {
			u.system.answeredAgain(&k.message)
			u.root().Send(to, sentFor(&k.message))
		}
		delete(u.repeats, key)
	}
	if len(u.pending) == 0 {
		u.pending, u.repeats = nil, nil
	}
}

// uncommitted: the senders have been told.
func (u *user) uncommitted(msg *uncommitted) {
	u.commits--
	u.void(msg.commit.entries, msg.commit.moves, msg.why)
}

// void gives up what a failed commit had. Cursors are handed over again later.
// Numbers are void, and with them all that are given since: the actor refuses what
// comes, goes on delivering what is kept, and is replaced when the store works again.
func (u *user) void(entries []*keep, moves []inbox.Move, why *Error) {
	if len(entries) > 0 {
		u.fate = why
		if u.system.storage.Load() == nil && why != ErrStorageFull { // it works already
			panic(&replaceMe{errNotKept})
		}
		u.abandoned()
		u.pending = nil
	}
	u.unmoved(moves)
	u.putOff = true
	u.retryLater()
}

// abandoned answers for what was numbered and never handed over, and for those who
// have repeated what is under way. The shard calls it when the actor has ended
// before its time.
func (u *user) abandoned() {
	why := or(u.fate, ErrInternal)
	u.system.refuseAll(u.fresh, why)
	u.system.finish(u.id, u.chores.take(), why)
	u.fresh = nil
	for key, repeats := range u.repeats {
		for _, to := range repeats {
			u.system.refusedKept(&u.pending[key].message, why)
			u.root().Send(to, u.pending[key].refusal(why))
		}
	}
	u.repeats = nil
}
