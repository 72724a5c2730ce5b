package actors

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// rowOf is the row of the supervision table that an actor belongs to, by the name that its
// faults come under.
func rowOf(actor string) string {
	level, _, below := strings.Cut(actor, "/")
	switch {
	case below && level == "gateway":
		return "session"
	case below:
		return level
	}
	if _, top := supervision[actor]; top {
		return actor
	}
	return "user"
}

// everythingElse has the operator do, again and again, what the actors are for that no message
// comes by.
func (w *world) everythingElse(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		patience, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		_, _ = w.system.Scale(patience, []int{7, 2, 4}[n%3], "test")
		_, _ = w.system.Block(patience, Block{User: "stranger", Until: now() + 2000, At: now()})
		_, _ = w.system.Unblock(patience, protocol.UserID(fmt.Sprint("stranger", n)))
		_, _, _, _ = w.system.ListDeadletters(patience, 0, 10)
		_, _ = w.system.Describe(patience)
		_, _ = w.system.LookUser(patience, "bystander0")
		_, _ = w.system.Send(patience, &protocol.Send{Sender: "post", Receiver: fmt.Sprint("nobody", n%5), Content: "hello"})
		if guest, err := w.system.Connect(patience, "guest", Seed, &fakeConn{}); guest != nil && err == nil {
			guest.Gone(0)
		}
		cancel()
		time.Sleep(20 * time.Millisecond)
	}
}

// Whatever actors fail, and on whatever message, at a rate that is a hundred times what anybody
// would go on with: nothing that was confirmed is lost, nobody sees anything twice or out of order,
// no socket closes but those of sessions that failed, and when it is over everything works and
// nothing is left.
func TestPanicsInAnyActorAreOutlived(t *testing.T) {
	for _, level := range append(slices.Clone(levelNames), "all") {
		t.Run(level, func(t *testing.T) {
			config := breakingConfig()
			config.PingInterval, config.IdleAfter, config.Shards = 2*time.Second, time.Second, 2
			onDisk(t, config, func(w *world) { w.outlives(level) })
		})
	}
}

func (w *world) outlives(level string) {
	rate := map[string]int{"registry": 4, "gateway": 4, "doorkeeper": 3, "coroner": 3, "journal": 20}[level]
	var lost sync.Map // by session
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel() // also if what follows gives up
	go w.everythingElse(ctx)
	users, failures := w.crowded(func(b *breakage, actor string, message any) bool {
		at := rowOf(actor)
		if level != "all" && at != level || at == "session" && number(actor[len("gateway/"):])%2 > 0 || !b.oneIn(or(rate, 50)) {
			return false
		}
		if at == "session" {
			lost.Store(actor, true)
		}
		return true
	})
	cancel()
	if failures == 0 {
		w.Error("nothing failed")
	}
	for _, u := range users {
		u.link.Heard()
		_, failed := lost.Load(fmt.Sprint("gateway/", u.number()))
		switch closed := u.conn.isClosed() || u.gone; {
		case closed != failed:
			frame, _ := u.conn.closeFrame()
			w.Errorf("%s is closed: %v, with %+v", u.name, closed, frame)
		case !closed:
			u.whole(users)
		}
	}
	w.worksAsBefore(users)
}

// worksAsBefore is whether everything goes on that goes on by itself, and whether all goes that is of
// no use any more.
func (w *world) worksAsBefore(users []*crowdUser) {
	w.Helper()
	time.Sleep(5 * time.Second) // who is parked is back, and the block is over
	synctest.Wait()
	w.scale(4)
	pings := map[*crowdUser]int{}
	for range 8 {
		for _, u := range users {
			u.link.Heard()
		}
		time.Sleep(w.config.PingInterval / 2)
	}
	synctest.Wait()
	for _, u := range users {
		pings[u] = u.conn.pings()
	}
	for _, u := range users {
		u.link.Heard()
	}
	time.Sleep(w.config.PingInterval)
	synctest.Wait()
	for _, u := range users {
		if !u.conn.isClosed() && !u.gone && u.conn.pings() == pings[u] {
			w.Errorf("%s gets no pings any more", u.name)
		}
		u.hangUp()
	}
	if n := w.store.blocked(); n > 0 {
		w.Errorf("%d blocks have ended and are still there", n)
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	tree := w.tree()
	if tree.Gateway.Sessions != 0 || tree.Opened != tree.Ended || w.users() != 0 || tree.Unhandled != 0 {
		w.Errorf("all have gone, and the tree is %+v, with %d users", tree, w.users())
	}
	if rows, _, err := w.system.ListSessions(w.Context(), 0, 10); err != nil || len(rows) > 0 {
		w.Errorf("sessions that have ended are still listed: %v, %v", rows, err)
	}
}
