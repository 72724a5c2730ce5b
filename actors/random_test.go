package actors

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"callboard/protocol"
)

// Whatever happens in whatever order: what was confirmed is kept, every session gets
// its inbox in order and without a gap or a repetition, whoever sent is told what
// became of it, nobody is deaf afterwards, and in the end nothing is left. rapid
// prints the seed of a failure and shrinks it.
func TestPromisesHoldWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plan := rapid.SliceOfN(rapid.Custom(drawStep), 1, 150).Draw(rt, "plan")
		var fault string
		config := Config{
			Shards: 3, MaxInFlight: 3, MaxSessionsPerUser: 3, IdleAfter: 2 * time.Second,
			PingInterval: 10 * time.Hour, CloseTimeout: time.Second, MaxWaitingBytes: protocol.MaxFrameBytes,
			Intensity: Intensity{Failures: 2, Window: time.Second, Park: 100 * time.Millisecond, MaxPark: 2 * time.Second},
			hooks:     hooks{maxAway: 1},
		}
		inBubble(t, config, func(w *world) { fault = newPlay(w).run(plan) })
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}

// step is one thing that happens.
type step struct {
	Do   string
	A, B int // users, or what Do makes of them
}

// cast is the number of users; the first steady of them stay from the beginning
// to the end, each with one session that nothing happens to.
const cast, steady = 6, 3

func drawStep(t *rapid.T) step {
	return step{
		Do: rapid.SampledFrom([]string{
			"send", "send", "send", "send", "send", "large", "connect", "connect", "hang up", "close", "close frame",
			"stall", "release", "fatal", "fatal", "poison", "break", "close user", "wait", "idle",
			"ack", "ack", "ack", "disk breaks", "disk works", "disk stalls", "scale", "scale", "scale",
		}).Draw(t, "do"),
		A: rapid.IntRange(0, cast-1).Draw(t, "a"),
		B: rapid.IntRange(0, cast-1).Draw(t, "b"),
	}
}

// play is a run of a plan.
type play struct {
	w       *world
	players []*player
	sent    int
	poison  [cast]atomic.Pointer[string] // the kind of message that the user's next one of panics on
}

// player is one session with the goroutine that reads for it.
type player struct {
	*peer
	user   int
	stays  bool
	jobs   chan func()
	sent   map[string]string // id to receiver; the reader's until the end
	broken atomic.Bool       // its next write panics
	hello  *protocol.Connect // what it said, in V1
}

func newPlay(w *world) *play {
	p := &play{w: w}
	w.on(func(name string, message any) {
		if send, ok := message.(*protocol.Send); ok && send.Content == "fatal" && name == send.Receiver {
			panic("crash on purpose")
		}
		var user int
		if _, err := fmt.Sscanf(name, "u%d", &user); err != nil {
			return
		}
		if kind := p.poison[user].Load(); kind != nil && *kind == fmt.Sprintf("%T", message) && p.poison[user].CompareAndSwap(kind, nil) {
			panic("crash on purpose")
		}
	})
	return p
}

func name(user int) string { return fmt.Sprint("u", user) }

func (p *play) connect(user int, stays bool, hello *protocol.Connect) {
	pl := &player{
		peer: &peer{w: p.w, conn: &fakeConn{}}, user: user, stays: stays, hello: hello,
		jobs: make(chan func(), 1000), sent: map[string]string{},
	}
	pl.conn.onWrite = func(protocol.Message) {
		if pl.broken.Load() {
			panic("crash on purpose")
		}
	}
	dialect := Seed
	if hello != nil {
		dialect = V1
	}
	link, err := p.w.system.Connect(p.w.Context(), protocol.UserID(name(user)), dialect, pl.conn)
	if err != nil {
		if link != nil {
			link.Gone(protocol.CloseNormal)
		}
		pl.conn.Close()
		return
	}
	pl.link = link
	p.players = append(p.players, pl)
	go func() {
		for job := range pl.jobs {
			job()
		}
	}()
	if hello != nil {
		pl.jobs <- func() { pl.link.Connect(hello) }
	}
}

// ack acknowledges what has arrived.
func (pl *player) ack() {
	if pl.hello == nil {
		return
	}
	if got := of[*protocol.Receive](pl.conn); len(got) > 0 {
		seq := got[len(got)-1].Seq
		pl.jobs <- func() { pl.link.Ack(seq) }
	}
}

// pick is a session of the user, or nil. With extra, one that something may happen to.
func (p *play) pick(user, choice int, extra bool) *player {
	var of []*player
	for _, pl := range p.players {
		if pl.user == user && pl.alive() && (!extra || !pl.stays) {
			of = append(of, pl)
		}
	}
	if len(of) == 0 {
		return nil
	}
	return of[choice%len(of)]
}

func (pl *player) alive() bool { return !pl.conn.isClosed() && !pl.link.ended.Load() }

func (p *play) send(a, b, choice int, content string) {
	from := p.pick(a, choice, false)
	if from == nil {
		return
	}
	p.sent++
	id := fmt.Sprintf("%d/%06d", from.number(), p.sent)
	if content == "" {
		content = id
	}
	from.jobs <- func() {
		if from.sendID(name(b), content, id) {
			from.sent[id] = name(b)
		}
	}
}

func (p *play) run(plan []step) (fault string) {
	p.connect(0, true, nil)
	p.connect(1, true, &protocol.Connect{Device: "home", Window: 4})
	p.connect(2, true, &protocol.Connect{})
	synctest.Wait() // a session that is not attached yet is refused when its user is parked
	poisons := []string{
		fmt.Sprintf("%T", &attach{}), fmt.Sprintf("%T", &detach{}), fmt.Sprintf("%T", &rest{}),
		fmt.Sprintf("%T", &mayLeave{}), fmt.Sprintf("%T", &depart{}), fmt.Sprintf("%T", &actor.Started{}), fmt.Sprintf("%T", &committed{}),
	}
	for _, s := range plan {
		switch s.Do {
		case "send":
			p.send(s.A, s.B, s.B, "")
		case "large":
			p.send(s.A, s.B, s.B, strings.Repeat("x", 20<<10))
		case "fatal":
			p.send(s.A, s.B, s.B, "fatal")
		case "poison":
			p.poison[s.A].Store(&poisons[(s.A+s.B)%len(poisons)])
		case "connect":
			switch {
			case s.B < 2:
				p.connect(s.A, false, nil)
			case s.B < 4:
				p.connect(s.A, false, &protocol.Connect{Device: "phone", Window: uint32(s.B)})
			default:
				p.connect(s.A, false, &protocol.Connect{Window: 1})
			}
		case "disk breaks":
			p.w.store.breaks(errDisk)
		case "disk works":
			p.w.store.breaks(nil)
		case "disk stalls":
			p.w.store.pause(time.Duration(1+s.A) * 10 * time.Millisecond)
		case "scale": // refused if one is under way
			go func() { _, _ = p.w.system.Scale(p.w.Context(), 1+s.A+s.B, "at random") }()
		case "wait":
			synctest.Wait()
		case "idle":
			time.Sleep(time.Duration(s.A*s.B) * 100 * time.Millisecond)
		case "close user":
			if s.A >= steady {
				go func() {
					_, _ = p.w.system.CloseUser(p.w.Context(), protocol.UserID(name(s.A)), protocol.CloseNormal, "")
				}()
			}
		default:
			if pl := p.pick(s.A, s.B, true); pl != nil {
				pl.happen(s.Do)
			}
		}
	}
	return p.end()
}

func (pl *player) happen(what string) {
	switch what {
	case "ack":
		pl.ack()
	case "hang up":
		pl.jobs <- func() { pl.link.Gone(0) }
	case "close":
		pl.jobs <- func() { pl.link.Close(protocol.CloseNormal, "") }
	case "close frame":
		pl.jobs <- func() { pl.link.Gone(protocol.CloseNormal) }
	case "stall":
		pl.conn.stall()
	case "release":
		pl.conn.release(nil)
	case "break":
		pl.broken.Store(true)
	}
}

// end lets everything come to rest and checks the promises.
func (p *play) end() (fault string) {
	p.w.store.breaks(nil)
	for _, pl := range p.players {
		pl.conn.release(nil)
		pl.broken.Store(false)
	}
	for i := range p.poison {
		p.poison[i].Store(nil)
	}
	time.Sleep(time.Minute)
	p.catchUp()

	for _, check := range []func() string{p.notDeaf, p.inOrder, p.told, p.counted} {
		if fault = check(); fault != "" {
			break
		}
	}
	for _, pl := range p.players {
		pl.jobs <- func() { pl.link.Gone(0) }
		close(pl.jobs)
	}
	time.Sleep(time.Minute)
	if fault == "" {
		fault = p.empty()
	}
	return fault
}

// catchUp has every device acknowledge until nothing comes any more.
func (p *play) catchUp() {
	for more := true; more; {
		synctest.Wait()
		more = false
		for _, pl := range p.players {
			if !pl.alive() {
				continue
			}
			before := len(of[*protocol.Receive](pl.conn))
			pl.ack()
			synctest.Wait()
			more = more || len(of[*protocol.Receive](pl.conn)) > before
		}
	}
}

// inOrder: what a session got is a piece of its user's inbox, without a gap; for one
// that is alive, up to the end of it.
func (p *play) inOrder() string {
	for _, pl := range p.players {
		inbox := p.w.store.contents(name(pl.user))
		last := uint64(0)
		for _, receive := range of[*protocol.Receive](pl.conn) {
			switch {
			case last != 0 && receive.Seq != last+1:
				return fmt.Sprintf("%s got %d after %d", name(pl.user), receive.Seq, last)
			case receive.Seq > uint64(len(inbox)) || inbox[receive.Seq-1] != receive.Content:
				return fmt.Sprintf("%s got as %d what is not there in the inbox", name(pl.user), receive.Seq)
			case receive.Content == "fatal":
				return fmt.Sprintf("%s got what its actor failed on", name(pl.user))
			}
			last = receive.Seq
		}
		if pl.alive() && last != uint64(len(inbox)) {
			return fmt.Sprintf("session %d of %s got its inbox up to %d of %d", pl.number(), name(pl.user), last, len(inbox))
		}
		if pl.stays {
			if got := of[*protocol.Receive](pl.conn); len(got) > 0 && got[0].Seq != 1 {
				return fmt.Sprintf("%s, who stays, got its inbox from %d on", name(pl.user), got[0].Seq)
			}
		}
	}
	return ""
}

// told: a message of one who stays is in the inbox once, or its sender is told that
// it is not; in V1 the sender is told of both, once, and rightly.
func (p *play) told() string {
	places := map[string][]uint64{} // by receiver, sender and id
	for user := range cast {
		for _, e := range p.w.store.entries(name(user)) {
			key := name(user) + " " + e.Message.Sender + " " + e.Message.Id
			places[key] = append(places[key], e.Message.Seq)
		}
	}
	for _, pl := range p.players {
		if !pl.stays {
			continue
		}
		if !pl.alive() {
			return fmt.Sprintf("the session of %s, who stays, has ended", name(pl.user))
		}
		refused, sent := map[string]int{}, map[string]uint64{}
		for _, e := range of[*protocol.Error](pl.conn) {
			if refused[e.Id]++; refused[e.Id] > 1 || pl.sent[e.Id] == "" {
				return fmt.Sprintf("%s was told of %s %d times", name(pl.user), e.Id, refused[e.Id])
			}
		}
		for _, m := range of[*protocol.Sent](pl.conn) {
			if sent[m.Id] != 0 || pl.hello == nil {
				return fmt.Sprintf("%s was sent SENT for %s again, or ever", name(pl.user), m.Id)
			}
			sent[m.Id] = m.Seq
		}
		for id, receiver := range pl.sent {
			at := places[receiver+" "+name(pl.user)+" "+id]
			if len(at)+refused[id] != 1 {
				return fmt.Sprintf("%s sent %s to %s: it is at %v, and was refused %d times", name(pl.user), id, receiver, at, refused[id])
			}
			if pl.hello != nil && len(at) == 1 && sent[id] != at[0] {
				return fmt.Sprintf("%s was told that %s is at %d, and it is at %v", name(pl.user), id, sent[id], at)
			}
		}
	}
	return ""
}

// notDeaf: everybody can be written to, every session that is there gets it, and may
// send itself.
func (p *play) notDeaf() string {
	for user := range cast {
		msg := &protocol.Send{Sender: "probe", Receiver: name(user), Content: "probe"}
		if _, err := p.w.system.Send(p.w.Context(), msg); err != nil {
			return fmt.Sprintf("a probe of %s is answered %v", name(user), err)
		}
	}
	p.catchUp()
	for _, pl := range p.players {
		if !pl.alive() {
			continue
		}
		if got := pl.conn.contents(); len(got) == 0 || got[len(got)-1] != "probe" {
			return fmt.Sprintf("session %d of %s is deaf", pl.number(), name(pl.user))
		}
		if got := pl.link.credits.Load(); got != 3 {
			return fmt.Sprintf("session %d of %s has %d credits at rest, want 3", pl.number(), name(pl.user), got)
		}
	}
	return ""
}

// counted: the tree says what is.
func (p *play) counted() string {
	alive := 0
	for _, pl := range p.players {
		if pl.alive() {
			alive++
		}
	}
	if tree := p.w.tree(); tree.Gateway.Sessions != alive || tree.Survived != 0 {
		return fmt.Sprintf("%d sessions are alive, the tree says %+v", alive, tree)
	}
	if now := p.w.system.Scaling(); now.Phase != Settled {
		return fmt.Sprintf("the number of shards is not settled: %+v", now)
	}
	return ""
}

// empty: when all have gone, nobody has an actor but those who are always there.
func (p *play) empty() string {
	if tree := p.w.tree(); tree.Gateway.Sessions != 0 || tree.Opened != tree.Ended || p.w.users() != 0 {
		return fmt.Sprintf("all have gone, and the tree is %+v", tree)
	}
	always := 4 + p.w.system.Scaling().To
	if p.w.system.journal != nil {
		always++
	}
	if left := p.w.actors(); len(left) != always {
		return fmt.Sprintf("all have gone, and the actors are %v", left)
	}
	return ""
}

var errDisk = errors.New("the disk does not answer")
