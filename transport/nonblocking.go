//go:build unix

package transport

import (
	"io"
	"sync"
	"syscall"
)

// inBuffer is what one read of a socket fills. It comes from a pool and is held
// only while what it got is worked off: a connection at rest has no buffer.
type inBuffer struct {
	b [16 << 10]byte
	n int
}

var inBuffers = sync.Pool{New: func() any { return new(inBuffer) }}

// fill waits until something has come in. The wait is entered here, close to the
// bottom of the reader's stack, so that it fits into the 2 KB that a goroutine
// begins with (BenchmarkIdle).
func (s *socket) fill() (*inBuffer, error) {
	if err := s.raw.Read(s.take); err != nil {
		return nil, err
	}
	return s.in, s.inErr
}

// readable takes what is there, without waiting. The runtime calls it when the
// socket may have something; false means that it had nothing.
func (s *socket) readable(fd uintptr) bool {
	in := inBuffers.Get().(*inBuffer)
	n, err := syscall.Read(int(fd), in.b[:])
	for err == syscall.EINTR {
		n, err = syscall.Read(int(fd), in.b[:])
	}
	switch {
	case err == syscall.EAGAIN:
		inBuffers.Put(in)
		return false
	case err == nil && n == 0:
		err = io.EOF
	}
	in.n = max(n, 0)
	s.in, s.inErr = in, err
	return true
}

func (in *inBuffer) free() { inBuffers.Put(in) }

// writeOp is one attempt to write. It comes from a pool with its method bound,
// so that an attempt allocates nothing.
type writeOp struct {
	b    []byte
	n    int
	err  error
	call func(fd uintptr) bool
}

var writeOps = sync.Pool{New: func() any {
	op := new(writeOp)
	op.call = op.write
	return op
}}

func (op *writeOp) write(fd uintptr) bool {
	op.n, op.err = syscall.Write(int(fd), op.b)
	for op.err == syscall.EINTR {
		op.n, op.err = syscall.Write(int(fd), op.b)
	}
	if op.n < 0 {
		op.n = 0
	}
	if op.err == syscall.EAGAIN {
		op.err = nil
	}
	return true
}

// tryWrite writes what the network takes at once.
func (s *socket) tryWrite(b []byte) (int, error) {
	op := writeOps.Get().(*writeOp)
	op.b = b
	err := s.raw.Write(op.call)
	n := op.n
	if err == nil {
		err = op.err
	}
	op.b, op.n, op.err = nil, 0, nil
	writeOps.Put(op)
	return n, err
}
