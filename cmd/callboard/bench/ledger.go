package bench

import (
	"fmt"
	"math/bits"
	"sync"
)

// A Ledger compares what was confirmed with what was seen, in a few bits for each
// message. Senders and receivers are numbers from 0, and a sender's messages are
// numbered from 1 in the order of sending, whoever they are for. Its methods may be
// called by many goroutines; a nil Ledger takes everything and says nothing.
type Ledger struct {
	// PromisedWhenSent is for a dialect that confirms nothing: what was sent counts as
	// promised until it is refused, and Confirm is called for all that is sent.
	PromisedWhenSent bool

	senders   []account
	receivers []shelf

	mu       sync.Mutex
	examples []string
	found    Check
}

// account is what is known of one sender's messages.
type account struct {
	mu        sync.Mutex
	confirmed bitset
	seen      bitset
	refused   bitset
}

// shelf is what one receiver has seen. Only the goroutine that reads for it uses it.
type shelf struct {
	last     uint64         // sequence number
	lastFrom map[int]uint64 // by sender, the newest of its messages
}

// A Check is what a Ledger has found.
type Check struct {
	Confirmed  uint64   `json:"confirmed"` // where nothing is confirmed: sent and not refused
	Seen       uint64   `json:"seen"`
	Lost       uint64   `json:"lost"`       // confirmed and not seen, or a hole in an inbox
	Doubled    uint64   `json:"doubled"`    // seen twice
	Reordered  uint64   `json:"reordered"`  // seen behind a later one of its sender
	Altered    uint64   `json:"altered"`    // seen with another content, by another receiver, or never sent
	Unanswered uint64   `json:"unanswered"` // neither confirmed nor refused
	Examples   []string `json:"examples,omitempty"`
}

// maxExamples bounds what is told of what went wrong.
const maxExamples = 10

// OK is whether nothing went wrong.
func (c *Check) OK() bool { return c.Lost+c.Doubled+c.Reordered+c.Altered+c.Unanswered == 0 }

// NewLedger is for so many users, each of whom may be sender and receiver.
func NewLedger(users int) *Ledger {
	return &Ledger{senders: make([]account, users), receivers: make([]shelf, users)}
}

// Confirm notes that the service has promised to keep a message.
func (l *Ledger) Confirm(sender int, number uint64) {
	if l == nil {
		return
	}
	a := &l.senders[sender]
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refused.has(number) {
		l.complain(&l.found.Altered, "message %d of %d was refused and then confirmed", number, sender)
	}
	a.confirmed.add(number)
}

// Refuse notes that the service has refused a message. It may be seen all the same,
// but need not.
func (l *Ledger) Refuse(sender int, number uint64) {
	if l == nil {
		return
	}
	a := &l.senders[sender]
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.confirmed.has(number) && !l.PromisedWhenSent {
		l.complain(&l.found.Altered, "message %d of %d was confirmed and then refused", number, sender)
	}
	if l.PromisedWhenSent {
		a.confirmed.remove(number)
	}
	a.refused.add(number)
}

// See notes that a receiver has got a message, at a place in its inbox; 0 if the
// service does not number them.
func (l *Ledger) See(receiver int, seq uint64, sender int, number uint64) {
	if l == nil {
		return
	}
	if sender >= len(l.senders) {
		l.complain(&l.found.Altered, "%d got a message of %d, who sent none", receiver, sender)
		return
	}
	s := &l.receivers[receiver]
	l.place(s, receiver, seq)
	if s.lastFrom == nil {
		s.lastFrom = map[int]uint64{}
	}
	a := &l.senders[sender]
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.seen.has(number):
		l.complain(&l.found.Doubled, "%d got message %d of %d twice, once at place %d", receiver, number, sender, seq)
		return
	case number < s.lastFrom[sender]:
		l.complain(&l.found.Reordered, "%d got message %d of %d behind %d, at place %d", receiver, number, sender, s.lastFrom[sender], seq)
	default:
		s.lastFrom[sender] = number
	}
	a.seen.add(number)
}

// place checks that the numbers of an inbox have no hole and no repetition.
func (l *Ledger) place(s *shelf, receiver int, seq uint64) {
	switch {
	case seq == 0:
		return
	case seq <= s.last:
		l.complain(&l.found.Doubled, "%d got place %d of its inbox behind place %d", receiver, seq, s.last)
		return
	case seq > s.last+1:
		l.complain(&l.found.Lost, "%d got place %d of its inbox right behind place %d", receiver, seq, s.last)
	}
	s.last = seq
}

// Alter notes that a receiver has got what nobody sent to it.
func (l *Ledger) Alter(receiver int, seq uint64, what string) {
	if l != nil {
		l.complain(&l.found.Altered, "%d got at place %d %s", receiver, seq, what)
	}
}

func (l *Ledger) complain(count *uint64, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*count++
	if len(l.examples) < maxExamples {
		l.examples = append(l.examples, fmt.Sprintf(format, args...))
	}
}

// Missing is how many messages were confirmed and not seen so far.
func (l *Ledger) Missing() (n uint64) {
	for i := range l.senders {
		a := &l.senders[i]
		a.mu.Lock()
		n += a.confirmed.without(&a.seen, nil)
		a.mu.Unlock()
	}
	return n
}

// Verdict is what was found. It is final when nothing is on its way any more.
func (l *Ledger) Verdict() Check {
	for i := range l.senders {
		a := &l.senders[i]
		a.mu.Lock()
		a.confirmed.without(&a.seen, func(number uint64) {
			l.complain(&l.found.Lost, "message %d of %d was confirmed, and its receiver has not seen it", number, i)
		})
		l.found.Confirmed += a.confirmed.count()
		l.found.Seen += a.seen.count()
		a.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.found
	found.Examples = l.examples
	return found
}

// A bitset is a set of numbers from 0 that are dense.
type bitset []uint64

func (b *bitset) add(n uint64) {
	word := int(n / 64)
	for len(*b) <= word {
		*b = append(*b, 0)
	}
	(*b)[word] |= 1 << (n % 64)
}

func (b *bitset) remove(n uint64) {
	if b.has(n) {
		(*b)[n/64] &^= 1 << (n % 64)
	}
}

func (b *bitset) has(n uint64) bool {
	return n/64 < uint64(len(*b)) && (*b)[n/64]&(1<<(n%64)) != 0
}

func (b *bitset) count() (n uint64) {
	for _, word := range *b {
		n += uint64(bits.OnesCount64(word))
	}
	return n
}

// without counts the numbers that are not in the other set, and calls do with each
// unless it is nil.
func (b *bitset) without(other *bitset, do func(uint64)) (n uint64) {
	for i, word := range *b {
		if i < len(*other) {
			word &^= (*other)[i]
		}
		n += uint64(bits.OnesCount64(word))
		for ; do != nil && word != 0; word &= word - 1 {
			do(uint64(i)*64 + uint64(bits.TrailingZeros64(word)))
		}
	}
	return n
}
