package inbox

import "callboard/protocol"

// Blocklist is a Store that also keeps who may not connect. One at a time calls its
// methods; others may call those of Store meanwhile.
//
// What a Blocklist returns is the caller's to keep and nobody's to change.
type Blocklist interface {
	// Block keeps a block, in place of the user's last one. When it returns nil the
	// block survives kill -9 and power loss. After an error nobody knows whether it is
	// kept until a Commit, a Block or an Unblock succeeds; until then Blocks returns an
	// error.
	Block(block *Block) error

	// Unblock removes the blocks of users, all of them or none, as surely as Block
	// keeps one. A user who is not blocked is passed over.
	Unblock(users ...protocol.UserID) error

	// Blocks returns the blocks of users whose ids are greater than after, in the order
	// of their bytes: at most limit, and no less if there are as many.
	Blocks(after protocol.UserID, limit int) ([]*Block, error)
}

// Block says that a user may not connect.
type Block struct {
	User   protocol.UserID
	Reason string // for operators; may be empty
	By     string // who blocked
	At     int64  // when: milliseconds since 1970-01-01 UTC
	Until  int64  // when it ends by itself, likewise; 0: never
}

// Over is whether the block has ended by itself at a moment, in milliseconds since
// 1970-01-01 UTC.
func (b *Block) Over(now int64) bool { return b.Until != 0 && b.Until <= now }
