package inboxtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// model is what a Store should have: the obvious implementation of the contract.
type model map[protocol.UserID]*box

// box is one user's inbox, with every message that was ever put into it.
type box struct {
	log     []inbox.Entry
	trimmed uint64 // entries up to it must be gone
	passed  uint64 // entries up to it may be gone, since every device was past them at some time
	devices map[string]inbox.Device
	block   *inbox.Block
	dead    map[uint64]inbox.Deadletter // in the box of nobody alone
}

func (m model) box(user protocol.UserID) *box {
	if m[user] == nil {
		m[user] = &box{devices: map[string]inbox.Device{}}
	}
	return m[user]
}

// nobody is no user: its box has what belongs to none.
const nobody protocol.UserID = ""

// letters changes what is set aside.
func (m model) letters(change func(map[uint64]inbox.Deadletter)) {
	b := m.box(nobody)
	if b.dead == nil {
		b.dead = map[uint64]inbox.Deadletter{}
	}
	change(b.dead)
}

// clone returns a copy that does not change with m.
func (m model) clone() model {
	copied := model{}
	for user, b := range m {
		c := *b
		c.log, c.devices, c.dead = slices.Clone(b.log), maps.Clone(b.devices), maps.Clone(b.dead)
		copied[user] = &c
	}
	return copied
}

func (m model) apply(batch *inbox.Batch) {
	for _, a := range batch.Appends {
		b := m.box(a.User)
		b.log = append(b.log, a.Entry)
	}
	for _, move := range batch.Moves {
		b := m.box(move.User)
		if move.Forget {
			delete(b.devices, move.Device.Name)
		} else {
			b.devices[move.Device.Name] = move.Device
		}
		b.pass()
	}
	for _, t := range batch.Trims {
		b := m.box(t.User)
		b.trimmed = max(b.trimmed, min(t.UpTo, b.head()))
	}
}

// pass takes note of what every device is past.
func (b *box) pass() {
	if len(b.devices) == 0 {
		return
	}
	slowest := b.head()
	for _, d := range b.devices {
		slowest = min(slowest, d.Cursor)
	}
	b.passed = max(b.passed, slowest)
}

func (b *box) head() uint64 { return uint64(len(b.log)) }

func (b *box) sum() uint64 {
	if len(b.log) == 0 {
		return 0
	}
	return b.log[len(b.log)-1].Sum
}

// live returns the newest entry under a (sender, id) that was not trimmed.
func (b *box) live(sender, id string) *protocol.Receive {
	for i := len(b.log); uint64(i) > b.trimmed; i-- {
		if m := b.log[i-1].Message; m.Sender == sender && m.Id == id {
			return m
		}
	}
	return nil
}

// text writes down everything that a Store that keeps what was not trimmed says of some
// users. Two states are the same if their texts are.
func (m model) text(users []protocol.UserID) string {
	var text strings.Builder
	for _, user := range users {
		b := m[user]
		if b == nil {
			b = &box{}
		}
		state := inbox.State{Head: b.head(), Sum: b.sum(), Floor: b.trimmed}
		for _, name := range slices.Sorted(maps.Keys(b.devices)) {
			state.Devices = append(state.Devices, b.devices[name])
		}
		write(&text, user, state, b.log[b.trimmed:])
	}
	for _, user := range slices.Sorted(slices.Values(users)) {
		if b := m[user]; b != nil && b.block != nil {
			fmt.Fprintf(&text, "%+v\n", *b.block)
		}
	}
	if b := m[nobody]; b != nil {
		for _, number := range slices.Sorted(maps.Keys(b.dead)) {
			fmt.Fprintf(&text, "%+v\n", b.dead[number])
		}
	}
	return text.String()
}

// textOf writes the same of what a Store says.
func textOf(store inbox.Store, users []protocol.UserID) (string, error) {
	var text strings.Builder
	for _, user := range users {
		state, err := store.Open(user)
		if err != nil {
			return "", err
		}
		state.Epoch = 0 // the model has none
		entries, err := store.Read(user, 0, 1<<20, 1<<30)
		if err != nil {
			return "", err
		}
		write(&text, user, state, entries)
		for _, e := range entries {
			if e.Message.Id == "" {
				continue
			}
			found, err := store.Find(user, e.Message.Sender, e.Message.Id)
			if err != nil {
				return "", err
			}
			if found == nil || found.Seq != e.Message.Seq {
				fmt.Fprintf(&text, "  but Find says %v of %s/%s\n", found, e.Message.Sender, e.Message.Id)
			}
		}
	}
	if list, ok := store.(inbox.Blocklist); ok {
		blocks, err := list.Blocks("", 1000)
		if err != nil {
			return "", err
		}
		for _, b := range blocks {
			fmt.Fprintf(&text, "%+v\n", *b)
		}
	}
	if dead, ok := store.(inbox.Deadletters); ok {
		found, err := dead.Deadletters(0, 1000)
		if err != nil {
			return "", err
		}
		for _, l := range found {
			fmt.Fprintf(&text, "%+v\n", *l)
		}
	}
	return text.String(), nil
}

func write(text *strings.Builder, user protocol.UserID, state inbox.State, entries []inbox.Entry) {
	if len(state.Devices) == 0 {
		state.Devices = nil
	}
	fmt.Fprintf(text, "%s: %+v\n", user, state)
	for _, e := range entries {
		fmt.Fprintf(text, "  %s\n", line(e))
	}
}

// line is an entry in short.
func line(e inbox.Entry) string {
	m := e.Message
	content := m.Content
	if len(content) > 8 {
		content = fmt.Sprintf("%s... (%d)", content[:8], len(content))
	}
	return fmt.Sprintf("%d %s/%q -> %s %q at %d, sum %d", m.Seq, m.Sender, m.Id, m.Receiver, content, m.At, e.Sum)
}
