package simulation

import (
	"fmt"
	"testing/synctest"
	"time"
)

// Operations of several steps, for what single ones come upon too seldom.

// talk has programs write to a user whose devices acknowledge one message after the other.
func talk(r *run) {
	user := r.users[r.rng.IntN(len(r.users))]
	slow := r.rng.IntN(2) == 0
	if slow {
		slowDisk(r)
	}
	for range 2 + r.rng.IntN(8) {
		from := r.anybody()
		a := &attempt{sender: from.user, receiver: user, content: r.text(30)}
		from.ids++
		a.id = fmt.Sprintf("%s-%d", from, from.ids)
		from.send(a)
		synctest.Wait()
		for _, c := range r.clients {
			if c.user == user {
				c.readSome(1)
			}
		}
		synctest.Wait()
	}
	if slow {
		r.node.brittle.slow(0)
	}
}

// comeAtTheLastMoment writes to a user who has no session when its actor is about to leave.
func comeAtTheLastMoment(r *run) {
	user := r.users[r.rng.IntN(len(r.users))]
	for _, c := range r.clients {
		if c.user == user {
			c.cut()
		}
	}
	time.Sleep(2 * r.config.IdleAfter) // now nobody waits to leave, and the clock for it stands
	r.post(&attempt{sender: "operator", receiver: user, content: r.text(30)})
	synctest.Wait()
	const ticks = 8 // of that clock, from when a user has nothing to do to when it is asked
	time.Sleep(r.config.IdleAfter / ticks * time.Duration(ticks+r.rng.IntN(2)))
	for range 1 + r.rng.IntN(8) {
		time.Sleep(time.Duration(r.rng.IntN(4)))
		a := &attempt{sender: "operator", receiver: user, content: r.text(30)}
		if c := r.anybody(); r.rng.IntN(2) == 0 {
			c.ids++
			a.sender, a.id = c.user, fmt.Sprintf("%s-%d", c, c.ids)
			c.send(a)
		} else {
			r.post(a)
		}
	}
}

// part has one of those who share a user's cursor fall behind, the user's actor fail, and
// another one come back.
func part(r *run) {
	user := r.users[r.rng.IntN(len(r.users))]
	var shared []*client
	for _, c := range r.clients {
		if c.user == user && !c.named() {
			shared = append(shared, c)
		}
	}
	behind, back := r.rng.IntN(5), r.rng.IntN(5)
	if len(shared) < 2 {
		return
	}
	mail := func() { r.post(&attempt{sender: "operator", receiver: user, content: r.text(30)}) }
	for _, c := range shared {
		r.mu.Lock()
		busy := c.conn.alive()
		r.mu.Unlock()
		if !busy {
			c.connect()
		}
	}
	mail()
	time.Sleep(400 * time.Millisecond)
	shared[behind%len(shared)].stall()
	mail()
	time.Sleep(400 * time.Millisecond)
	r.node.brittle.arm(&order{where: user, after: r.rng.IntN(3), times: 1})
	mail()
	synctest.Wait()
	c := shared[back%len(shared)]
	c.cut()
	c.connect()
	time.Sleep(400 * time.Millisecond)
}
