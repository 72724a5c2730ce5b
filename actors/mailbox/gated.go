package mailbox

import "math"

// Gated is a mailbox whose address may become wrong: the senders find it in a map that
// has versions, and what was addressed by a version that is too old is not taken, so
// that its sender looks into the newer map and posts elsewhere.
//
// The check is made under the lock that puts the message into the queue. So when Turn
// has returned, everything that was addressed by an older version is before Turn's own
// message in the queue, and nothing of the kind comes any more: nobody has to guess how
// long a sender may go on with an old map in its hands.
type Gated struct {
	Mailbox
	version uint64 // guarded by mu: of the oldest map that is right for this mailbox
}

// Sealed is the version of a mailbox that nothing is addressed to any more.
const Sealed = math.MaxUint64

// Post does as PostUserMessage, for a message that was addressed by a map of the given
// version. It returns false, and has done nothing, if that is too old.
func (g *Gated) Post(version uint64, message any) bool {
	g.mu.Lock()
	if version < g.version {
		g.mu.Unlock()
		return false
	}
	g.post(message)
	return true
}

// PostPriority is Post with priority: see [Mailbox.PostPriorityMessage].
func (g *Gated) PostPriority(version uint64, message any) bool {
	g.mu.Lock()
	if version < g.version {
		g.mu.Unlock()
		return false
	}
	g.order(&priority{message})
	return true
}

// Turn posts a message, and refuses from then on what is addressed by a map older than
// the version. The map of that version must be there to be found already.
func (g *Gated) Turn(version uint64, message any) {
	g.mu.Lock()
	g.version = version
	g.post(message)
}

// Seal has Post refuse everything from now on.
func (g *Gated) Seal() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.version = Sealed
}
