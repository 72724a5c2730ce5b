package client

import (
	"crypto/rand"
	"strconv"
	"sync/atomic"
)

// ids gives the messages of one Client names that no other Client gives: 130
// random bits and a counter.
type ids struct {
	prefix string
	last   atomic.Uint64
}

func newIDs() *ids { return &ids{prefix: rand.Text() + "-"} }

func (i *ids) next() string { return i.prefix + strconv.FormatUint(i.last.Add(1), 10) }
