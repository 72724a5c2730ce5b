package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/inbox"
	"callboard/actors/mailbox"
	"callboard/protocol"
)

// user is the actor of one user: the only one that numbers the messages of the
// user's inbox (keeping.go), and the one that sends them to the user's sessions
// (delivery.go).
//
// It exists while the user has a session or mail in motion. Its shard is its
// parent and the only one that sends to it, besides the journal, which answers; it
// keeps no address but those of its sessions and of its shard, so that a new one can
// take its place at any time.
type user struct {
	id     protocol.UserID
	system *System
	self   *actor.PID
	home   *actor.PID // the shard that has started it
	box    mailbox.Mailbox

	// The inbox. What has a number above head waits for its commit.
	head    uint64 // newest committed
	last    uint64 // newest numbered
	sum     uint64 // the Sum of last
	keptSum uint64 // the Sum of head
	floor   uint64 // entries up to it are gone, as far as is known here
	unseen  uint64 // upper bound of the bytes that no device has
	fresh   []*keep
	time    int64                    // see clock
	batch   *inbox.Batch             // of commitHere, used again
	pending map[sendKey]*keep        // with an id, not committed yet; nil when there are none
	repeats map[sendKey][]*actor.PID // those who have sent one of pending again
	tail    *tail                    // nil: nobody was ever behind

	devices   []device
	sessions  []*attachment   // oldest first
	forgotten few[inbox.Move] // devices, to be handed over
	awaited   few[*actor.PID] // sessions that the last actor had and that have not attached again
	chores    few[chore]      // for operators, to be handed over
	followed  *[]followed     // traced messages on their way to a session; nil: there are none
	fullness  *fullness       // nil: the inbox was never full
	broken    *replaceMe      // why the store could not be opened
	fate      *Error          // why numbers are void, if they are

	commits  int32  // handed to the journal and not answered
	epoch    uint32 // of the numbers
	untimed  uint16 // messages sent on until one whose time is taken
	lane     uint8  // where its messages are counted
	quiet    bool   // told the shard that there is nothing to do
	leaving  bool   // asked to leave, not yet answered
	departs  bool   // to another shard, as soon as all is settled
	departed bool   // has stopped for that: its shard reads it from here on, and nobody writes
	retrying bool   // a retry is on its way
	putOff   bool   // moves wait for it
	late     bool   // a session has room, and its read was put off: a readDue is on its way
}

// There may be a million users, as there may be of sessions: see there.

var _ mailbox.Owner = (*user)(nil)

// Receive implements actor.Actor.
func (u *user) Receive(ctx actor.Context) {
	u.system.fault(string(u.id), ctx.Message())
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		u.start(ctx)
	case *actor.Stopping, *actor.Stopped:

	case *attach:
		u.attach(msg)
	case *detach:
		u.detach(msg)
	case *protocol.Send:
		u.send(ctx, msg)
	case *ack:
		u.ack(msg)
	case *forgetDevice:
		u.forgetDevice(ctx, msg)
	case *trimInbox:
		u.trimInbox(ctx, msg)
	case *describeUser:
		u.describe(ctx)
	case *rest:
		u.rest()
	case *mayLeave:
		u.mayLeave(ctx)
	case *depart:
		u.departs = true // when the mailbox has drained

	case *committed:
		u.committed(msg)
	case *uncommitted:
		u.uncommitted(msg)
	case *retry:
		u.retry()
	case *readDue:
		u.late = false
		u.pumpAll(true)
	case *wrapUp:
		u.wrapUp(ctx)

	default:
		u.system.unhandled(ctx)
	}
}

func (u *user) start(ctx actor.Context) {
	u.self = ctx.Self()
	state, err := u.system.config.Store.Open(u.id)
	if err != nil {
		u.system.storeTrouble("inbox not opened", u.id, err)
		u.broken = &replaceMe{err}
		u.retryLater()
		return
	}
	u.head, u.last, u.sum, u.keptSum, u.floor = state.Head, state.Head, state.Sum, state.Sum, state.Floor
	u.epoch = state.Epoch
	for _, d := range state.Devices {
		d.Cursor = min(d.Cursor, u.head)
		u.devices = append(u.devices, device{Device: d})
	}
	u.unseen = u.sum
	if u.head > 0 {
		u.look()
	}
}

// cursorOf is where a client that says what it has goes on. It knows best, but a cursor of
// another epoch is none of this inbox: then the device has no more than the inbox's own
// record of it says, and that is this device's alone only if it has a name. If the
// client's is lower, something became of the client, too.
func (u *user) cursorOf(msg *attach, d *device) uint64 {
	switch {
	case msg.epoch == 0 || msg.epoch == u.epoch:
		return *msg.cursor
	case msg.device == "":
		return 0
	}
	return min(*msg.cursor, d.Cursor)
}

// ack notes what a device has. The word of a session that has just been taken away
// counts too.
func (u *user) ack(msg *ack) {
	d := u.device(msg.device)
	if d == nil || u.broken != nil {
		return
	}
	if u.followed != nil {
		u.acknowledged(msg)
	}
	if a := u.attachment(msg.session); a != nil {
		a.listens = true
		u.timeAck(a, min(msg.seq, a.sent))
		a.arrived(min(msg.seq, a.sent))
		u.settle(d)
		u.pump(a, false)
		u.trimTail()
	} else if u.alone(d) {
		d.advance(min(msg.seq, u.head))
	}
	if u.fetched() >= u.last {
		u.unseen = 0
	}
}

// settleNameless catches up on what settle has put off while sessions were awaited. A
// nameless session may have said then what it has, and not say it again.
func (u *user) settleNameless() {
	if d := u.device(""); d != nil {
		u.settle(d)
	}
}

// alone is whether no session has a say in where a device stands. Those of the
// nameless device may be others that are not back yet.
func (u *user) alone(d *device) bool {
	return !u.connected(d.Name) && (d.Name != "" || u.awaited.none())
}

// settle moves a device to what all its sessions have. Only the nameless device has
// more than one. A session that has never acknowledged has no say: it may be there
// only to send.
func (u *user) settle(d *device) {
	if d.Name == "" && !u.awaited.none() {
		return
	}
	has, listened := u.head, false
	for _, a := range u.sessions {
		if a.device == d.Name && a.listens {
			has, listened = min(has, a.has), true
		}
	}
	if listened {
		d.advance(has)
	}
}

func (u *user) describe(ctx actor.Context) {
	info := &UserInfo{
		User: u.id, State: active.String(), Actor: ctx.Self().GetId(), Waiting: u.box.UserMessageCount(),
		Head: u.head, Floor: u.floor, Broken: u.broken != nil,
	}
	for _, a := range u.sessions {
		info.Sessions = append(info.Sessions, sessionNumber(a.session))
		info.Unacknowledged = append(info.Unacknowledged, int(a.flight.n))
	}
	for _, d := range u.devices {
		info.Devices = append(info.Devices, d.Device)
	}
	answer(ctx, info)
}

// Drained implements mailbox.Owner: what was numbered and what has moved since the
// last time goes to the store together.
func (u *user) Drained() {
	if u.departed { // the mailbox drains once more behind the stop
		return
	}
	u.time = 0
	u.handOver()
	if u.departs {
		u.depart()
		return
	}
	if !u.quiet && u.idle() {
		u.quiet = true
		u.root().Send(u.shard(), &quiet{u.id, u.self})
	}
}

// idle is whether nothing would be lost if the actor left.
func (u *user) idle() bool {
	return len(u.sessions) == 0 && u.commits == 0 && u.fate == nil && len(u.fresh) == 0 && u.chores.none() && !u.dirty()
}

// rest asks to leave, if there is still nothing to do. Mail that is on its way
// arrives before the answer does.
func (u *user) rest() {
	if u.quiet && !u.leaving {
		u.leaving = true
		u.root().Send(u.shard(), &leave{u.id, u.self})
	}
}

// mayLeave is the point of no return: the shard holds all mail since it sent
// this, and what it sent before has been handled by now.
func (u *user) mayLeave(ctx actor.Context) {
	u.leaving = false
	if !u.idle() {
		u.quiet = false // and said again when it is true again
		ctx.Send(u.shard(), &stay{u.id, ctx.Self()})
		return
	}
	ctx.Stop(ctx.Self())
}

// depart ends the actor when the journal has answered for all that it had handed over.
// While the store fails there is nothing to wait for; the next actor finds out from the
// store what is kept, as after a failure.
func (u *user) depart() {
	switch {
	case u.settled():
	case u.troubled():
		u.abandoned()
	default:
		return // and again when the journal has answered
	}
	u.departed = true
	u.root().Stop(u.self)
}

// settled is whether all that is to be kept is kept, so that the next actor may begin.
func (u *user) settled() bool {
	return !u.troubled() && u.commits == 0 && len(u.fresh) == 0 && u.chores.none() && !u.dirty()
}

// troubled is whether it waits for the store to work again.
func (u *user) troubled() bool { return u.fate != nil || u.broken != nil || u.putOff }

// retryLater has the user look at the store again after a while.
func (u *user) retryLater() {
	if !u.retrying {
		u.retrying = true
		u.system.after(retryEvery, u.self, msgRetry)
	}
}

func (u *user) retry() {
	u.retrying, u.putOff = false, false
	switch {
	case u.fate != nil && u.system.storage.Load() != nil:
		u.retryLater()
	case u.fate != nil:
		panic(&replaceMe{errNotKept})
	case u.broken != nil:
		panic(u.broken)
	}
	u.pumpAll(true)
}

// wrapUp hands over what is to be kept, for the node stops: the journal stops last.
func (u *user) wrapUp(ctx actor.Context) {
	if len(u.fresh) > 0 || !u.chores.none() || u.dirty() {
		u.handOverAll()
	}
	answer(ctx, &wrappedUp{u.id})
}

func (u *user) root() *actor.RootContext { return u.system.root }

func (u *user) shard() *actor.PID { return u.home }
