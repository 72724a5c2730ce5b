package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/mailbox"
	"callboard/protocol"
)

// ring says which shard a user belongs to. It never changes: another number of
// shards is another ring. While users move from one number to another there is a ring
// for each step of the way: the users of the slices below bound belong to shards
// already, the others still to from.
type ring struct {
	version uint64 // a later ring has a higher one
	shards  []road
	from    []road // nil when nobody moves
	bound   uint32 // of the slices
}

// road is the way to a shard.
type road struct {
	pid *actor.PID
	box *mailbox.Gated // of the shard: senders post here, by the ring's version
}

// ringSlices is the number of parts of the users that may move one after another. A user's
// slice is the first 10 bits of the hash.
const ringSlices = 1024

func sliceOf(hash uint64) uint32 { return uint32(hash >> 54) }

// road is the one road to a user.
func (r *ring) road(user protocol.UserID) road {
	h := hashOf(user)
	if r.from != nil && sliceOf(h) >= r.bound {
		return r.from[placeOf(h, len(r.from))]
	}
	return r.shards[placeOf(h, len(r.shards))]
}

// post puts a message on the road to a user. It returns false if the road was another
// by the time it came there: then there is a newer ring.
func (r *ring) post(user protocol.UserID, message any) bool {
	return r.road(user).box.Post(r.version, message)
}

// all are the shards that may have users.
func (r *ring) all() []road {
	if len(r.from) > len(r.shards) {
		return r.from
	}
	return r.shards
}

// shardOf maps a user to one of n shards, 0 to n-1. It is a pure function, the
// same on every machine and in every version: balanced, and when n grows to n+1
// only 1/(n+1) of the users move, all of them to the new shard.
//
// The hash is FNV-1a (64 bit) with the finalizer of MurmurHash3, which spreads
// the short, similar ids that users have; the placement is the jump consistent
// hash of Lamping and Veach (arXiv:1406.2294).
func shardOf(user protocol.UserID, n int) int { return placeOf(hashOf(user), n) }

func hashOf(user protocol.UserID) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(user) {
		h = (h ^ uint64(user[i])) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h
}

func placeOf(h uint64, n int) int {
	shard, next := int64(-1), int64(0)
	for next < int64(n) {
		shard = next
		h = h*2862933555777941757 + 1
		next = int64(float64(shard+1) * (float64(1<<31) / float64((h>>33)+1)))
	}
	return int(shard)
}
