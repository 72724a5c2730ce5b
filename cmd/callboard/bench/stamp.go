package bench

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// A stamp is what a message of ours begins with: which it is, of which run, and when
// it was due. The rest of the content pads it to its size.
type stamp struct {
	run    string
	sender int    // by index
	number uint64 // of the sender's messages, from 1
	due    time.Duration
}

// MinSize is the size of the longest stamp, in bytes.
const MinSize = 48

// padding fills contents up; one letter for all would be too easy to compress.
var padding = strings.Repeat("the show must go on ", 64<<10/20+1)

// newRun is a name that no other run has.
func newRun() string {
	const letters = 5
	base := uint64(1)
	for range letters {
		base *= 36
	}
	return strconv.FormatUint(base+rand.Uint64N(35*base), 36)
}

// append appends a content of so many bytes.
func (s *stamp) append(b []byte, size int) []byte {
	start := len(b)
	b = append(append(b, s.run...), '.')
	b = append(strconv.AppendInt(b, int64(s.sender), 10), '.')
	b = append(strconv.AppendUint(b, s.number, 10), '.')
	b = append(strconv.AppendInt(b, int64(s.due), 10), '.')
	if missing := size - (len(b) - start); missing > 0 {
		b = append(b, padding[:missing]...)
	}
	return b
}

// parseStamp reads the stamp of a content; false if it is none of this run, or not as
// it was sent. Whether the length is right is the caller's to judge.
func parseStamp(content, run string) (s stamp, ok bool) {
	var fields [4]string
	rest := content
	for i := range fields {
		if fields[i], rest, ok = strings.Cut(rest, "."); !ok {
			return s, false
		}
	}
	if fields[0] != run || !strings.HasPrefix(padding, rest) {
		return s, false
	}
	sender, err1 := strconv.Atoi(fields[1])
	number, err2 := strconv.ParseUint(fields[2], 10, 64)
	due, err3 := strconv.ParseInt(fields[3], 10, 64)
	ok = err1 == nil && err2 == nil && err3 == nil && sender >= 0 && number > 0
	return stamp{run: run, sender: sender, number: number, due: time.Duration(due)}, ok
}
