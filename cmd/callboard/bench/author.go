package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"callboard/protocol"
	"callboard/transport/client"
)

// An author writes to random users, in order, until the run is over: it sends again
// what was not confirmed when its client had to start again, and now and then what was
// confirmed long ago. It is one goroutine.
type author struct {
	chaos  *chaos
	index  int
	random *rand.Rand
	rope   *rope

	client  *client.Client
	reading context.CancelFunc // of what comes to this device, if anybody reads
	pending []draft            // not confirmed, in order
	done    []draft            // some that are
}

// draft is a message that an author knows about.
type draft struct {
	number   uint64
	receiver int
	sending  *client.Sending
}

// maxDone is how many confirmed messages an author remembers, to send them again.
const maxDone = 200

func newAuthor(c *chaos, index int) *author {
	a := &author{chaos: c, index: index, random: c.random(index), rope: newRope()}
	c.ropes = append(c.ropes, a.rope)
	return a
}

// write is the author's life.
func (a *author) write(ctx context.Context) {
	defer a.close(ctx, false)
	pause := time.Duration(float64(time.Second) * float64(len(a.chaos.users)) / float64(a.chaos.config.Rate))
	next := time.Now()
	for a.open() == nil {
		if next = next.Add(pause); time.Since(next) > time.Second {
			next = time.Now() // what could not be sent for so long is not made up for
		}
		if sleep(ctx, time.Until(next)) != nil {
			return
		}
		if a.chaos.quiet.Load() {
			a.rest(ctx)
			return
		}
		a.act(ctx)
		for len(a.pending) > 0 && a.reap(ctx, len(a.pending) >= a.chaos.config.Window) {
			continue
		}
	}
}

// act does one thing; most often it sends a message.
func (a *author) act(ctx context.Context) {
	switch chance := a.random.IntN(1000); {
	case chance < 3:
		a.restart(ctx)
	case chance < 10:
		a.repeat(ctx)
	case chance < 15:
		a.contradict(ctx)
	case chance < 25:
		a.abandon(ctx)
	default:
		a.send(ctx, a.draft())
	}
}

// rest waits until all is confirmed.
func (a *author) rest(ctx context.Context) {
	for len(a.pending) > 0 && a.open() == nil && ctx.Err() == nil {
		a.reap(ctx, true)
	}
}

// open makes a client if there is none.
func (a *author) open() error {
	if a.client != nil {
		return nil
	}
	codec := protocol.Codec(a.random.IntN(2))
	c, err := client.New(a.chaos.service.url(), a.chaos.users[a.index], client.Config{
		Device: "desk", Codec: codec, NetDial: a.rope.dial, MinBackoff: minBackoff, MaxBackoff: maxBackoff,
	})
	if err != nil {
		return err
	}
	a.client = c
	if a.index%2 == 0 { // the others never read: a device that stalls for good
		var ctx context.Context
		ctx, a.reading = context.WithCancel(context.Background())
		go func() { // ends with the client
			_ = c.Receive(ctx, func(context.Context, *client.Message) error { return nil }) // it ends when it should
		}()
	}
	return nil
}

// The clients come back soon, so that there is much to be seen in little time.
const (
	minBackoff = 20 * time.Millisecond
	maxBackoff = 300 * time.Millisecond
)

// close lets the client go: in order, or as a crash would.
func (a *author) close(ctx context.Context, crash bool) {
	if a.client == nil {
		return
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if crash {
		a.rope.cut()
		cancel()
	}
	_ = a.client.Close(limit) // what it did not confirm is sent again
	if a.reading != nil {
		a.reading()
	}
	a.client, a.reading = nil, nil
}

// restart begins anew with another client, which has to be told what is not confirmed.
func (a *author) restart(ctx context.Context) {
	a.close(ctx, a.random.IntN(2) == 0)
	a.chaos.tally.restarts.Add(1)
	if a.open() != nil {
		return
	}
	pending := a.pending
	a.pending = nil
	for _, d := range pending {
		if receipt, err := settled(d.sending); err == nil {
			a.confirm(d, receipt)
			continue
		}
		a.chaos.tally.resent.Add(1)
		a.send(ctx, d)
	}
}

// settled is the receipt of a message, if it has one.
func settled(s *client.Sending) (client.Receipt, error) {
	if s == nil {
		return client.Receipt{}, errOver
	}
	select {
	case <-s.Done():
		return s.Wait(context.Background())
	default:
		return client.Receipt{}, errOver
	}
}

// draft is a new message.
func (a *author) draft() draft {
	receiver := a.random.IntN(len(a.chaos.users))
	return draft{number: a.chaos.chronicle.Write(a.index, receiver), receiver: receiver}
}

// send hands a message to the client; reap finds out what became of it.
func (a *author) send(ctx context.Context, d draft) {
	d.sending, _ = a.client.SendAsync(ctx, a.chaos.users[d.receiver], a.chaos.content(a.index, d.number), withNumber(d.number))
	a.pending = append(a.pending, d) // without a Sending it is tried again
}

func withNumber(number uint64) client.SendOption {
	return client.WithID(strconv.FormatUint(number, 10))
}

// reap looks at the oldest message that is not confirmed, and waits for it if it may.
// It returns whether to look at the next.
func (a *author) reap(ctx context.Context, wait bool) bool {
	d := a.pending[0]
	if d.sending == nil {
		a.again(ctx)
		return false
	}
	if !wait {
		select {
		case <-d.sending.Done():
		default:
			return false
		}
	}
	receipt, err := d.sending.Wait(ctx)
	switch {
	case err == nil:
		a.confirm(d, receipt)
		a.pending = a.pending[1:]
		return true
	case ctx.Err() != nil:
		return false
	}
	a.chaos.count(err)
	a.again(ctx)
	return false
}

// again sends the oldest message once more, behind the others, after a while.
func (a *author) again(ctx context.Context) {
	d := a.pending[0]
	a.pending = a.pending[1:]
	a.chaos.chronicle.Late(a.index, d.number)
	a.chaos.tally.resent.Add(1)
	if a.client.State().Phase == client.Closed { // the service did not want it any more
		a.close(ctx, true)
		a.chaos.tally.restarts.Add(1)
		if a.open() != nil {
			return
		}
	}
	_ = sleep(ctx, 10*time.Millisecond) // if the context is done, sending says so
	a.send(ctx, d)
}

// confirm notes a receipt.
func (a *author) confirm(d draft, receipt client.Receipt) {
	a.chaos.chronicle.Confirm(a.index, d.number, receipt.Seq)
	d.sending = nil
	if len(a.done) < maxDone {
		a.done = append(a.done, d)
	} else {
		a.done[a.random.IntN(maxDone)] = d
	}
}

// repeat sends a confirmed message again: the first receipt has to come back.
func (a *author) repeat(ctx context.Context) {
	if len(a.done) > 0 {
		a.chaos.tally.resent.Add(1)
		a.send(ctx, a.done[a.random.IntN(len(a.done))])
	}
}

// contradict sends another text under the id of a confirmed message: it has to be
// refused.
func (a *author) contradict(ctx context.Context) {
	if len(a.done) == 0 {
		return
	}
	d := a.done[a.random.IntN(len(a.done))]
	limit, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_, err := a.client.Send(limit, a.chaos.users[d.receiver], "another text", withNumber(d.number))
	refused, _ := errors.AsType[*client.SendError](err)
	switch {
	case err == nil:
		a.chaos.chronicle.Alter("another text was taken under the id of a confirmed message")
	case refused != nil && refused.Code == protocol.CodeConflict:
		a.chaos.tally.conflicts.Add(1)
	}
}

// abandon sends a message with little time, and if that is over sends it again later.
func (a *author) abandon(ctx context.Context) {
	d := a.draft()
	limit, cancel := context.WithTimeout(ctx, time.Duration(a.random.Int64N(int64(3*time.Millisecond))))
	defer cancel()
	receipt, err := a.client.Send(limit, a.chaos.users[d.receiver], a.chaos.content(a.index, d.number), withNumber(d.number))
	if err == nil {
		a.confirm(d, receipt)
		return
	}
	a.chaos.tally.abandoned.Add(1)
	a.chaos.chronicle.Late(a.index, d.number)
	a.pending = append(a.pending, d)
}
