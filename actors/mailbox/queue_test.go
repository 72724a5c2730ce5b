package mailbox

import "testing"

// A piece that was given back is empty: it keeps neither messages nor other pieces from being
// collected, though it may stay in use for ever.
func TestPieceGivenBackIsEmpty(t *testing.T) {
	var q queue
	for i := range 3*chunkSize + 2 {
		q.push(i)
	}
	var pieces []*chunk
	for c := q.head; c != nil; c = c.next {
		pieces = append(pieces, c)
	}
	for i := range 3*chunkSize + 2 {
		if msg, ok := q.pop(); !ok || msg != i {
			t.Fatalf("message %d is %v, %v", i, msg, ok)
		}
		for n, c := range pieces[:i/chunkSize] { // the first message is in none
			if *c != (chunk{}) {
				t.Fatalf("after %d messages piece %d is %+v", i+1, n, *c)
			}
		}
	}
	if len(pieces) != 4 || *pieces[3] != (chunk{}) || q != (queue{}) {
		t.Errorf("%d pieces, the last is %+v, and the queue %+v", len(pieces), *pieces[3], q)
	}
}
