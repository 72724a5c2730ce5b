package actors

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// From any number to any other: everybody is where they belong, with their sessions, and
// goes on as if nothing had been.
func TestUsersMoveToTheirShards(t *testing.T) {
	for _, numbers := range [][]int{{1, 2}, {2, 1}, {3, 8, 5, 1, 64}, {16, 17, 16}, {1, MaxShards, 2}} {
		t.Run(fmt.Sprint(numbers), func(t *testing.T) {
			inBubble(t, Config{Shards: numbers[0], PingInterval: time.Hour}, func(w *world) {
				const users = 50
				var peers []*peer
				for i := range users {
					if i%2 == 0 {
						peers = append(peers, w.connect(name(i)))
					} else {
						peers = append(peers, w.device(name(i), "phone"))
					}
				}
				sent := 0
				chat := func() {
					sent++
					for i, p := range peers {
						p.sendID(name((i+7)%users), fmt.Sprint(sent), fmt.Sprint(sent))
					}
					synctest.Wait()
				}
				chat()
				for _, n := range numbers[1:] {
					before := len(w.system.ring.Load().shards)
					state := w.scale(n)
					if state.From != before || state.To != n || state.Moved != state.ToMove {
						t.Errorf("from %d to %d: %+v", before, n, state)
					}
					chat()
					tree := w.tree()
					if len(tree.Shards) != n {
						t.Fatalf("%d shards, want %d", len(tree.Shards), n)
					}
					want := make([]int, n)
					for i := range users {
						want[shardOf(protocol.UserID(name(i)), n)]++
					}
					for _, s := range tree.Shards {
						if s.Users != want[s.Number] {
							t.Errorf("shard %d of %d has %d users, want %d", s.Number, n, s.Users, want[s.Number])
						}
					}
				}
				for i, p := range peers {
					var want []string
					for n := range sent {
						want = append(want, fmt.Sprint(n+1))
					}
					if got := p.conn.contents(); !slices.Equal(got, want) {
						t.Errorf("%s got %q, want %q", name(i), got, want)
					}
					if _, closed := p.conn.closeFrame(); closed || p.conn.isClosed() {
						t.Errorf("the socket of %s was closed", name(i))
					}
				}
			})
		})
	}
}
