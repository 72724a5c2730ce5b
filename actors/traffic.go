package actors

import (
	"sync/atomic"

	"callboard/protocol"
)

// traffic counts what passes: totals since the start, from which those who look twice have
// rates. Actors add, a batch at a time where there are batches; anybody reads.
type traffic struct {
	kept      lanes // messages that got their place in an inbox
	delivered lanes // messages that were written to a session, again after a failure too
	stalled   atomic.Int64
	refused   words // sends and other frames, by the word that their sender was told
	closed    words // sessions, by the word that they ended with
}

func newTraffic() traffic { return traffic{refused: newWords(), closed: newWords()} }

// lanes is a total in parts that lie apart, so that processors do not wait for each other's
// additions.
type lanes [16]struct {
	n atomic.Uint64
	_ [56]byte // the rest of a cache line
}

// add adds to the part that belongs to who adds.
func (l *lanes) add(who uint64, n int) { l[who%uint64(len(l))].n.Add(uint64(n)) }

func (l *lanes) total() (sum uint64) {
	for i := range l {
		sum += l[i].n.Load()
	}
	return sum
}

// Words besides the protocol's codes.
const (
	abnormalWord protocol.ErrorCode = "abnormal" // a session ended without a close frame
	otherWord    protocol.ErrorCode = "other"    // none of those that are known
)

// words is a total for each code of the protocol, and for the two above.
type words struct {
	words []protocol.ErrorCode // never changed; the last is otherWord
	index map[protocol.ErrorCode]int
	n     []atomic.Uint64
}

func newWords() words {
	w := words{index: make(map[protocol.ErrorCode]int)}
	for _, row := range protocol.Codes() {
		w.words = append(w.words, row.Code)
	}
	w.words = append(w.words, abnormalWord, otherWord)
	for i, word := range w.words {
		w.index[word] = i
	}
	w.n = make([]atomic.Uint64, len(w.words))
	return w
}

func (w *words) add(code protocol.ErrorCode) {
	i, known := w.index[code]
	if !known {
		i = len(w.n) - 1
	}
	w.n[i].Add(1)
}

// CodeCount is how often something happened that a code stands for.
type CodeCount struct {
	Code  protocol.ErrorCode // or abnormal, or other
	Count uint64
}

// all are those that have happened, in the order of the protocol's table.
func (w *words) all() (found []CodeCount) {
	for i, word := range w.words {
		if n := w.n[i].Load(); n > 0 {
			found = append(found, CodeCount{word, n})
		}
	}
	return found
}

// countEnd counts the end of a session: under its reason if that is a word, for a close
// code may stand for several, and else under the code's.
func (s *session) countEnd() {
	s.flows()
	closed := &s.link.system.traffic.closed
	word := protocol.ErrorCode(s.reason)
	if _, known := closed.index[word]; !known {
		word = s.code.Word()
	}
	if s.code == closeAbnormal {
		word = abnormalWord
	}
	closed.add(word)
}
