package inboxtest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"pgregory.net/rapid"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// users are those of random batches. One is the beginning of another, so that their keys
// could be mixed up.
var users = []protocol.UserID{"a", "ab", "b@example.org", "0"}

// dice decides: rapid's, or those of a seed.
type dice interface {
	roll(what string, sides int) int
}

type seeded struct{ *rand.Rand }

func (d seeded) roll(_ string, sides int) int { return d.IntN(sides) }

type rapidDice struct{ *rapid.T }

func (d rapidDice) roll(what string, sides int) int {
	return rapid.IntRange(0, sides-1).Draw(d.T, what)
}

// randomBatch makes a batch that a correct service might commit to what the model has.
func randomBatch(d dice, m model, longest int) *inbox.Batch {
	m = m.clone() // with what the batch has so far
	batch := &inbox.Batch{}
	kind := d.roll("kind", 10)
	if kind < 7 {
		for range 1 + d.roll("appends", 4) {
			randomAppend(d, m, batch, longest)
		}
	}
	if kind > 4 {
		for range 1 + d.roll("moves", 3) {
			randomMove(d, m, batch)
		}
	}
	if d.roll("trim", 6) == 0 {
		user := users[d.roll("user", len(users))]
		upTo := m.box(user).trimmed + uint64(d.roll("trimmed", 6))
		batch.Trims = append(batch.Trims, inbox.Trim{User: user, UpTo: upTo})
	}
	return batch
}

func randomAppend(d dice, m model, batch *inbox.Batch, longest int) {
	user := users[d.roll("user", len(users))]
	b := m.box(user)
	message := &protocol.Receive{
		Seq:      b.head() + 1,
		Sender:   string(users[d.roll("sender", len(users))]),
		Receiver: string(user),
		Content:  strings.Repeat("x", d.roll("length", longest)),
		At:       int64(1_700_000_000_000 + d.roll("at", 1000)),
	}
	if d.roll("has id", 4) > 0 {
		message.Id = fmt.Sprint("id ", d.roll("id", 8))
		if b.live(message.Sender, message.Id) != nil { // its sender would be told the first number
			message.Id = fmt.Sprint("new ", message.Seq)
		}
	}
	if d.roll("traced", 4) == 0 {
		message.Traceparent = fmt.Sprintf("00-%032x-%016x-01", message.Seq, 1)
	}
	entry := inbox.Entry{Message: message, Sum: b.sum() + inbox.Size(message)}
	b.log = append(b.log, entry)
	batch.Appends = append(batch.Appends, inbox.Append{User: user, Entry: entry})
}

func randomMove(d dice, m model, batch *inbox.Batch) {
	user := users[d.roll("user", len(users))]
	batch.Moves = append(batch.Moves, inbox.Move{
		User: user,
		Device: inbox.Device{
			Name:   []string{"", "phone", "laptop"}[d.roll("device", 3)],
			Cursor: uint64(d.roll("cursor", int(m.box(user).head())+1)),
			Seen:   int64(d.roll("seen", 1000)),
		},
		Forget: d.roll("forget", 5) == 0,
	})
}
