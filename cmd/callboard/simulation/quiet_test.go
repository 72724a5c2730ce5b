package simulation

import (
	"testing/synctest"
	"time"
)

// When nothing is broken the service has to know what devices have, and may not send it again.

// troubled notes that something was broken on purpose just now.
func (r *run) troubled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastTrouble = time.Now()
}

// quiet is whether there has been no trouble for longer than any recovery takes.
func (r *run) quiet() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.node.dead && !r.node.failing && r.node.brittle.armed.Load() == 0 && r.node.brittle.delay.Load() == 0 &&
		time.Since(r.lastTrouble) > recovery
}

// recovery is longer than a user can be parked, and than a store takes to be tried again.
const recovery = 5 * time.Second

// checkpoint looks at what devices have said that they have. It has to be quiet. What it
// returns notes that, when the service has had the time to keep it.
func (r *run) checkpoint() (note func()) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	devices, nameless, forgotten := map[*client]uint64{}, map[string]uint64{}, map[*client]int{}
	for _, c := range r.clients {
		if c.named() && c.conn.alive() {
			devices[c], forgotten[c] = c.conn.acked, c.forgotten
		}
	}
	for _, user := range r.users {
		if has, known := r.namelessHas(user); known {
			nameless[user] = has
		}
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for c, has := range devices {
			if c.forgotten == forgotten[c] {
				c.sure = max(c.sure, has)
			}
		}
		for user, has := range nameless {
			r.sure[user] = max(r.sure[user], has)
		}
	}
}

// namelessHas is what all sessions of a user's nameless device have, if that can be said.
func (r *run) namelessHas(user string) (has uint64, known bool) {
	has = 1 << 62
	for _, c := range r.conns {
		if c.client.user != user || c.client.named() || c.node != r.node || c.closed || c.ended {
			continue
		}
		if !c.alive() || c.stalled || c.client.seed && c.taken == 0 {
			return 0, false
		}
		if c.client.seed {
			has, known = min(has, c.taken), true
		} else {
			has = min(has, c.acked)
		}
	}
	return has, known
}
