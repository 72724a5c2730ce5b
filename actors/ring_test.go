package actors

import (
	"fmt"
	"testing"

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
