package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// operation is one kind of thing that happens. It decides what it does with the dice of the
// run alone, so that the same seed has the same plan, and says in the log what it does.
type operation struct {
	name   string
	weight int
	do     func(r *run)
}

// operations are all that happens. To add one, add a line.
func operations() []operation {
	return []operation{
		{"connect", 14, connect},
		{"connect without a memory", 1, func(r *run) { c := r.anybody(); c.forget(); c.connect() }},
		{"send", 34, send},
		{"send as the operator", 6, sendAsOperator},
		{"talk", 4, talk},
		{"come at the last moment", 2, comeAtTheLastMoment},
		{"part those who share a cursor", 2, part},
		{"read and acknowledge", 14, func(r *run) { r.anybody().readSome(1 + r.rng.IntN(20)) }},
		{"stall", 5, func(r *run) { r.anybody().stall() }},
		{"release", 8, func(r *run) { r.anybody().release() }},
		{"cut", 6, func(r *run) { r.anybody().cut() }},
		{"CLOSE", 2, func(r *run) { r.anybody().closeInOrder() }},
		{"close frame", 2, func(r *run) { r.anybody().closeFrame() }},
		{"close as the operator", 3, closeAsOperator},
		{"look", 2, look},
		{"another number of shards", 4, rescale},
		{"block or unblock", 3, blocks},
		{"forget a device", 1, forgets},
		{"trim an inbox", 2, trims},
		{"other limits", 1, reload},
		{"watch and trace", 1, watches},
		{"drain", 1, drain},

		{"a user's actor fails", 7, func(r *run) { r.order(r.users[r.rng.IntN(len(r.users))], 10, 5) }},
		{"a session's actor fails", 3, func(r *run) { r.order("gateway/", 20, 2) }},
		{"the journal's actor fails", 2, func(r *run) { r.order("journal", 6, 2) }},
		{"a shard fails", 4, func(r *run) { r.order("shard/", 30, 4) }},
		{"one of those at the top fails", 3, failAtTheTop},
		{"a poison message", 3, poison},
		{"the operator retries what is set aside", 1, retry},
		{"the operator drops what is set aside", 1, drops},
		{"an actor takes its time", 2, dawdle},
		{"a commit panics", 2, func(r *run) { r.order([]string{"commit", "committed"}[r.rng.IntN(2)], 4, 2) }},
		{"a read panics", 2, func(r *run) { r.order("read", 6, 2) }},

		{"the disk fails", 4, failDisk},
		{"the disk works", 7, func(r *run) { r.node.heal() }},
		{"the disk is slow", 3, slowDisk},
		{"the machine ends soon", 3, endSoon},
		{"the machine ends", 1, func(r *run) { r.node.powerLoss(r.percent()) }},
		{"restart", 2, func(r *run) { r.say("the service is restarted"); r.restart(0) }},
		{"drain and restart", 1, func(r *run) { r.say("the service is drained and restarted"); r.restart(r.duration(time.Second)) }},

		{"everything comes to rest", 12, func(*run) { synctest.Wait() }},
		{"a moment", 12, func(r *run) { time.Sleep(r.duration(300 * time.Millisecond)) }},
		{"a while", 4, func(r *run) { time.Sleep(r.duration(12 * time.Second)) }},
		{"a quiet time", 3, quietTime},
	}
}

// pick chooses the next operation.
func pick(rng *rand.Rand) operation {
	all, sum := operations(), 0
	for _, o := range all {
		sum += o.weight
	}
	n := rng.IntN(sum)
	for _, o := range all {
		if n -= o.weight; n < 0 {
			return o
		}
	}
	panic("the weights do not add up")
}

func (r *run) anybody() *client { return r.clients[r.rng.IntN(len(r.clients))] }

func (r *run) duration(most time.Duration) time.Duration {
	return time.Duration(r.rng.Int64N(int64(most)))
}

// percent is how much of what is not synced a power loss leaves.
func (r *run) percent() int { return []int{0, 100, r.rng.IntN(101)}[r.rng.IntN(3)] }

func (r *run) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(format, args...)
}

// connect opens a connection. A client that has one seldom opens another: then the first is
// left, and its network takes what comes, or has gone without a word.
func connect(r *run) {
	c := r.anybody()
	stall, rude, again := r.rng.IntN(2) == 0, r.rng.IntN(8) == 0, r.rng.IntN(3) == 0
	r.mu.Lock()
	busy := c.conn.alive()
	if busy && stall && again {
		c.conn.stalled = true
	}
	c.rude = rude
	r.mu.Unlock()
	if !busy || again {
		c.connect()
	}
}

// send sends some messages of a client: new ones, with an id or without, old ones again, and
// others under an id that was used.
func send(r *run) {
	c := r.anybody()
	for range 1 + r.rng.IntN(4) {
		receiver := r.users[r.rng.IntN(len(r.users))]
		longest := 30
		if r.rng.IntN(8) == 0 {
			longest = 20_000
		}
		kind, which := r.rng.IntN(10), r.rng.Int()
		a := &attempt{sender: c.user, receiver: receiver, content: r.text(longest)}
		switch {
		case kind < 2 && len(c.history) > 0:
			old := c.history[which%len(c.history)]
			again := *old
			a = &again
		case kind == 2 && len(c.history) > 0:
			old := c.history[which%len(c.history)]
			a.id, a.receiver = old.id, old.receiver
		case kind < 6 || !c.seed:
			c.ids++
			a.id = fmt.Sprintf("%s-%d", c, c.ids)
		}
		c.send(a)
	}
}

func sendAsOperator(r *run) {
	a := &attempt{sender: "operator", receiver: r.users[r.rng.IntN(len(r.users))], content: r.text(30)}
	switch kind, which := r.rng.IntN(3), r.rng.Int(); {
	case kind == 0:
	case kind == 1 && len(r.posted) > 0:
		again := *r.posted[which%len(r.posted)]
		a = &again
	default:
		a.id = fmt.Sprint("operator-", r.texts)
		r.posted = append(r.posted, a)
	}
	r.post(a)
}

func closeAsOperator(r *run) {
	user, one := protocol.UserID(r.users[r.rng.IntN(len(r.users))]), r.rng.IntN(2) == 0
	r.say("the operator closes %s", user)
	r.ask(func(ctx context.Context, n *node) {
		if !one {
			_, _ = n.system.CloseUser(ctx, user, protocol.CloseByOperator, "")
		} else if info, err := n.system.DescribeUser(ctx, user); err == nil && len(info.Sessions) > 0 {
			_, _ = n.system.CloseSession(ctx, user, info.Sessions[0], protocol.CloseByOperator, "")
		}
	})
}

func look(r *run) {
	user := protocol.UserID(r.users[r.rng.IntN(len(r.users))])
	r.ask(func(ctx context.Context, n *node) {
		_, _ = n.system.LookUser(ctx, user)
		_, _ = n.system.Describe(ctx)
	})
}

// rescale changes the number of shards. While one change is under way another is refused.
func rescale(r *run) {
	shards := []int{1, 2, 3, 5, 8, 17, 64}[r.rng.IntN(7)]
	r.say("the operator wants %d shards", shards)
	r.ask(func(ctx context.Context, n *node) { _, _ = n.system.Scale(ctx, shards, "the operator") })
}

// quietTime ends all trouble for long enough that the service knows again what devices have.
func quietTime(r *run) {
	r.node.brittle.disarm()
	r.node.heal()
	time.Sleep(recovery + time.Second)
	r.resurrect()
	if !r.quiet() {
		return
	}
	note := r.checkpoint()
	time.Sleep(time.Second)
	if r.resurrect(); r.quiet() {
		r.say("all is quiet")
		note()
	}
}
