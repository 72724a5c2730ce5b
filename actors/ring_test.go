package actors

import (
	"fmt"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

func TestShardsAreBalanced(t *testing.T) {
	const users, shards = 100_000, 64
	for _, form := range []string{"%d", "user-%d", "u%08d@example.org", "%d-a"} {
		var count [shards]int
		most := 0
		for i := range users {
			n := shardOf(protocol.UserID(fmt.Sprintf(form, i)), shards)
			count[n]++
			most = max(most, count[n])
		}
		if ratio := float64(most) * shards / users; ratio >= 1.25 {
			t.Errorf("ids like %s: the largest shard has %.2f times the mean", fmt.Sprintf(form, 7), ratio)
		}
	}
}

// One more shard takes its share from all, and nobody else moves.
func TestOneMoreShardMovesItsShareAlone(t *testing.T) {
	const users = 20_000
	for n := 1; n <= 64; n++ {
		moved := 0
		for i := range users {
			user := protocol.UserID(fmt.Sprint(i))
			before, after := shardOf(user, n), shardOf(user, n+1)
			if before == after {
				continue
			}
			moved++
			if after != n {
				t.Fatalf("from %d to %d shards user %s moves from %d to %d", n, n+1, user, before, after)
			}
		}
		if want := float64(users) / float64(n+1); float64(moved) > want*1.3 || float64(moved) < want*0.7 {
			t.Errorf("from %d to %d shards %d users move, want about %.0f", n, n+1, moved, want)
		}
	}
}

// Other nodes and later versions must find the same shard.
func TestShardOfAUserNeverChanges(t *testing.T) {
	for _, test := range []struct {
		user               protocol.UserID
		in16, in64, in4096 int
	}{
		{"1", 8, 54, 4010},
		{"2", 11, 42, 42},
		{"3", 1, 17, 2599},
		{"42", 13, 23, 830},
		{"18446744073709551615", 1, 54, 2536},
		{"alice", 15, 39, 2358},
		{"bob", 5, 63, 538},
		{"carol@example.org", 0, 47, 2420},
		{"a", 5, 24, 1093},
		{"Z", 13, 13, 1786},
		{"._-:@+", 8, 8, 3950},
		{"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 8, 8, 1259},
	} {
		for n, want := range map[int]int{1: 0, 16: test.in16, 64: test.in64, 4096: test.in4096} {
			if got := shardOf(test.user, n); got != want {
				t.Errorf("shardOf(%q, %d) is %d, want %d", test.user, n, got, want)
			}
		}
	}
}

// However the number changes, nobody moves between two shards that are there before and
// after: more shards take from all, fewer give to all.
func TestNobodyMovesWithoutNeed(t *testing.T) {
	const users = 20_000
	for _, test := range [][2]int{{8, 32}, {32, 8}, {8, 1}, {1, 4096}, {4096, 1}, {16, 24}, {100, 99}} {
		from, to, moved := test[0], test[1], 0
		for i := range users {
			user := protocol.UserID(fmt.Sprint("user-", i))
			before, after := shardOf(user, from), shardOf(user, to)
			if before == after {
				continue
			}
			moved++
			if after < from && before < to {
				t.Fatalf("from %d to %d shards user %s moves from %d to %d, which both stay", from, to, user, before, after)
			}
		}
		share := 1 - float64(min(from, to))/float64(max(from, to))
		if got := float64(moved) / users; got < share*0.9-0.01 || got > share*1.1+0.01 {
			t.Errorf("from %d to %d shards %.3f of the users move, want about %.3f", from, to, got, share)
		}
	}
}

// On the way a user belongs to the old shard or to the new one, and never goes back; each
// slice has about its share of those who move.
func TestRingOnTheWay(t *testing.T) {
	const users = 50_000
	number := func(r *ring, user protocol.UserID) (shard int, moved bool) {
		h := hashOf(user)
		if sliceOf(h) >= r.bound {
			return placeOf(h, len(r.from)), false
		}
		return placeOf(h, len(r.shards)), true
	}
	roads := func(n int) []road {
		roads := make([]road, n)
		for i := range roads {
			roads[i].pid = &actor.PID{Id: fmt.Sprint(i)}
		}
		return roads
	}
	before, done := 0, make(map[protocol.UserID]bool)
	for bound := uint32(0); bound <= ringSlices; bound += 128 {
		r := &ring{shards: roads(32), from: roads(8), bound: bound}
		moved := 0
		for i := range users {
			user := protocol.UserID(fmt.Sprint(i))
			want, there := number(r, user)
			if got := r.road(user).pid.Id; got != fmt.Sprint(want) {
				t.Fatalf("below %d user %s is on the road to %s, want %d", bound, user, got, want)
			}
			if done[user] && !there {
				t.Fatalf("below %d user %s goes back", bound, user)
			}
			done[user] = there
			if there && shardOf(user, 8) != shardOf(user, 32) {
				moved++
			}
		}
		if step := moved - before; bound > 0 && (step < users*3/4/8*9/10 || step > users*3/4/8*11/10) {
			t.Errorf("up to %d, %d users moved in the step, want about %d", bound, step, users*3/4/8)
		}
		before = moved
	}
	if before < users*7/10 {
		t.Errorf("%d users have moved in the end", before)
	}
}
