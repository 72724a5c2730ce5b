package actors

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// coroner is the only one that writes which messages are set aside, and knows what
// there is of them but for their texts. It waits for the disk when it writes, which holds
// up nobody but those whose messages are set aside, and operators.
type coroner struct {
	system  *System
	store   inbox.Deadletters // nil: the store keeps none
	letters []DeadletterInfo  // by number
	bytes   int
	last    uint64  // number of the newest there ever was since the start
	stamina stamina // after panics
}

type (
	// listDeadletters asks for a page. The answer is deadletterPage.
	listDeadletters struct {
		after uint64
		limit int
	}
	deadletterPage struct {
		letters []DeadletterInfo
		more    bool
		kept    Deadletters
	}
	// readDeadletter asks for one with its text. The answer is an *inbox.Deadletter.
	readDeadletter struct{ number uint64 }
	// dropDeadletters asks to drop some, or all. The answer is droppedDeadletters.
	dropDeadletters struct {
		numbers []uint64
		all     bool
	}
	droppedDeadletters struct{ dropped int }
)

// Receive implements actor.Actor.
func (c *coroner) Receive(ctx actor.Context) {
	defer c.system.survive(ctx, "coroner", &c.stamina, c.Receive)
	c.system.faultIn("coroner", ctx.Message())
	switch msg := ctx.Message().(type) {
	case *actor.Started, *actor.Stopping:
	case *actor.Stopped:
		close(c.system.coronerDone)

	case *setAside:
		c.setAside(ctx, msg)
	case *listDeadletters:
		answer(ctx, c.page(msg))
	case *readDeadletter:
		c.read(ctx, msg)
	case *dropDeadletters:
		c.drop(ctx, msg)

	case *overdue:
		c.Receive(replayed{ctx, msg.mail, msg.times})

	default:
		c.system.unhandled(ctx)
	}
}

// newCoroner reads what is set aside. It reads the texts too, but keeps none in memory.
func newCoroner(system *System) (*coroner, error) {
	c := &coroner{system: system}
	c.store, _ = system.config.Store.(inbox.Deadletters)
	if c.store == nil {
		return c, nil
	}
	for {
		page, err := c.store.Deadletters(c.last, maxDropped)
		if err != nil {
			return nil, fmt.Errorf("reading what is set aside: %w", err)
		}
		for _, letter := range page {
			c.insert(infoOf(letter))
		}
		if len(page) < maxDropped {
			return c, nil
		}
	}
}

// setAside keeps a letter. The sender is told poisoned when the store has it; else that it
// may try again, which brings the message here again.
func (c *coroner) setAside(ctx actor.Context, msg *setAside) {
	letter := msg.letter
	if c.store != nil {
		drop := c.place(letter)
		if err := c.store.SetAside(letter, drop...); err != nil {
			c.system.storeTrouble("message not set aside", letter.Receiver, err)
			if msg.kept { // it is passed over already, and nobody would ask again
				c.system.putOff(ctx)
				return
			}
			c.system.refuse(ctx, ctx.Sender(), msg.send, storageError(err))
			return
		}
		c.remove(letter.Number)
		if n := c.remove(drop...); n > 0 {
			c.system.counts.deadlettersLost.Add(uint64(n))
			c.system.log.Warn("messages that were set aside have gone: there were as many as may be", slog.Int("messages", n))
		}
		c.insert(infoOf(letter))
	}
	c.system.poisoned(letter, c.store != nil)
	if msg.kept {
		return
	}
	c.system.post(letter.Receiver, &wasSetAside{msg.send})
	c.system.refuse(ctx, ctx.Sender(), msg.send, ErrPoisoned)
}

// maxDropped bounds what goes, or is read, at once.
const maxDropped = 64

// place gives a letter its number, that of the same message if it was set aside before,
// and says which ones go to make room for it: the oldest.
func (c *coroner) place(letter *inbox.Deadletter) (drop []uint64) {
	info := infoOf(letter)
	letter.Number = c.last + 1
	limits := c.system.limits.Load()
	count, bytes := len(c.letters)+1, c.bytes+info.Bytes
	if same := slices.IndexFunc(c.letters, info.same); same >= 0 {
		letter.Number = c.letters[same].Number
		count, bytes = count-1, bytes-c.letters[same].Bytes
	}
	for _, old := range c.letters {
		if count <= limits.MaxDeadletters && bytes <= limits.MaxDeadletterBytes {
			break
		}
		if old.Number != letter.Number {
			drop = append(drop, old.Number)
			count, bytes = count-1, bytes-old.Bytes
		}
	}
	return drop
}

// insert notes a letter that the store has.
func (c *coroner) insert(info DeadletterInfo) {
	at, _ := slices.BinarySearchFunc(c.letters, info.Number, byNumber)
	c.letters = slices.Insert(c.letters, at, info)
	c.bytes += info.Bytes
	c.last = max(c.last, info.Number)
}

// remove notes that letters have gone, and returns how many of them there were.
func (c *coroner) remove(numbers ...uint64) (removed int) {
	for _, number := range numbers {
		if at, found := slices.BinarySearchFunc(c.letters, number, byNumber); found {
			c.bytes -= c.letters[at].Bytes
			c.letters = slices.Delete(c.letters, at, at+1)
			removed++
		}
	}
	return removed
}

func (c *coroner) page(msg *listDeadletters) *deadletterPage {
	at, found := slices.BinarySearchFunc(c.letters, msg.after, byNumber)
	if found {
		at++
	}
	rest := c.letters[at:]
	page := &deadletterPage{letters: slices.Clone(rest[:min(len(rest), msg.limit)]), more: len(rest) > msg.limit}
	page.kept = Deadletters{Messages: len(c.letters), Bytes: c.bytes}
	return page
}

func (c *coroner) read(ctx actor.Context, msg *readDeadletter) {
	if _, found := slices.BinarySearchFunc(c.letters, msg.number, byNumber); !found {
		answer(ctx, ErrNoDeadletter)
		return
	}
	page, err := c.store.Deadletters(msg.number-1, 1)
	if err != nil {
		c.system.storeTrouble("message that was set aside not read", "", err)
		answer(ctx, storageError(err))
		return
	}
	if len(page) == 0 || page[0].Number != msg.number {
		answer(ctx, ErrNoDeadletter)
		return
	}
	answer(ctx, page[0])
}

func (c *coroner) drop(ctx actor.Context, msg *dropDeadletters) {
	numbers := msg.numbers
	if msg.all {
		numbers = nil
		for _, l := range c.letters {
			numbers = append(numbers, l.Number)
		}
	}
	dropped := 0
	if c.store != nil && len(numbers) > 0 {
		if err := c.store.Drop(numbers...); err != nil {
			c.system.storeTrouble("what was set aside not dropped", "", err)
			answer(ctx, storageError(err))
			return
		}
		dropped = c.remove(numbers...)
	}
	answer(ctx, &droppedDeadletters{dropped})
}

// byNumber orders letters.
func byNumber(l DeadletterInfo, number uint64) int {
	switch {
	case l.Number < number:
		return -1
	case l.Number > number:
		return 1
	}
	return 0
}

func infoOf(l *inbox.Deadletter) DeadletterInfo {
	return DeadletterInfo{
		Number: l.Number, At: l.At, Sender: l.Sender, Receiver: l.Receiver, ID: l.ID, Crashes: l.Crashes,
		Reason: l.Reason, Size: len(l.Content), Bytes: l.Size(), sum: contentSum(l.Content),
	}
}

// same is whether both are of one message.
func (i DeadletterInfo) same(other DeadletterInfo) bool {
	return i.Sender == other.Sender && i.Receiver == other.Receiver && i.ID == other.ID && i.sum == other.sum
}

// sendOf is the message that a letter is of.
func sendOf(l *inbox.Deadletter) *protocol.Send {
	return &protocol.Send{Id: l.ID, Sender: string(l.Sender), Receiver: string(l.Receiver), Content: l.Content}
}
