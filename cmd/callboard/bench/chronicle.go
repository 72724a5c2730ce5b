package bench

import (
	"fmt"
	"sync"
)

// A Chronicle remembers, for every inbox, which message is at which place, whoever
// said so first: a receipt, or one of the devices. From then on nobody may say
// otherwise, however often the service is killed. Authors and inboxes are numbers from
// 0. Its methods may be called by many goroutines.
type Chronicle struct {
	mu      sync.Mutex
	letters [][]letter // by author; the first has number 1
	inboxes [][]place  // by user; the first is place 1
	devices []*Device
	found   Findings
}

// letter is a message, as its author knows it.
type letter struct {
	receiver  int
	seq       uint64 // its place; 0: nobody has said
	confirmed bool
	late      bool // sent again behind later ones, so it may be behind them
}

// place is what is at one place of an inbox.
type place struct {
	author int
	number uint64 // 0: nobody has said
}

// Findings are what a Chronicle has found.
type Findings struct {
	Written   uint64   `json:"written"`
	Confirmed uint64   `json:"confirmed"`
	Kept      uint64   `json:"kept"`      // places of all inboxes
	Seen      uint64   `json:"seen"`      // by all devices together
	Repeats   uint64   `json:"repeats"`   // seen again by devices that rely on the service's record, behind a kill
	Lost      uint64   `json:"lost"`      // confirmed or seen once, and gone; or not seen by a device
	Doubled   uint64   `json:"doubled"`   // at two places, or seen twice by a device
	Reordered uint64   `json:"reordered"` // behind a later message of its author
	Altered   uint64   `json:"altered"`   // with another content, or in another inbox
	Examples  []string `json:"examples,omitempty"`
}

// OK is whether nothing went wrong.
func (f *Findings) OK() bool { return f.Lost+f.Doubled+f.Reordered+f.Altered == 0 }

// NewChronicle is for so many users, each of whom writes and is written to.
func NewChronicle(users int) *Chronicle {
	return &Chronicle{letters: make([][]letter, users), inboxes: make([][]place, users)}
}

// Write notes that an author is about to send a message, and returns its number.
func (c *Chronicle) Write(author, receiver int) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.letters[author] = append(c.letters[author], letter{receiver: receiver})
	c.found.Written++
	return uint64(len(c.letters[author]))
}

// Late notes that a message is sent again behind later ones.
func (c *Chronicle) Late(author int, number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.letters[author][number-1].late = true
}

// Confirm notes a receipt.
func (c *Chronicle) Confirm(author int, number, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := &c.letters[author][number-1]
	if !l.confirmed {
		l.confirmed = true
		c.found.Confirmed++
	}
	c.put(l.receiver, seq, author, number, "a receipt")
}

// Confirmed is how many messages have a receipt.
func (c *Chronicle) Confirmed() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.found.Confirmed
}

// put notes that somebody says what is at a place.
func (c *Chronicle) put(inbox int, seq uint64, author int, number uint64, who string) {
	if seq == 0 || author >= len(c.letters) || number == 0 || number > uint64(len(c.letters[author])) {
		c.complain(&c.found.Altered, "%s says that message %d of %d is at place %d of %d's inbox, and nobody has sent it", who, number, author, seq, inbox)
		return
	}
	l := &c.letters[author][number-1]
	switch {
	case l.receiver != inbox:
		c.complain(&c.found.Altered, "%s says that message %d of %d, for %d, is in the inbox of %d", who, number, author, l.receiver, inbox)
		return
	case l.seq != 0 && l.seq != seq:
		c.complain(&c.found.Doubled, "%s says that message %d of %d is at place %d of %d's inbox, and it is at %d too", who, number, author, seq, inbox, l.seq)
		return
	}
	for uint64(len(c.inboxes[inbox])) < seq {
		c.inboxes[inbox] = append(c.inboxes[inbox], place{})
	}
	p := &c.inboxes[inbox][seq-1]
	if p.number != 0 && (p.author != author || p.number != number) {
		c.complain(&c.found.Lost, "%s says that place %d of %d's inbox has message %d of %d, and it had message %d of %d",
			who, seq, inbox, number, author, p.number, p.author)
		return
	}
	l.seq = seq
	*p = place{author, number}
}

func (c *Chronicle) complain(count *uint64, format string, args ...any) {
	*count++
	if len(c.found.Examples) < maxExamples {
		c.found.Examples = append(c.found.Examples, fmt.Sprintf(format, args...))
	}
}

// Alter notes that something is not as it was sent.
func (c *Chronicle) Alter(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complain(&c.found.Altered, "%s", what)
}

// Lose notes that something is gone.
func (c *Chronicle) Lose(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complain(&c.found.Lost, "%s", what)
}

// Lagging is how many devices have not seen all that is known to be in their inbox,
// and how many messages have no receipt.
func (c *Chronicle) Lagging() (devices int, unconfirmed uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.devices {
		if d.last < uint64(len(c.inboxes[d.inbox])) {
			devices++
		}
	}
	return devices, c.found.Written - c.found.Confirmed
}

// Verdict is what was found. It is final when nothing is on its way any more, and is
// asked for once.
func (c *Chronicle) Verdict() Findings {
	c.mu.Lock()
	defer c.mu.Unlock()
	for inbox, places := range c.inboxes {
		c.found.Kept += uint64(len(places))
		c.order(inbox, places)
	}
	for _, d := range c.devices {
		if head := uint64(len(c.inboxes[d.inbox])); d.last < head {
			c.complain(&c.found.Lost, "device %s of %d has seen %d of %d messages", d.name, d.inbox, d.last, head)
			c.found.Lost += head - d.last - 1
		}
	}
	return c.found
}

// order checks that the messages of each author stand in the order of writing, and
// that no place is empty.
func (c *Chronicle) order(inbox int, places []place) {
	newest := map[int]uint64{}
	for i, p := range places {
		switch {
		case p.number == 0:
			c.complain(&c.found.Lost, "nobody has seen place %d of %d's inbox, which has %d", i+1, inbox, len(places))
		case p.number > newest[p.author]:
			newest[p.author] = p.number
		case !c.letters[p.author][p.number-1].late:
			c.complain(&c.found.Reordered, "message %d of %d is at place %d of %d's inbox, behind message %d",
				p.number, p.author, i+1, inbox, newest[p.author])
		}
	}
}

// A Device is what one device of a user has seen.
type Device struct {
	chronicle *Chronicle
	inbox     int
	name      string

	last   uint64 // it has seen every place up to here
	next   uint64 // the place that has to come now
	begins bool   // or an earlier one, just once: the service may have forgotten how far the device is
	first  bool   // nothing has come since it started again
}

// Device is a new device of a user, which has seen nothing.
func (c *Chronicle) Device(inbox int, name string) *Device {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := &Device{chronicle: c, inbox: inbox, name: name, next: 1}
	c.devices = append(c.devices, d)
	return d
}

// Cursor is the place that the device has seen everything up to.
func (d *Device) Cursor() uint64 {
	d.chronicle.mu.Lock()
	defer d.chronicle.mu.Unlock()
	return d.last
}

// Restart notes that the device has started again; nothing is different then, but what
// is told of a fault.
func (d *Device) Restart() {
	d.chronicle.mu.Lock()
	defer d.chronicle.mu.Unlock()
	d.first = true
}

// MayRepeat says that delivery may begin anywhere in what has been seen, once.
func (d *Device) MayRepeat() {
	d.chronicle.mu.Lock()
	defer d.chronicle.mu.Unlock()
	d.begins = true
}

// See notes what the device was given.
func (d *Device) See(seq uint64, author int, number uint64) {
	c := d.chronicle
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found.Seen++
	if d.begins && seq >= 1 && seq <= d.next {
		d.next = seq
	}
	d.begins = false
	what := "got"
	if d.first {
		what, d.first = "has started again and got", false
	}
	switch {
	case seq > d.next:
		c.complain(&c.found.Lost, "device %s of %d %s place %d where %d was to come", d.name, d.inbox, what, seq, d.next)
	case seq < d.next:
		c.complain(&c.found.Doubled, "device %s of %d %s place %d where %d was to come", d.name, d.inbox, what, seq, d.next)
	case seq <= d.last:
		c.found.Repeats++
	}
	d.next = seq + 1
	d.last = max(d.last, seq)
	c.put(d.inbox, seq, author, number, "device "+d.name)
}
