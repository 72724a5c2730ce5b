package actors

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/btree"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// doorkeeper is the only one that writes who may not connect: into the store, and then
// into the tree that everybody reads without asking it (block.go). It waits for the
// disk when it writes, which holds up nobody but those who block and unblock.
type doorkeeper struct {
	system  *System
	list    inbox.Blocklist       // nil: the store keeps no blocks
	ends    *btree.BTreeG[*Block] // those that end by themselves, by when
	timer   *time.Timer           // runs while ends has some
	stamina stamina               // after panics
}

type (
	// blockUser keeps a block and closes the user's sessions. The answer is closed.
	blockUser struct{ block *Block }
	// unblockUser lets a user connect again. The answer is unblocked.
	unblockUser struct{ user protocol.UserID }
	unblocked   struct{ was bool }
	// sweepBlocks is the doorkeeper's own clock: blocks may have ended by themselves.
	sweepBlocks struct{}
)

var (
	msgSweepBlocks = &sweepBlocks{}

	// closeBlocked is what the sessions of a user get who is blocked.
	closeBlocked = &protocol.Close{Code: uint32(protocol.CloseBlocked), Reason: string(protocol.CodeBlocked)}
)

const (
	// maxSweep is how many blocks that have ended are removed at once.
	maxSweep = 256

	// sweepPause is the least time until the next sweep, and sweepEvery the most.
	sweepPause = time.Second
	sweepEvery = time.Hour
)

func newDoorkeeper(system *System) *doorkeeper {
	k := &doorkeeper{system: system, ends: btree.NewG(listDegree, func(a, b *Block) bool {
		return cmp.Or(cmp.Compare(a.Until, b.Until), cmp.Compare(a.User, b.User)) < 0
	})}
	k.list, _ = system.config.Store.(inbox.Blocklist)
	system.blocked.Load().Ascend(func(b *Block) bool {
		k.ending(b)
		return true
	})
	return k
}

// Receive implements actor.Actor.
func (k *doorkeeper) Receive(ctx actor.Context) {
	defer k.system.survive(ctx, "doorkeeper", &k.stamina, k.Receive)
	k.system.faultIn("doorkeeper", ctx.Message())
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		k.tick(ctx)
	case *actor.Stopping:
		k.rest()
	case *actor.Stopped:
		close(k.system.doorkeeperDone)

	case *blockUser:
		k.block(ctx, msg)
	case *unblockUser:
		k.unblock(ctx, msg)

	case *sweepBlocks:
		k.sweep(ctx)

	case *overdue:
		k.Receive(replayed{ctx, msg.mail, msg.times})

	default:
		k.system.unhandled(ctx)
	}
}

func (k *doorkeeper) block(ctx actor.Context, msg *blockUser) {
	blocked := k.system.blocked.Load()
	old, again := blocked.Get(msg.block)
	switch {
	case k.list == nil:
		answer(ctx, ErrNoBlocklist)
		return
	case !again && blocked.Len() >= k.system.config.MaxBlocked:
		k.system.HitLimit(CodeTooManyBlocked, msg.block.User, "", ErrTooManyBlocked.Reason)
		answer(ctx, ErrTooManyBlocked)
		return
	}
	if err := k.list.Block(msg.block); err != nil {
		k.trouble(ctx, "block not kept", msg.block.User, err)
		return
	}
	if again {
		k.ends.Delete(old)
	}
	k.ending(msg.block)
	next := blocked.Clone()
	next.ReplaceOrInsert(msg.block)
	k.system.blocked.Store(next)
	k.tick(ctx)
	if k.system.watched() {
		k.system.publish(Event{Kind: UserBlocked, User: msg.block.User, Code: protocol.CodeBlocked, Reason: wordsOf(msg.block)})
	}
	// An attach that the shard has come to before this is among the sessions that it
	// closes; one behind it is refused.
	k.system.post(msg.block.User,
		&actor.MessageEnvelope{Message: &closeUser{msg.block.User, closeBlocked}, Sender: ctx.Sender()})
}

func (k *doorkeeper) unblock(ctx actor.Context, msg *unblockUser) {
	block, known := k.system.blocked.Load().Get(&Block{User: msg.user})
	if k.list == nil {
		answer(ctx, &unblocked{})
		return
	}
	// Also if nobody knows of one: the store may have kept a block and failed before it said so.
	if err := k.list.Unblock(msg.user); err != nil {
		k.trouble(ctx, "block not removed", msg.user, err)
		return
	}
	if !known {
		answer(ctx, &unblocked{})
		return
	}
	was := !block.Over(now())
	k.remove(block)
	k.let(block.User, "an operator has unblocked it")
	answer(ctx, &unblocked{was})
}

// let tells those who watch that a user may connect again.
func (k *doorkeeper) let(user protocol.UserID, reason string) {
	if k.system.watched() {
		k.system.publish(Event{Kind: UserUnblocked, User: user, Reason: reason})
	}
}

// wordsOf is who blocked, for how long and why, for operators.
func wordsOf(b *Block) string {
	words := "by " + b.By
	if b.Until != 0 {
		words += ", until " + time.UnixMilli(b.Until).UTC().Format(time.RFC3339)
	}
	if b.Reason != "" {
		words += ": " + b.Reason
	}
	return words
}

// trouble answers for a change that nobody knows the fate of.
func (k *doorkeeper) trouble(ctx actor.Context, what string, user protocol.UserID, err error) {
	k.system.storeTrouble(what, user, err)
	answer(ctx, storageError(err))
}

// remove lets users connect who have a block that is in the store no more.
func (k *doorkeeper) remove(blocks ...*Block) {
	next := k.system.blocked.Load().Clone()
	for _, b := range blocks {
		next.Delete(b)
		k.ends.Delete(b)
	}
	k.system.blocked.Store(next)
}

// ending takes note of when a block ends, if it does.
func (k *doorkeeper) ending(b *Block) {
	if b.Until != 0 {
		k.ends.ReplaceOrInsert(b)
	}
}

// sweep removes blocks that have ended by themselves: until then they take room, and
// nothing else.
func (k *doorkeeper) sweep(ctx actor.Context) {
	var over []*Block
	var users []protocol.UserID
	k.ends.Ascend(func(b *Block) bool {
		if len(over) == maxSweep || !b.Over(now()) {
			return false
		}
		over, users = append(over, b), append(users, b.User)
		return true
	})
	if len(over) > 0 {
		if err := k.list.Unblock(users...); err != nil {
			k.system.storeTrouble("blocks that ended not removed", users[0], err)
		} else {
			k.remove(over...)
			for _, user := range users {
				k.let(user, "the block has ended by itself")
			}
			k.system.log.Info("blocks ended", slog.Int("users", len(over)))
		}
	}
	k.tick(ctx)
}

// tick has the next sweep come when the next block ends.
func (k *doorkeeper) tick(ctx actor.Context) {
	k.rest()
	if next, some := k.ends.Min(); some {
		wait := time.Duration(min(next.Until-now(), sweepEvery.Milliseconds())) * time.Millisecond
		k.timer = k.system.after(max(wait, sweepPause), ctx.Self(), msgSweepBlocks)
	}
}

func (k *doorkeeper) rest() {
	if k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
}

// loadBlocks reads who may not connect from the store.
func loadBlocks(store inbox.Store) (*btree.BTreeG[*Block], error) {
	blocked := newBlockOrder()
	list, ok := store.(inbox.Blocklist)
	for after := protocol.UserID(""); ok; {
		page, err := list.Blocks(after, MaxPage)
		if err != nil {
			return nil, fmt.Errorf("reading who is blocked: %w", err)
		}
		for _, b := range page {
			blocked.ReplaceOrInsert(b)
			after = b.User
		}
		ok = len(page) == MaxPage
	}
	return blocked, nil
}
