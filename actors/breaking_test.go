package actors

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// breakage has actors fail, one message in so many.
type breakage struct {
	mu     sync.Mutex
	rng    *rand.Rand // guarded by mu
	failed int        // guarded by mu
}

// one in so many is to fail.
func (b *breakage) oneIn(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rng.IntN(n) > 0 {
		return false
	}
	b.failed++
	return true
}

func (b *breakage) failures() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

const (
	crowd    = 24  // users
	messages = 150 // that each sends
)

// crowdUser is a user with a device that acknowledges, and sends to all others in turn
// until all is kept.
type crowdUser struct {
	*peer
	name    string
	pending []*protocol.Send // not kept yet, in order
	gone    bool             // it may be closed
}

// victim is whether a user's own actor is broken.
func victim(name string) bool { return strings.HasPrefix(name, "victim") }

// crowded connects all users, a half of them victims, and has everybody write to
// everybody while actors fail, until everything is kept.
func (w *world) crowded(breaks func(b *breakage, actor string, message any) bool) (users []*crowdUser, failures int) {
	w.Helper()
	b := &breakage{rng: rand.New(rand.NewPCG(1, 2))}
	for i := range crowd {
		u := &crowdUser{name: fmt.Sprint([]string{"bystander", "victim"}[i%2], i)}
		u.peer = w.v1(u.name, &protocol.Connect{Device: "phone", Window: 16})
		users = append(users, u)
	}
	for _, u := range users {
		for i := range messages {
			to := users[(i+int(u.number()))%crowd].name
			u.pending = append(u.pending, &protocol.Send{Receiver: to, Id: fmt.Sprint(u.name, "-", i), Content: fmt.Sprint(i)})
		}
	}
	w.on(func(actor string, message any) {
		if kind := fmt.Sprintf("%T", message); strings.HasPrefix(kind, "*actor.") && kind != "*actor.Started" {
			return // the end of an actor is protoactor's; there is nothing of ours to fail there
		}
		if breaks(b, actor, message) {
			panic("by order")
		}
	})
	for round := 0; ; round++ {
		busy := false
		for _, u := range users {
			busy = u.round() || busy
		}
		time.Sleep(50 * time.Millisecond)
		if !busy {
			break
		}
		if round == 2000 {
			w.Fatal("it is not kept in the end")
		}
	}
	w.on(func(string, any) {})
	time.Sleep(2 * w.config.Intensity.MaxPark)
	for range 2 * messages * crowd / 16 { // until all have had what came in between
		synctest.Wait()
		for _, u := range users {
			u.acknowledge()
		}
	}
	return users, b.failures()
}

// round sends some of what is not kept, and acknowledges. A client with a message that was
// refused sends it again before all others.
func (u *crowdUser) round() (busy bool) {
	if u.conn.isClosed() || u.gone {
		return false
	}
	if _, closing := u.conn.closeFrame(); closing {
		u.gone = true
		u.hangUp()
		return false
	}
	kept, poison := u.confirmed(), u.poison()
	u.pending = slices.DeleteFunc(u.pending, func(m *protocol.Send) bool { return kept[m.Id] > 0 || poison[m.Id] })
	for _, m := range u.pending[:min(10, len(u.pending))] {
		u.sendID(m.Receiver, m.Content, m.Id)
	}
	u.acknowledge()
	return len(u.pending) > 0
}

func (u *crowdUser) poison() map[string]bool {
	poison := map[string]bool{}
	for _, e := range of[*protocol.Error](u.conn) {
		poison[e.Id] = e.Code == string(protocol.CodePoisoned)
	}
	return poison
}

func (u *crowdUser) acknowledge() {
	u.link.Heard() // it answers its pings
	if got := u.seqs(); len(got) > 0 && !u.conn.isClosed() && !u.gone {
		u.link.Ack(got[len(got)-1])
	}
}

// whole checks what a user has got: the inbox, once, in order, and all that anybody was told
// to be kept.
func (u *crowdUser) whole(users []*crowdUser) {
	u.w.Helper()
	got := of[*protocol.Receive](u.conn)
	had := map[string]bool{}
	last := map[string]string{}
	refused := map[string]bool{} // once: what was sent behind it may have gone before
	for _, sender := range users {
		for id := range sender.refused() {
			refused[id] = true
		}
	}
	for i, m := range got {
		if m.Seq != uint64(i)+1 {
			u.w.Fatalf("%s got %d in place of %d", u.name, m.Seq, i+1)
		}
		if had[m.Id] {
			u.w.Errorf("%s got %s twice", u.name, m.Id)
		}
		had[m.Id] = true
		if refused[m.Id] {
			continue
		}
		if before := last[m.Sender]; before != "" && number(before) > number(m.Content) {
			u.w.Errorf("%s got %s of %s after %s", u.name, m.Content, m.Sender, before)
		}
		last[m.Sender] = m.Content
	}
	for _, sender := range users {
		for id := range sender.confirmed() {
			if i := number(id[strings.LastIndexByte(id, '-')+1:]); users[(i+int(sender.number()))%crowd] == u && !had[id] {
				u.w.Errorf("%s has not got %s, which is kept", u.name, id)
			}
		}
	}
}

func number(text string) (n int) {
	_, _ = fmt.Sscan(text, &n) // they are numbers
	return n
}

func breakingConfig() Config {
	return Config{
		PingInterval: 24 * time.Hour, Shards: 4, MaxInFlight: 16,
		Intensity:   Intensity{Failures: 3, Window: time.Second, Park: 50 * time.Millisecond, MaxPark: time.Second},
		Supervision: Supervision{Journal: Intensity{Park: 20 * time.Millisecond, MaxPark: 200 * time.Millisecond}},
	}
}

// One in a hundred messages of a half of the users fails its user's actor. The others
// notice nothing of it: none of theirs is refused, late in order, lost or doubled. And
// the victims lose nothing.
func TestUsersWhoFailAllTheTimeHarmNobodyElse(t *testing.T) {
	inBubble(t, breakingConfig(), func(w *world) {
		users, failures := w.crowded(func(b *breakage, actor string, message any) bool {
			return victim(actor) && b.oneIn(100)
		})
		if failures < 10 {
			t.Errorf("only %d failures", failures)
		}
		for _, u := range users {
			u.whole(users)
			if u.conn.isClosed() || u.gone {
				t.Errorf("%s is closed", u.name)
			}
			for _, e := range of[*protocol.Error](u.conn) {
				if to := users[(number(e.Id[strings.LastIndexByte(e.Id, '-')+1:])+int(u.number()))%crowd]; !victim(to.name) {
					t.Errorf("%s was refused %s, to %s: %s", u.name, e.Id, to.name, e.Code)
				}
			}
		}
		if tree := w.tree(); tree.Gateway.Sessions != crowd || tree.Survived != 0 || tree.Unhandled != 0 {
			t.Errorf("the tree is %+v", tree)
		}
	})
}

func TestSessionsThatFailCloseTheirOwnSocketAlone(t *testing.T) {
	inBubble(t, breakingConfig(), func(w *world) {
		users, failures := w.crowded(func(b *breakage, actor string, message any) bool {
			if !strings.HasPrefix(actor, "gateway/") || number(strings.TrimPrefix(actor, "gateway/"))%2 > 0 {
				return false
			}
			switch message.(type) {
			case *protocol.Sent, *protocol.Receive:
				return b.oneIn(100)
			}
			return false
		})
		closed := 0
		for _, u := range users {
			ended := u.conn.isClosed() || u.gone
			if ended {
				closed++
			}
			if !victim(u.name) {
				u.whole(users)
				if ended {
					t.Errorf("%s is closed", u.name)
				}
			}
		}
		if closed == 0 || closed != failures {
			t.Errorf("%d sessions failed, and %d sockets are closed", failures, closed)
		}
	})
}

// What the others do on it is answered with internal, or not at all if nobody waits; then
// it goes on, with all below it.
func TestActorsThatOthersNeedGoOnWhenTheyFail(t *testing.T) {
	for name, breaks := range map[string]func(b *breakage, actor string, message any) bool{
		"journal": func(b *breakage, actor string, message any) bool { return actor == "journal" && b.oneIn(50) },
		"shard": func(b *breakage, actor string, message any) bool {
			_, sends := message.(*protocol.Send)
			return strings.HasPrefix(actor, "shard/") && sends && b.oneIn(50)
		},
		"gateway": func(b *breakage, actor string, message any) bool { return actor == "gateway" && b.oneIn(2) },
	} {
		t.Run(name, func(t *testing.T) {
			config := breakingConfig()
			config.PingInterval = 10 * time.Second // the gateway beats
			onDisk(t, config, func(w *world) {
				users, failures := w.crowded(breaks)
				if failures == 0 {
					t.Error("nothing failed")
				}
				for _, u := range users {
					if u.conn.isClosed() || u.gone {
						t.Errorf("%s is closed", u.name)
					}
					u.whole(users)
				}
				if tree := w.tree(); tree.Gateway.Sessions != crowd || tree.Failures != 0 {
					t.Errorf("the tree is %+v", tree)
				}
			})
		})
	}
}
