package pebble

import (
	"runtime"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// politeEvery is after how many keys who writes a table lets others go first: 0.1 to 0.2 ms.
const politeEvery = 64

// A politeFilter is a Bloom filter whose maker lets others go first now and then. Flushes and
// compactions show each key to it, and that is the one place at which both can be made to wait:
// where there are no more processors than work, they would otherwise hold one for 10 ms each time,
// until Go takes it away, and a commit waits for one several times.
type politeFilter struct{ bloom.FilterPolicy }

// NewWriter implements pebble.FilterPolicy.
func (f politeFilter) NewWriter(kind pebble.FilterType) pebble.FilterWriter {
	return &politeWriter{FilterWriter: f.FilterPolicy.NewWriter(kind)}
}

type politeWriter struct {
	pebble.FilterWriter

	keys int
}

// AddKey implements pebble.FilterWriter.
func (w *politeWriter) AddKey(key []byte) {
	if w.keys++; w.keys%politeEvery == 0 {
		runtime.Gosched()
	}
	w.FilterWriter.AddKey(key)
}
