package actors

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/btree"

	"callboard/protocol"
)

// drainSteps is in how many steps a drain closes all sessions.
const drainSteps = 50

// gateway is the parent of the sessions of this node's sockets. It starts them,
// gives them their heartbeat, and closes them when the node goes.
type gateway struct {
	system *System
	beats  beats
	slot   int                     // of beats, whose turn is next
	order  *btree.BTreeG[*session] // those in beats, by number, for page
	count  int
	last   uint64 // number of the newest session
	props  *actor.Props
	next   *session // handed to props
	meters meters   // what users send
	ticker *time.Timer

	ending    bool // and with it all sessions
	draining  bool
	untold    bool         // a drain has begun, and its end has not been told
	drainFrom []*actor.PID // still to be closed
	drainStep int          // sessions for each step
	drainEach time.Duration
	drainers  []*actor.PID // wait for drained
	stamina   stamina      // after panics
}

func newGateway(system *System) *gateway {
	g := &gateway{system: system, order: newSessionOrder()}
	g.props = actor.PropsFromProducer(
		func() actor.Actor { return g.next },
		actor.WithMailbox(func() actor.Mailbox { return &g.next.box }),
		actor.WithDispatcher(&system.workers),
	)
	return g
}

// Receive implements actor.Actor.
func (g *gateway) Receive(ctx actor.Context) {
	defer g.system.survive(ctx, "gateway", &g.stamina, g.Receive)
	g.system.faultIn("gateway", ctx.Message())
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		g.tick(ctx)
	case *actor.Stopping:
		g.ticker.Stop()
	case *actor.Stopped:
		close(g.system.gatewayDone)
	case *actor.Terminated:
		g.terminated(ctx)

	case *open:
		g.open(ctx, msg)
	case *drain:
		g.drain(ctx, msg)
	case *closeTokens:
		g.closeTokens(ctx, msg)
	case *lendMeter:
		g.lendMeter(msg)
	case *listSessions:
		answer(ctx, g.page(msg))
	case *describeGateway:
		answer(ctx, &GatewayInfo{Sessions: g.count, Draining: g.draining})

	case *sessionEnded:
		g.ended(msg)
	case *beat:
		g.beat(ctx)
	case *drainNext:
		g.closeSome(ctx)
	case *end:
		g.end(ctx)

	case *overdue:
		g.Receive(replayed{ctx, msg.mail, msg.times})

	default:
		g.system.unhandled(ctx)
	}
}

func (g *gateway) open(ctx actor.Context, msg *open) {
	link := &msg.session.link
	if g.draining {
		link.settle(ErrDraining)
		return
	}
	g.last++
	g.next = msg.session
	g.next.number = g.last
	pid, err := spawnOfMany(ctx, g.props, strconv.FormatUint(g.last, 10))
	g.next = nil
	if err != nil {
		link.settle(ErrInternal)
		return
	}
	g.beats.add(msg.session, pid)
	g.order.ReplaceOrInsert(msg.session)
	g.count++
	g.system.counts.opened.Add(1)
}

// ended keeps the wheel and the order exact; the session itself is counted until it has stopped.
func (g *gateway) ended(msg *sessionEnded) {
	g.beats.remove(msg.session)
	if s, known := g.order.Delete(msg.session); known {
		g.meters.back(&s.link, g.system.now())
	}
}

// lendMeter lends none to a session that has ended: nobody would give it back. It lends one once, though
// it may be tried again (again.go).
func (g *gateway) lendMeter(msg *lendMeter) {
	if msg.link.meter.Load() == nil && g.order.Has(&session{number: sessionNumber(msg.link.pid)}) {
		g.meters.lend(msg.link)
	}
}

func (g *gateway) terminated(ctx actor.Context) {
	g.count--
	g.system.counts.ended.Add(1)
	g.finishDrain(ctx)
	g.endLast(ctx)
}

// end stops all sessions, and the gateway when they have.
func (g *gateway) end(ctx actor.Context) {
	g.draining, g.ending = true, true
	g.ticker.Stop()
	for _, slot := range g.beats {
		for i, session := range slot {
			ctx.Stop(session.pid)
			letOn(i)
		}
	}
	g.endLast(ctx)
}

func (g *gateway) endLast(ctx actor.Context) {
	if g.ending && g.count == 0 {
		ctx.Stop(ctx.Self())
	}
}

func (g *gateway) beat(ctx actor.Context) {
	for i, session := range g.beats[g.slot] {
		ctx.Send(session.pid, msgHeartbeat)
		letOn(i)
	}
	g.slot = (g.slot + 1) % beatSlots
	g.meters.sweep(g.system.now())
	g.tick(ctx)
}

func (g *gateway) tick(ctx actor.Context) {
	g.ticker = g.system.after(g.system.config.PingInterval/beatSlots, ctx.Self(), msgBeat)
}

// drain opens no more sessions and closes those there are, a part at a time, so
// that the clients do not all connect elsewhere in the same instant.
func (g *gateway) drain(ctx actor.Context, msg *drain) {
	if sender := ctx.Sender(); sender != nil {
		g.drainers = append(g.drainers, sender)
	}
	if !g.draining {
		g.draining = true
		g.untold = true
		g.tell(DrainBegun, fmt.Sprintf("%d sessions are closed over %s", g.count, msg.over))
		for _, slot := range g.beats {
			for _, session := range slot {
				g.drainFrom = append(g.drainFrom, session.pid)
			}
		}
		g.drainStep = len(g.drainFrom)/drainSteps + 1
		g.drainEach = msg.over * time.Duration(g.drainStep) / time.Duration(max(len(g.drainFrom), 1))
		g.closeSome(ctx)
	} else if n := len(g.drainFrom); n > 0 && msg.over < g.drainEach*time.Duration((n+g.drainStep-1)/g.drainStep) {
		// It is to be over sooner than the last drain said. The step that this one was
		// waiting for comes besides.
		g.drainStep = n/drainSteps + 1
		g.drainEach = msg.over * time.Duration(g.drainStep) / time.Duration(n)
		g.closeSome(ctx)
	}
	g.finishDrain(ctx)
}

func (g *gateway) closeSome(ctx actor.Context) {
	n := min(g.drainStep, len(g.drainFrom))
	for i, session := range g.drainFrom[:n] {
		ctx.Send(session, closeGoingAway)
		letOn(i)
	}
	g.drainFrom = g.drainFrom[n:]
	if len(g.drainFrom) > 0 {
		g.system.after(g.drainEach, ctx.Self(), msgDrainNext)
	}
}

func (g *gateway) finishDrain(ctx actor.Context) {
	if !g.draining || g.count > 0 {
		return
	}
	if g.untold {
		g.untold = false
		g.tell(DrainEnded, "no session is left")
	}
	for _, waits := range g.drainers {
		ctx.Send(waits, msgDrained)
	}
	g.drainers = nil
}

// tell publishes how the drain goes.
func (g *gateway) tell(kind EventKind, reason string) {
	if g.system.watched() {
		g.system.publish(Event{Kind: kind, Shard: -1, Code: protocol.CodeDraining, Reason: reason})
	}
}

// sessionNumber reads a session's number out of the name that open has given.
func sessionNumber(pid *actor.PID) uint64 {
	name := pid.GetId()
	n, err := strconv.ParseUint(name[strings.LastIndexByte(name, '/')+1:], 10, 64)
	if err != nil {
		panic("session with a name that is no number: " + name)
	}
	return n
}
