package actors

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"callboard/protocol"
)

// Whatever happens in whatever order: order is kept, nothing comes twice, nothing
// between users who stay is lost without a word, nobody is deaf afterwards, and in
// the end nothing is left. rapid prints the seed of a failure and shrinks it.
func TestPromisesHoldWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plan := rapid.SliceOfN(rapid.Custom(drawStep), 1, 150).Draw(rt, "plan")
		var fault string
		config := Config{
			Shards: 3, MaxInFlight: 3, MaxSessionsPerUser: 3, IdleAfter: 2 * time.Second,
			PingInterval: 10 * time.Hour, CloseTimeout: time.Second, MaxWaitingBytes: protocol.MaxFrameBytes,
			Intensity: Intensity{Failures: 2, Window: time.Second, Park: 100 * time.Millisecond, MaxPark: 2 * time.Second},
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

func (p *play) connect(user int, stays bool) {
	pl := &player{peer: &peer{w: p.w, conn: &fakeConn{}}, user: user, stays: stays, jobs: make(chan func(), 1000), sent: map[string]string{}}
	pl.conn.onWrite = func(protocol.Message) {
		if pl.broken.Load() {
			panic("crash on purpose")
		}
	}
	link, err := p.w.system.Connect(p.w.Context(), protocol.UserID(name(user)), pl.conn)
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
	for user := range steady {
		p.connect(user, true)
	}
	poisons := []string{
		fmt.Sprintf("%T", &attach{}), fmt.Sprintf("%T", &detach{}), fmt.Sprintf("%T", &rest{}),
		fmt.Sprintf("%T", &mayLeave{}), fmt.Sprintf("%T", &actor.Started{}), fmt.Sprintf("%T", &closeUser{}),
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
			p.poison[s.A].Store(&poisons[s.B])
		case "connect":
			p.connect(s.A, false)
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
	case "hang up":
		pl.jobs <- func() { pl.link.Gone(0) }
	case "close":
		pl.jobs <- func() { pl.link.Close() }
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
	for _, pl := range p.players {
		pl.conn.release(nil)
		pl.broken.Store(false)
	}
	for i := range p.poison {
		p.poison[i].Store(nil)
	}
	time.Sleep(time.Minute)
	synctest.Wait()

	for _, check := range []func() string{p.ordered, p.notLost, p.notDeaf, p.counted} {
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

// ordered: what came from one session to one session came once and in order.
func (p *play) ordered() string {
	for _, pl := range p.players {
		last := map[string]string{}
		for _, receive := range of[*protocol.Receive](pl.conn) {
			from, _, _ := strings.Cut(receive.Id, "/")
			if receive.Id <= last[from] {
				return fmt.Sprintf("%s got %s after %s", name(pl.user), receive.Id, last[from])
			}
			if receive.Content == "fatal" {
				return fmt.Sprintf("%s got what its actor failed on", name(pl.user))
			}
			last[from] = receive.Id
		}
	}
	return ""
}

// notLost: between two who stay, a message arrives or its sender is told; not both.
func (p *play) notLost() string {
	got := map[string]bool{} // receiver and id
	for _, pl := range p.players {
		if pl.stays {
			for _, receive := range of[*protocol.Receive](pl.conn) {
				got[receive.Receiver+" "+receive.Id] = true
			}
		}
	}
	for _, pl := range p.players {
		if !pl.stays {
			continue
		}
		if !pl.alive() {
			return fmt.Sprintf("the session of %s, who stays, has ended", name(pl.user))
		}
		told := map[string]int{}
		for _, e := range of[*protocol.Error](pl.conn) {
			told[e.Id]++
			if told[e.Id] > 1 || pl.sent[e.Id] == "" {
				return fmt.Sprintf("%s was told of %s %d times", name(pl.user), e.Id, told[e.Id])
			}
		}
		for id, receiver := range pl.sent {
			if !slices.Contains([]string{"u0", "u1", "u2"}, receiver) {
				continue
			}
			if arrived := got[receiver+" "+id]; arrived == (told[id] > 0) {
				return fmt.Sprintf("%s sent %s to %s: arrived %v, told %v", name(pl.user), id, receiver, arrived, told[id] > 0)
			}
		}
	}
	return ""
}

// notDeaf: every session that is there gets what is sent to its user now, and may send.
func (p *play) notDeaf() string {
	for user := range cast {
		connected := p.pick(user, 0, false) != nil
		err := p.w.system.Send(p.w.Context(), &protocol.Send{Sender: "probe", Receiver: name(user), Content: "probe"})
		if (err == nil) != connected {
			return fmt.Sprintf("%s is connected: %v, and a probe is answered %v", name(user), connected, err)
		}
	}
	synctest.Wait()
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
	return ""
}

// empty: when all have gone, nobody has an actor but those who are always there.
func (p *play) empty() string {
	if tree := p.w.tree(); tree.Gateway.Sessions != 0 || tree.Opened != tree.Ended || p.w.users() != 0 {
		return fmt.Sprintf("all have gone, and the tree is %+v", tree)
	}
	if left := p.w.actors(); len(left) != 2+3 {
		return fmt.Sprintf("all have gone, and the actors are %v", left)
	}
	return ""
}
