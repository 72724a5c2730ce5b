package actors

import (
	"context"

	"github.com/google/btree"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// Block says that a user may not connect.
type Block = inbox.Block

func newBlockOrder() *btree.BTreeG[*Block] {
	return btree.NewG(listDegree, func(a, b *Block) bool { return a.User < b.User })
}

// Blocked returns why a user may not connect, or nil. It asks no actor: the doorkeeper
// changes a copy of the tree, and puts it in the place of the one that is read.
func (s *System) Blocked(user protocol.UserID) *Block {
	blocked := s.blocked.Load()
	if blocked.Len() == 0 {
		return nil
	}
	block, found := blocked.Get(&Block{User: user})
	if !found || block.Over(now()) {
		return nil
	}
	return block
}

// ListBlocked returns up to limit blocks, 1 to MaxPage, of users behind one, ordered by
// id, and whether there are more.
func (s *System) ListBlocked(after protocol.UserID, limit int) (blocks []*Block, more bool) {
	limit = min(max(limit, 1), MaxPage)
	s.blocked.Load().AscendGreaterOrEqual(&Block{User: after}, func(b *Block) bool {
		if b.User == after || b.Over(now()) {
			return true
		}
		if more = len(blocks) == limit; !more {
			blocks = append(blocks, b)
		}
		return !more
	})
	return blocks, more
}

// Block keeps a user from connecting until it is unblocked or the block ends by itself,
// and closes the sessions that there are, whose number it returns. When it returns,
// the block survives a restart. A block of the same user before is replaced.
//
// Messages for the user are kept, as for anybody who is not connected; what the user
// has sent stays.
//
// Errors: an *Error with a code (too_many_blocked, unavailable, storage_full,
// draining), or the context's. After the last four the user may be blocked, after a
// restart above all: block again.
func (s *System) Block(ctx context.Context, block Block) (sessions int, err error) {
	answer, err := ask[*closed](ctx, s, s.doorkeeper, &blockUser{&block})
	if err != nil {
		return 0, err
	}
	return answer.sessions, nil
}

// Unblock lets a user connect again, and returns whether it could not. Errors are those of
// Block.
func (s *System) Unblock(ctx context.Context, user protocol.UserID) (was bool, err error) {
	answer, err := ask[*unblocked](ctx, s, s.doorkeeper, &unblockUser{user})
	if err != nil {
		return false, err
	}
	return answer.was, nil
}
