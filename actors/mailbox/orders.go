package mailbox

// orders are the system messages that wait, first in, first out. The zero value is empty.
// They are few, but for the parent of many who end at once, so it is a ring of links: it
// takes one word when it is empty, and nothing is copied when it grows.
type orders struct{ last *order }

type order struct {
	msg  any
	next *order // of the last: the first
}

func (o *orders) push(msg any) {
	fresh := &order{msg: msg}
	if o.last == nil {
		fresh.next = fresh
	} else {
		fresh.next, o.last.next = o.last.next, fresh
	}
	o.last = fresh
}

// pop takes out the first. There must be one.
func (o *orders) pop() any {
	first := o.last.next
	if first == o.last {
		o.last = nil
	} else {
		o.last.next = first.next
	}
	return first.msg
}
