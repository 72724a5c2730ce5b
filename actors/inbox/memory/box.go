package memory

import (
	"slices"
	"strings"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// box is one user's inbox. The lock of its shard guards it. What changes it returns by
// how much its cost in bytes changed.
type box struct {
	head  uint64
	sum   uint64
	floor uint64 // entries up to it are gone for Read

	// entries are the newest, up to head and without a gap: first those that are gone
	// and remembered, then those that wait.
	entries entries
	before  uint64          // the Sum of the entry before the first of them
	devices []inbox.Device  // by name
	index   map[pair]uint64 // numbers of entries by what Find asks for; nil until it is worth having

	// Owned by the shard's recency.
	newer, older *box
	remembered   int64 // what the remembered entries cost, in bytes
	counted      int64 // as much of it as recency has counted
}

// pair is what names a message for ever.
type pair struct{ sender, id string }

// linear is up to how many entries Find looks at each, which is faster than to keep an
// index of them and costs nothing when nobody asks.
const linear = 32

func newBox() *box { return new(box) }

func (b *box) state() inbox.State {
	return inbox.State{Head: b.head, Sum: b.sum, Floor: b.floor, Devices: slices.Clone(b.devices)}
}

// first is the number of the oldest entry, if there is one.
func (b *box) first() uint64 { return b.head - uint64(b.entries.len()) + 1 }

func (b *box) read(after uint64, maxEntries, maxBytes int) []inbox.Entry {
	after = max(after, b.floor)
	if after >= b.head || maxEntries <= 0 {
		return nil
	}
	waiting := b.entries.all()[after+1-b.first():]
	waiting = waiting[:min(len(waiting), maxEntries)]
	bytes := uint64(0)
	for i := range waiting {
		bytes += inbox.Size(waiting[i].Message)
		if bytes >= uint64(max(maxBytes, 0)) {
			waiting = waiting[:i+1]
			break
		}
	}
	return slices.Clone(waiting)
}

func (b *box) find(sender, id string) *protocol.Receive {
	if b.entries.len() > linear {
		b.indexed()
		if seq, ok := b.index[pair{sender, id}]; ok {
			return b.entries.all()[seq-b.first()].Message
		}
		return nil
	}
	for _, e := range slices.Backward(b.entries.all()) {
		if m := e.Message; m.Id == id && m.Sender == sender {
			return m
		}
	}
	return nil
}

// indexed makes the index, if there is none.
func (b *box) indexed() {
	if b.index != nil {
		return
	}
	b.index = make(map[pair]uint64, 2*b.entries.len())
	for i, e := range b.entries.all() {
		if m := e.Message; m.Id != "" {
			b.index[pair{m.Sender, m.Id}] = b.first() + uint64(i)
		}
	}
}

// cost is what the first entries cost, in bytes. Sums say it: looking at each message
// again, long after it came, would cost more than everything else here.
func (b *box) cost(count int) int64 {
	if count == 0 {
		return 0
	}
	return int64(b.entries.all()[count-1].Sum-b.before) + int64(count)*entryCost
}

func (b *box) append(e inbox.Entry) int64 {
	if b.entries.len() == 0 {
		b.before = b.sum
	}
	if e.Message.Id != "" {
		b.entries.named++
	}
	b.entries.push(e)
	b.head, b.sum = e.Message.Seq, e.Sum
	if b.index != nil && e.Message.Id != "" {
		b.index[pair{e.Message.Sender, e.Message.Id}] = b.head
	}
	return entryBytes(e.Message)
}

func (b *box) move(m *inbox.Move, keep uint64) int64 {
	i, known := slices.BinarySearchFunc(b.devices, m.Device.Name, func(d inbox.Device, name string) int {
		return strings.Compare(d.Name, name)
	})
	var delta int64
	switch {
	case m.Forget && !known:
		return 0
	case m.Forget:
		b.devices = slices.Delete(b.devices, i, i+1)
		delta = -deviceCost - int64(len(m.Device.Name))
	case known:
		b.devices[i] = m.Device
	default:
		b.devices = slices.Insert(b.devices, i, m.Device)
		delta = deviceCost + int64(len(m.Device.Name))
	}
	if len(b.devices) == 0 {
		return delta
	}
	slowest, fastest := b.head, uint64(0)
	for i := range b.devices {
		slowest, fastest = min(slowest, b.devices[i].Cursor), max(fastest, b.devices[i].Cursor)
	}
	if surplus := b.head - min(b.head, keep); surplus > slowest { // a device that stays away must not fill the memory
		slowest = min(surplus, fastest)
	}
	return delta + b.pass(max(slowest, b.floor))
}

// pass lets the entries up to a number go and remembers the newest of them.
func (b *box) pass(upTo uint64) int64 {
	b.floor = max(b.floor, upTo)
	known := int(b.floor + 1 - b.first())
	b.remembered = b.cost(known)
	switch {
	case b.entries.named == 0:
		return b.forget(known)
	case known > Remembered:
		return b.forget(known - Remembered)
	}
	return 0
}

// trim removes the entries up to a number and remembers none of them.
func (b *box) trim(upTo uint64) int64 {
	upTo = min(upTo, b.head)
	delta := b.pass(upTo) // which may have forgotten some of them
	if upTo < b.first() {
		return delta
	}
	return delta + b.forget(int(upTo+1-b.first()))
}

// forget removes the oldest entries, all of which are gone for Read.
func (b *box) forget(count int) int64 {
	if count == 0 {
		return 0
	}
	freed := b.cost(count)
	for i := 0; i < count && b.entries.named > 0; i++ {
		m := b.entries.all()[i].Message
		if m.Id == "" {
			continue
		}
		b.entries.named--
		if key := (pair{m.Sender, m.Id}); b.index != nil && b.index[key] == b.first()+uint64(i) {
			delete(b.index, key)
		}
	}
	b.before = b.entries.all()[count-1].Sum
	b.entries.drop(count)
	b.remembered -= freed
	if b.entries.len() == 0 {
		b.index = nil
	}
	return -freed
}
