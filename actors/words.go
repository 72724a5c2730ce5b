package actors

import (
	"slices"
	"sync/atomic"

	"callboard/protocol"
)

// words counts by a word of a list that is made once: a peer cannot add to it.
type words map[protocol.ErrorCode]*atomic.Uint64

func newWords(list ...protocol.ErrorCode) words {
	w := make(words, len(list)+1)
	for _, word := range append(list, wordOther) {
		w[word] = new(atomic.Uint64)
	}
	return w
}

func (w words) add(word protocol.ErrorCode) {
	at := w[word]
	if at == nil {
		at = w[wordOther]
	}
	at.Add(1)
}

func (w words) read() map[protocol.ErrorCode]uint64 {
	r := make(map[protocol.ErrorCode]uint64, len(w))
	for word, n := range w {
		r[word] = n.Load()
	}
	return r
}

// CodeCount is how often something happened that a code stands for.
type CodeCount struct {
	Code  protocol.ErrorCode // or a limit's word, or abnormal, or other
	Count uint64
}

// reached are the limits that have acted, in the order of their list, and other.
func (w words) reached() (found []CodeCount) {
	for _, limit := range append(slices.Clone(limits), wordOther) {
		if n := w[limit].Load(); n > 0 {
			found = append(found, CodeCount{limit, n})
		}
	}
	return found
}

// happened are those words of the lists that have happened, in the order of the
// protocol's table: its codes, abnormal and other.
func happened(lists ...words) (found []CodeCount) {
	count := func(word protocol.ErrorCode) {
		sum := uint64(0)
		for _, w := range lists {
			if n := w[word]; n != nil {
				sum += n.Load()
			}
		}
		if sum > 0 {
			found = append(found, CodeCount{word, sum})
		}
	}
	for _, row := range protocol.Codes() {
		count(row.Code)
	}
	count(wordAbnormal)
	count(wordOther)
	return found
}
