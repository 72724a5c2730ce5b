package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// ring says which shard a user belongs to. It never changes: another number of
// shards is another ring.
type ring struct {
	shards []*actor.PID
}

// shard is the one road to a user.
func (r *ring) shard(user protocol.UserID) *actor.PID {
	return r.shards[shardOf(user, len(r.shards))]
}

// shardOf maps a user to one of n shards, 0 to n-1. It is a pure function, the
// same on every machine and in every version: balanced, and when n grows to n+1
// only 1/(n+1) of the users move, all of them to the new shard.
//
// The hash is FNV-1a (64 bit) with the finalizer of MurmurHash3, which spreads
// the short, similar ids that users have; the placement is the jump consistent
// hash of Lamping and Veach (arXiv:1406.2294).
func shardOf(user protocol.UserID, n int) int {
	h := uint64(14695981039346656037)
	for i := range len(user) {
		h = (h ^ uint64(user[i])) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33

	shard, next := int64(-1), int64(0)
	for next < int64(n) {
		shard = next
		h = h*2862933555777941757 + 1
		next = int64(float64(shard+1) * (float64(1<<31) / float64((h>>33)+1)))
	}
	return int(shard)
}
