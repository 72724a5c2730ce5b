package memory

// recency is the boxes of a shard that remember messages, in the order in which they
// changed last. It keeps what they remember within a limit: the one that changed the
// longest ago forgets first. The lock of the shard guards it.
type recency struct {
	newest, oldest *box
	bytes          int64 // what the boxes remember, in bytes
	limit          int64
}

// touch puts a box that has changed where it belongs, and returns by how much the cost
// of all boxes changed because some had to forget.
func (r *recency) touch(b *box) int64 {
	r.unlink(b)
	r.bytes += b.remembered - b.counted
	b.counted = b.remembered
	if b.remembered == 0 {
		return 0
	}
	b.older = r.newest
	if r.newest != nil {
		r.newest.newer = b
	}
	r.newest = b
	if r.oldest == nil {
		r.oldest = b
	}

	var delta int64
	for r.bytes > r.limit {
		forgetful := r.oldest
		delta += forgetful.forget(int(forgetful.floor + 1 - forgetful.first()))
		r.bytes -= forgetful.counted
		forgetful.counted = 0
		r.unlink(forgetful)
	}
	return delta
}

// unlink takes a box out, if it is in.
func (r *recency) unlink(b *box) {
	switch {
	case b.newer != nil:
		b.newer.older = b.older
	case r.newest == b:
		r.newest = b.older
	}
	switch {
	case b.older != nil:
		b.older.newer = b.newer
	case r.oldest == b:
		r.oldest = b.newer
	}
	b.newer, b.older = nil, nil
}
