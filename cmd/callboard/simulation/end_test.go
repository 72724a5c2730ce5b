package simulation

import (
	"context"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors"
)

// How a run ends: all trouble stops, and after a while everything has to work.

// calm ends all trouble and waits until the service has got over it.
func (r *run) calm() {
	r.say("all trouble ends")
	r.resurrect()
	r.replaceDrained(true)
	r.node.files.Crash(0, nil)
	r.resurrect()
	r.node.brittle.disarm()
	r.node.heal()
	for _, c := range r.clients {
		c.release()
	}
	for _, n := range r.conns { // a shared cursor waits for a session that nobody looks at any more
		if !n.client.named() && n.client.conn != n {
			n.breakOff()
		}
	}
	time.Sleep(time.Minute)
	r.unblockAll()
	synctest.Wait()
}

// answered: who has sent something on a session that is still there was told what became of it,
// or it is kept. In V1 there is an answer for each SEND.
func (r *run) answered() {
	r.audit()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.conns {
		if !n.alive() || n.stalled {
			continue
		}
		if !n.client.seed {
			if n.owed != 0 {
				r.breaks("%s has %d sends without an answer", n.name, n.owed)
			}
			continue
		}
		refused := 0
		for _, a := range n.sends {
			if r.ledger.kept(a) || r.retention > 0 {
				continue
			}
			if a.id != "" && n.refused[a.id] == 0 {
				r.breaks("%s has sent %s: it is not kept, and nobody said so", n.name, a)
			}
			if a.id == "" {
				refused++
			}
		}
		if refused > n.refused[""] {
			r.breaks("%s has sent %d messages without an id that are not kept, and was told of %d", n.name, refused, n.refused[""])
		}
	}
}

// reachable: every program can connect, and everybody can send to everybody.
func (r *run) reachable() {
	for _, c := range r.clients {
		r.mu.Lock()
		c.eager = true
		if c.conn.alive() {
			c.conn.readSome(len(c.conn.unread))
		}
		connected := c.conn.alive()
		r.mu.Unlock()
		if !connected {
			c.connect()
			synctest.Wait()
		}
	}
	time.Sleep(time.Second)
	synctest.Wait()
	r.mu.Lock()
	for _, c := range r.clients {
		if !c.conn.alive() {
			r.breaks("%s cannot connect: %v, closed with %d", c.conn.name, c.conn.err, c.conn.farewell)
		}
	}
	r.mu.Unlock()
	if r.broken() {
		return
	}
	r.talks()
	for i, c := range r.clients {
		for _, user := range []string{c.user, r.users[i%len(r.users)]} {
			a := &attempt{sender: c.user, receiver: user, id: c.String() + "-probe-" + user, content: r.text(5)}
			c.send(a)
			time.Sleep(600 * time.Millisecond) // an inbox may be full until its devices have been heard
			r.mu.Lock()
			if !r.ledger.kept(a) {
				r.breaks("%s cannot send to %s", c, user)
			}
			r.mu.Unlock()
		}
	}
	synctest.Wait()
	r.audit()
}

// talks has many messages and acknowledgements wait for one commit.
func (r *run) talks() {
	for range 3 {
		talk(r)
	}
	r.node.brittle.slow(0)
	time.Sleep(5 * time.Second)
}

// complete: every device has everything, on one session.
func (r *run) complete() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.conns {
		if n.alive() && n.client.named() && n.client.conn != n {
			r.breaks("%s is still there, and %s has taken its place", n.name, n.client.conn.name)
		}
	}
	for _, c := range r.clients {
		head := r.ledger.box(c.user).head
		switch {
		case c.conn.taken != head:
			r.breaks("%s got its inbox up to %d, and it ends at %d", c.conn.name, c.conn.taken, head)
		case c.named() && c.received != head:
			r.breaks("%s has its inbox up to %d, and it ends at %d", c, c.received, head)
		case !c.seed && c.conn.owed != 0:
			r.breaks("%s has %d sends without an answer", c.conn.name, c.conn.owed)
		}
	}
}

// empty: when all have gone, nothing of them is left.
func (r *run) empty() {
	r.say("everybody goes")
	r.mu.Lock()
	for _, c := range r.conns {
		if c.node == r.node {
			c.gone(0)
		}
	}
	r.mu.Unlock()
	time.Sleep(time.Minute)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	tree, err := r.node.system.Describe(ctx)
	r.mustNot("looking at the tree", err)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	users := 0
	for _, s := range tree.Shards {
		users += s.Users
	}
	if state := r.node.system.Scaling(); state.Phase != actors.Settled || len(tree.Shards) != state.To {
		r.breaks("all have gone, and the number of shards is still changing: %+v, there are %d", state, len(tree.Shards))
	}
	if tree.Gateway.Sessions != 0 || tree.Opened != tree.Ended || users != 0 || tree.Survived != r.node.brittle.survived.Load() || tree.Journal.Trouble != nil {
		r.breaks("all have gone, and the tree is %+v", tree)
	}
}

// lasting: the service stops, and the machine ends; everything is there, and the devices
// stand where they stood.
func (r *run) lasting() {
	n := r.node
	n.end(true)
	if r.broken() {
		return
	}
	r.start(n.mem.CrashClone(vfs.CrashCloneCfg{}))
	if r.broken() {
		return
	}
	for _, c := range r.clients {
		c.own = false
		c.connect()
		synctest.Wait()
	}
	time.Sleep(time.Second)
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.clients {
		switch {
		case !c.conn.alive():
			r.breaks("%s cannot connect after the restart: %v, closed with %d", c.conn.name, c.conn.err, c.conn.farewell)
		case c.named() && c.conn.start != c.received || c.seed && c.conn.taken != 0:
			r.breaks("%s has everything, and is sent some of it again", c.conn.name)
		}
	}
}
