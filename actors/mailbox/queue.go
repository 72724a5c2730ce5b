package mailbox

import "sync"

// chunkSize is the number of messages in one piece of a queue: small enough that
// the pool stays small, large enough that a burst costs few pieces.
const chunkSize = 32

// chunk is a piece of a queue. Pieces come from a pool, so that an actor at rest
// holds none and a burst makes no garbage.
type chunk struct {
	items [chunkSize]any
	next  *chunk
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// queue is a first-in first-out list of messages. The zero value is empty. A
// message that is alone needs no chunk.
type queue struct {
	first      any // before everything in the chunks; nil: none
	head, tail *chunk
	n          int32
	read       uint8 // next item of head
	write      uint8 // next free place of tail
}

func (q *queue) push(msg any) {
	if q.n++; q.n == 1 && msg != nil {
		q.first = msg
		return
	}
	if q.tail == nil {
		q.head = chunks.Get().(*chunk)
		q.tail = q.head
	} else if q.write == chunkSize {
		q.tail.next = chunks.Get().(*chunk)
		q.tail = q.tail.next
		q.write = 0
	}
	q.tail.items[q.write] = msg
	q.write++
}

func (q *queue) pop() (any, bool) {
	if q.n == 0 {
		return nil, false
	}
	if msg := q.first; msg != nil {
		q.first = nil
		q.n--
		return msg, true
	}
	c := q.head
	msg := c.items[q.read]
	c.items[q.read] = nil
	q.read++
	q.n--
	switch {
	case q.n == 0:
		*q = queue{}
		chunks.Put(c)
	case q.read == chunkSize:
		q.head, q.read = c.next, 0
		c.next = nil
		chunks.Put(c)
	}
	return msg, true
}
