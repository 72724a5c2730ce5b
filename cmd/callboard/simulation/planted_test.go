package simulation

import (
	"slices"
	"testing"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// What is checked is checked, too: with a fault planted on purpose, where the service meets the store
// and the network, a few seeds have to find it.

// plants are the faults that can be planted.
var plants = []string{
	"an entry is not kept", "a cursor is not kept", "a cursor is too high", "an entry is not read", "an id is not found",
	"a block is not kept", "what is set aside is not kept", "a file stays open",
	"a message is lost", "a message comes twice", "messages change places", "a text is changed",
	"an answer is lost", "an answer comes twice", "a gap is not told",
}

func TestCheckFindsWhatIsPlanted(t *testing.T) {
	if underRace {
		t.Skip("it is about the checks, which have no races of their own")
	}
	const most = 150
	for _, plant := range plants {
		t.Run(plant, func(t *testing.T) {
			for seed := range uint64(most) {
				if r := simulate(t, seed, plant); r.fault != "" {
					t.Logf("seed %d: %s", seed, r.fault)
					return
				}
			}
			t.Errorf("%d seeds have not found it", most)
		})
	}
}

// planted is whether the fault is the run's, and to happen now: every third time, but for the
// first, so that something goes well before.
func (r *run) planted(plant string) bool {
	return r.plant == plant && r.sown.Add(1)%3 == 2
}

// plantedAlways is planted for what seldom happens.
func (r *run) plantedAlways(plant string) bool { return r.plant == plant }

// spoil changes what the store gets.
func (b *brittle) spoil(batch *inbox.Batch) {
	r := b.node.run
	switch {
	case len(batch.Appends) > 0 && r.planted("an entry is not kept"):
		batch.Appends = batch.Appends[:len(batch.Appends)-1]
	case len(batch.Moves) > 0 && r.planted("a cursor is not kept"):
		batch.Moves = nil
	case len(batch.Moves) > 0 && r.planted("a cursor is too high"):
		batch.Moves = slices.Clone(batch.Moves)
		batch.Moves[0].Device.Cursor++
	}
}

// Find implements inbox.Store.
func (b *brittle) Find(user protocol.UserID, sender, id string) (*protocol.Receive, error) {
	m, err := b.Store.Find(user, sender, id)
	if m != nil && b.node.run.planted("an id is not found") {
		return nil, nil
	}
	return m, err
}

// Block implements inbox.Blocklist.
func (b *brittle) Block(block *inbox.Block) error {
	if b.node.run.plantedAlways("a block is not kept") {
		return nil
	}
	return b.Store.Block(block)
}

// SetAside implements inbox.Deadletters.
func (b *brittle) SetAside(letter *inbox.Deadletter, drop ...uint64) error {
	if b.node.run.plantedAlways("what is set aside is not kept") {
		return nil
	}
	return b.Store.SetAside(letter, drop...)
}

// spoil changes what arrives at a peer.
func (c *conn) spoil(frames []any) []any {
	r := c.run
	for i, frame := range frames {
		switch m := frame.(type) {
		case *protocol.Receive:
			switch {
			case r.planted("a message is lost"):
				return slices.Delete(slices.Clone(frames), i, i+1)
			case r.planted("a message comes twice"):
				return slices.Insert(slices.Clone(frames), i, frame)
			case r.planted("a text is changed"):
				m.Content += "!"
			case i > 0 && r.planted("messages change places"):
				frames = slices.Clone(frames)
				frames[i], frames[i-1] = frames[i-1], frames[i]
				return frames
			}
		case *protocol.Error:
			if m.Gap != nil && r.plantedAlways("a gap is not told") {
				return slices.Delete(slices.Clone(frames), i, i+1)
			}
		case *protocol.Connect:
			if m.Gap != nil && r.plantedAlways("a gap is not told") {
				m.Gap = nil
			}
		}
	}
	return frames
}

// answers is how often an answer to a send is written.
func (c *conn) answers() int {
	switch {
	case c.run.planted("an answer is lost"):
		return 0
	case c.run.planted("an answer comes twice"):
		return 2
	}
	return 1
}

// litter leaves a file open.
func (n *node) litter() {
	if n.run.plant == "a file stays open" {
		_, _ = n.files.Create("data/litter", "")
	}
}

var _ interface {
	inbox.Blocklist
	inbox.Deadletters
} = (*brittle)(nil)
