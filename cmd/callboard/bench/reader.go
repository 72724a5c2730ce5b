package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"callboard/protocol"
	"callboard/transport/client"
)

// A reader is one device of a user. Its kind is what it relies on when it starts again.
type reader struct {
	chaos  *chaos
	user   int
	kind   kind
	name   string
	random *rand.Rand
	rope   *rope
	device *Device

	slow bool            // it takes its time over each message, in this life
	lag  int             // it acknowledges so many messages at once, in this life
	owes int             // how many it has not acknowledged
	owed *client.Message // the last of them

	epoch   uint32 // of the last message
	kills   uint64 // of the service, before the device last said goodbye
	sure    bool   // the service has heard all its ACKs and answered the goodbye
	started bool   // delivery has begun since the last start
}

// kind is what a device relies on.
type kind int

const (
	lasting    kind = iota // it never starts again; the SDK connects it again
	remembers              // it gives its own cursor
	remembered             // it leaves its cursor to the service
	kinds
)

func newReader(c *chaos, user, n int) *reader {
	name := "device-" + strconv.Itoa(n)
	r := &reader{
		chaos: c, user: user, kind: kind(n) % kinds, name: name, random: c.random(1_000_000 + user*100 + n),
		rope: newRope(), device: c.chronicle.Device(user, name), sure: true,
	}
	c.ropes = append(c.ropes, r.rope)
	return r
}

// read is the device's life.
func (r *reader) read(ctx context.Context) {
	for r.live(ctx) == nil {
		r.chaos.tally.restarts.Add(1)
		// Sometimes it is back before the service has missed it.
		_ = sleep(ctx, time.Duration(r.random.Int64N(int64(100*time.Millisecond)))) // live finds out
	}
}

// live is from one start to the next. The error says that there is no next.
func (r *reader) live(ctx context.Context) error {
	window := []int{1, 3, protocol.DefaultWindow, protocol.MaxWindow}[r.random.IntN(4)]
	config := client.Config{
		Device: r.name, Codec: protocol.Codec(r.random.IntN(2)), NetDial: r.rope.dial,
		MinBackoff: minBackoff, MaxBackoff: maxBackoff,
		ManualAck: r.random.IntN(2) == 0, Window: window,
	}
	if r.kind == remembers {
		config.Cursor = &client.Cursor{Epoch: r.epoch, Seq: r.device.Cursor()}
	}
	c, err := client.New(r.chaos.service.url(), r.chaos.users[r.user], config)
	if err != nil {
		return err
	}
	r.slow, r.lag = r.random.IntN(3) == 0, 1+r.random.IntN(1+window/2)
	r.owes, r.owed = 0, nil
	life, cancel := context.WithCancel(ctx)
	defer cancel()
	if r.kind != lasting && !r.chaos.quiet.Load() {
		span := time.Duration(r.random.ExpFloat64() * float64(1500*time.Millisecond))
		defer time.AfterFunc(span, cancel).Stop()
	}
	r.receive(life, c)
	r.leave(ctx, c)
	return ctx.Err()
}

// receive takes in messages until the life ends.
func (r *reader) receive(life context.Context, c *client.Client) {
	r.started = false
	for m, err := range c.Messages(life) {
		gap, isGap := errors.AsType[*client.GapError](err)
		switch {
		case isGap:
			r.chaos.chronicle.Lose(fmt.Sprintf("device %s of %d is told that places %d to %d are gone", r.name, r.user, gap.First, gap.Last))
			continue
		case err != nil:
			if life.Err() == nil {
				r.chaos.count(err)
			}
			return
		}
		if !r.started {
			r.device.Restart()
			r.started = true
			r.welcome()
		}
		r.see(m)
		r.acknowledge(m)
		r.dawdle(life)
	}
}

// welcome decides whether the service may have forgotten where this device was.
func (r *reader) welcome() {
	if r.kind == remembered && r.doubtful() {
		r.device.MayRepeat()
		r.chaos.tally.unsure.Add(1)
	}
}

// doubtful is whether the service may not know any more what the device had when it
// said goodbye.
func (r *reader) doubtful() bool { return !r.sure || r.kills != r.chaos.kills.Load() }

// see notes a message.
func (r *reader) see(m *client.Message) {
	s, ok := parseStamp(m.Content, r.chaos.run)
	author, known := r.chaos.index[m.Sender]
	if !ok || !known || s.sender != author || len(m.Content) != r.chaos.size(author, s.number) || m.ID != strconv.FormatUint(s.number, 10) {
		r.chaos.chronicle.Alter(fmt.Sprintf("device %s of %d got at place %d a content that nobody sent", r.name, r.user, m.Seq))
		return
	}
	if r.epoch != 0 && m.Epoch != r.epoch { // killed and started again, it is the same inbox
		r.chaos.chronicle.Alter(fmt.Sprintf("device %s of %d was in epoch %d and is in %d", r.name, r.user, r.epoch, m.Epoch))
	}
	r.epoch = m.Epoch
	r.device.See(m.Seq, author, s.number)
}

// acknowledge acknowledges what the device has, or lets it wait. Whatever the SDK was
// told, it must hide what comes again.
func (r *reader) acknowledge(m *client.Message) {
	r.owes, r.owed = r.owes+1, m
	if r.owes >= r.lag {
		r.owes, r.owed = 0, nil
		m.Ack()
	}
}

// dawdle is what makes a device slow, or stall.
func (r *reader) dawdle(life context.Context) {
	if r.chaos.quiet.Load() {
		return
	}
	switch chance := r.random.IntN(2000); {
	case chance == 0:
		_ = sleep(life, time.Duration(r.random.Int64N(int64(2*time.Second)))) // the loop finds out
		r.chaos.tally.stalls.Add(1)
	case chance < 40 || r.slow:
		_ = sleep(life, time.Duration(r.random.Int64N(int64(20*time.Millisecond)))) // the loop finds out
	}
}

// leave ends the client, in order or as a crash would.
func (r *reader) leave(ctx context.Context, c *client.Client) {
	doubtful := !r.started && r.doubtful() // and nothing has come that would have shown it
	r.kills = r.chaos.kills.Load()
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	crash := r.random.IntN(2) == 0
	if crash {
		r.rope.cut()
		cancel()
	}
	if r.owed != nil {
		r.owed.Ack()
	}
	state := c.State()
	err := c.Close(limit)
	// Without a connection there was no goodbye, and an ACK that was written may not have arrived.
	answered := err == nil && state.Phase == client.Connected && r.rope.wholeSince(state.Since)
	r.sure = !doubtful && !crash && answered
}
