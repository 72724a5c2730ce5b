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

// send gives a message the next number, unless it has one or may have none.
func (u *user) send(ctx actor.Context, msg *protocol.Send) {
	if why := u.cannotKeep(msg); why != nil {
		answer(ctx, refusal(msg, why))
		return
	}
	if msg.Id != "" && u.repeated(ctx, msg) {
		return
	}
	u.last++
	k := &keep{answer: ctx.Sender()}
	m := &k.message
	m.Seq, m.Id, m.Sender, m.Receiver, m.Content, m.At = u.last, msg.Id, msg.Sender, msg.Receiver, msg.Content, u.clock()
	size := inbox.Size(m)
	u.sum += size
	u.unseen += size
	k.sum = u.sum
	u.fresh = append(u.fresh, k)
	if msg.Id != "" {
		if u.pending == nil {
			u.pending = make(map[sendKey]*keep)
		}
		u.pending[sendKey{msg.Sender, msg.Id}] = k
	}
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
	if u.broken != nil {
		return ErrUnavailableStore
	}
	config := &u.system.config
	if u.last-u.fetched() >= uint64(config.MaxInboxEntries) {
		return &Error{protocol.CodeInboxFull, fmt.Sprintf(
			"receiver: %d messages wait for user %s, which is as many as may; no device of the user has fetched them", config.MaxInboxEntries, u.id)}
	}
	size := uint64(len(msg.Content))
	if u.unseen+size > uint64(config.MaxInboxBytes) {
		if u.unseen = u.unseenBytes(); u.unseen+size > uint64(config.MaxInboxBytes) {
			return &Error{protocol.CodeInboxFull, fmt.Sprintf(
				"receiver: %d bytes wait for user %s, and %d may; no device of the user has fetched them", u.unseen, u.id, config.MaxInboxBytes)}
		}
	}
	return nil
}

// unseenBytes is the bytes that no device has, or an upper bound if the store does
// not say.
func (u *user) unseenBytes() uint64 {
	fetched := u.fetched()
	if fetched >= u.last {
		return 0
	}
	next, err := u.system.config.Store.Read(u.id, fetched, 1, 1)
	if err != nil || len(next) == 0 {
		return u.unseen
	}
	return u.sum - next[0].Sum + inbox.Size(next[0].Message)
}

// repeated answers a send that has a place already, or that claims the id of
// another.
func (u *user) repeated(ctx actor.Context, msg *protocol.Send) bool {
	k := u.pending[sendKey{msg.Sender, msg.Id}]
	if k != nil {
		if k.message.Content != msg.Content {
			answer(ctx, refusal(msg, ErrConflict))
		} else if to := ctx.Sender(); to != nil {
			k.also = append(k.also, to)
		}
		return true
	}
	m, err := u.system.config.Store.Find(u.id, msg.Sender, msg.Id)
	switch {
	case err != nil: // it may be there or not: nobody can say
		answer(ctx, refusal(msg, ErrUnavailableStore))
	case m == nil:
		return false
	case m.Content != msg.Content:
		answer(ctx, refusal(msg, ErrConflict))
	default:
		answer(ctx, sentFor(m))
	}
	return true
}

// handOver passes on what was numbered and what has moved. Moves alone wait for
// the answer to the last: a device that acknowledges much costs a commit at a time.
func (u *user) handOver() {
	if len(u.fresh) == 0 && (u.commits > 0 || u.retrying || !u.dirty()) {
		return
	}
	if u.system.journal == nil {
		u.commitHere()
		return
	}
	msg := &commit{user: u.id, by: u.self, entries: u.fresh, moves: u.moves()}
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
		u.batch.Appends = append(u.batch.Appends, inbox.Append{User: u.id, Entry: inbox.Entry{Message: &k.message, Sum: k.sum}})
	}
	err := u.system.config.Store.Commit(u.batch)
	entries := u.fresh
	if err != nil {
		moves := u.batch.Moves
		u.batch = nil
		u.notKept(entries, moves, err)
		return
	}
	u.batch.Reset()
	for _, k := range entries {
		u.system.confirm(k)
	}
	u.kept(entries)
	clear(entries)
	u.fresh = entries[:0]
}

// committed: the messages are kept and have been confirmed; now they are delivered.
func (u *user) committed(msg *committed) {
	u.commits--
	u.kept(msg.commit.entries)
}

// kept delivers messages that have been committed.
func (u *user) kept(entries []*keep) {
	if len(entries) == 0 {
		return
	}
	u.head = entries[len(entries)-1].message.Seq
	if u.pending != nil {
		for _, k := range entries {
			delete(u.pending, sendKey{k.message.Sender, k.message.Id})
		}
		if len(u.pending) == 0 {
			u.pending = nil
		}
	}
	u.deliver(entries)
}

// notKept answers for a commit of its own that failed.
func (u *user) notKept(entries []*keep, moves []inbox.Move, err error) {
	u.fresh = nil
	why := storageError(err)
	for _, k := range entries {
		k.refuse(u.system, why)
	}
	u.void(entries, moves)
}

// uncommitted: the senders have been told. Cursors are handed over again; numbers
// are void, and with them this actor.
func (u *user) uncommitted(msg *uncommitted) {
	u.commits--
	u.void(msg.commit.entries, msg.commit.moves)
}

// void gives up what a failed commit had.
func (u *user) void(entries []*keep, moves []inbox.Move) {
	if len(entries) > 0 {
		panic(&replaceMe{errNotKept})
	}
	u.unmoved(moves)
	u.retryLater()
}

// abandoned refuses what was numbered and never handed over. The shard calls it
// when the actor has failed.
func (u *user) abandoned() {
	for _, k := range u.fresh {
		k.refuse(u.system, ErrInternal)
	}
	u.fresh = nil
}
