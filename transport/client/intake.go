package client

import (
	"fmt"

	"callboard/protocol"
)

// An intake decides what of the messages that come is delivered, and what is to be
// acknowledged. Like the outbox it is a function of what it is told, and belongs to
// whoever holds the Client's mu.
//
//	         0 … done │ done+1 … seen          │ seen+1 …
//	acknowledged by   │ handed to the program, │ not here yet
//	the program       │ or in the queue        │
//
// A new connection starts at done, so that a program that ends loses nothing; what
// comes again up to seen is hidden.
type intake struct {
	epoch uint32 // of all numbers below, 0 if nobody has said it
	known bool   // whether done and seen mean anything: not before the first CONNECT, unless the program gave a cursor
	done  uint64 // the cursor
	seen  uint64
	queue []item

	// Of the present connection.
	last     uint64 // the number of the newest message, at first that where delivery began
	told     uint64 // up to which the server has our ACK, or knows without
	window   int    // how many messages may come without an ACK
	granted  uint64 // where the server let delivery begin
	asked    uint64 // the cursor of our CONNECT; done may have moved since
	gapAhead bool   // the server has said that numbers will be missing

	// The server may be restored to an earlier state or begin anew, and give numbers again
	// that we have seen. Its epoch says so; of one that an older server forgot to change, or
	// says nothing of, the numbers may still show it. Each time an age begins: a message of an
	// earlier one, acknowledged now, says nothing about numbers that have changed hands.
	age      uint64
	restored [maxAges]uint64 // by age, up to which number the inbox was there when it ended
}

// maxAges is how many restorations back an acknowledgement still counts.
const maxAges = 8

// An item is what the queue has for the program: a message, or a gap.
type item struct {
	message *Message
	gap     *GapError
	last    uint64 // the number that is acknowledged with it
	age     uint64
}

// newIntake begins at a cursor; nil: at the one that the server will name.
func newIntake(cursor *Cursor) *intake {
	if cursor == nil {
		return &intake{}
	}
	return &intake{known: true, epoch: cursor.Epoch, done: cursor.Seq, seen: cursor.Seq}
}

// cursor is where the program is.
func (i *intake) cursor() Cursor { return Cursor{Epoch: i.epoch, Seq: i.done} }

// hello is what CONNECT says of where the program is.
func (i *intake) hello(m *protocol.Connect) {
	if i.known {
		i.asked = i.done
		m.Cursor, m.Epoch = new(i.done), i.epoch
	}
}

// connected begins a new connection with the server's answer. It returns whether
// the inbox is another one than before, or has gone back to an earlier state.
func (i *intake) connected(answer *protocol.Connect) (restored bool) {
	from := answer.GetCursor()
	i.gapAhead = false
	if gap := answer.Gap; gap != nil {
		if gap.First <= from+1 {
			from = max(from, gap.Last)
		} else {
			i.gapAhead = true // something comes before it
		}
	}
	last := i.epoch
	i.epoch = answer.Epoch
	switch {
	case !i.known:
		i.begin(answer, from)
	case last != 0 && i.epoch != 0 && i.epoch != last:
		restored = true
		i.restart(answer, from)
	case from < i.asked || answer.Head < i.seen:
		restored = true
		i.restore(min(from, i.done), answer.Head)
	case from > i.seen:
		i.missed(i.seen+1, from)
	}
	i.last, i.told, i.granted = from, from, from
	i.window = int(answer.Window)
	if i.window == 0 {
		i.window = protocol.DefaultWindow
	}
	return restored
}

// begin takes the server's word for where this device stands.
func (i *intake) begin(answer *protocol.Connect, from uint64) {
	i.known = true
	i.done, i.seen = from, from
	if gap := answer.Gap; gap != nil && gap.First > 0 && gap.First <= gap.Last {
		i.done, i.seen = gap.First-1, gap.First-1
		i.missed(gap.First, from)
	}
}

// restart begins a new age, of which nothing is known: no number says what it said before.
// What is in the queue stays there, as it may come no more.
func (i *intake) restart(answer *protocol.Connect, from uint64) {
	i.restored[i.age%maxAges] = 0
	i.age++
	i.begin(answer, from)
}

// restore begins a new age: the inbox ends at head, and the device stands at from.
func (i *intake) restore(from, head uint64) {
	stays := head
	if from < i.done {
		stays = from
	}
	i.restored[i.age%maxAges] = stays
	i.age++
	i.done = min(i.done, stays)
	i.seen = min(i.seen, stays)
}

// missed queues a gap.
func (i *intake) missed(first, last uint64) {
	i.queue = append(i.queue, item{gap: &GapError{First: first, Last: last}, last: last, age: i.age})
	i.seen = last
}

// gap takes in the server's word that numbers will be missing, and which if it says
// so. It returns whether there is something new in the queue.
func (i *intake) gap(gap *protocol.Gap) (more bool) {
	if gap == nil || gap.First > i.last+1 || gap.Last <= i.last {
		i.gapAhead = true
		return false
	}
	i.last, i.gapAhead = gap.Last, false
	if gap.Last <= i.seen {
		return false
	}
	i.missed(i.seen+1, gap.Last)
	return true
}

// received takes in a message, and returns whether there is something new in the
// queue. The error says that the server broke the protocol.
func (i *intake) received(m *protocol.Receive) (more bool, err error) {
	switch {
	case m.Seq == 0:
		return false, fmt.Errorf("a RECEIVE without seq")
	case m.Seq <= i.last:
		return false, nil // once more
	case m.Seq > i.last+1 && !i.gapAhead:
		return false, fmt.Errorf("a RECEIVE with seq %d behind %d, and no word of a gap", m.Seq, i.last)
	}
	i.last, i.gapAhead = m.Seq, false
	if m.Seq <= i.seen {
		return false, nil
	}
	// A window of this age, and one of an earlier age that the program has not come to.
	if len(i.queue) > 2*max(i.window, protocol.MaxWindow) {
		return false, fmt.Errorf("more than a window of %d without an ACK", i.window)
	}
	if m.Seq > i.seen+1 {
		i.missed(i.seen+1, m.Seq-1)
	}
	i.seen = m.Seq
	i.queue = append(i.queue, item{message: newMessage(m, i.epoch, i.age), last: m.Seq, age: i.age})
	return true, nil
}

// head is the item that the program gets next; nil if there is none.
func (i *intake) head() *item {
	if len(i.queue) == 0 {
		return nil
	}
	return &i.queue[0]
}

// pop takes the head off the queue, if it is still the item given.
func (i *intake) pop(last, age uint64) {
	if h := i.head(); h == nil || h.last != last || h.age != age {
		return
	}
	i.queue[0] = item{} // lets the message go
	i.queue = i.queue[1:]
	if len(i.queue) == 0 {
		i.queue = nil
	}
}

// acknowledge notes that the program has done with everything up to a number of an
// age, and takes it off the queue if it is there still.
func (i *intake) acknowledge(last, age uint64) {
	for len(i.queue) > 0 && i.queue[0].age == age && i.queue[0].last <= last {
		i.pop(i.queue[0].last, age)
	}
	if i.age-age > maxAges {
		return
	}
	for ; age < i.age; age++ {
		last = min(last, i.restored[age%maxAges])
	}
	i.done = max(i.done, last)
}

// owes reports whether the server should hear of acknowledgements at all, and
// whether now: when a quarter of the window is open, or nothing else is to be done.
func (i *intake) owes() (some, now bool) {
	if i.done <= i.told {
		return false, false
	}
	return true, len(i.queue) == 0 || i.done-i.told >= uint64(max(1, i.window/4))
}

// lost ends a connection without a goodbye: an ACK that was written may not have
// arrived.
func (i *intake) lost() { i.told = min(i.told, i.granted) }

// ack is the ACK that is to be written now, and takes it for written; nil if the
// server knows it all.
func (i *intake) ack() *protocol.Ack {
	if i.done <= i.told {
		return nil
	}
	i.told = i.done
	return &protocol.Ack{Seq: i.done}
}
