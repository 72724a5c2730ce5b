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
	leftover
}

var inBuffers = sync.Pool{New: func() any { return new(inBuffer) }}

// receive works off what comes in, until that has enough or the connection ends. It
// is one RawConn.Read from the first byte to the last: within one, the runtime
// remembers what has arrived since the last attempt. The wait is entered here, close
// to the bottom of the reader's stack, so that it fits into the 2 KB that a goroutine
// begins with (BenchmarkIdle).
//
// The connection is not closed before the attempt at hand ends. So whoever closes it
// ends the link first, for which alone a reader waits.
func (s *socket) receive() error {
	if err := s.raw.Read(s.take); err != nil {
		return err
	}
	return s.inErr
}

// readable works off what is there, without waiting for more. The runtime calls it
// when the socket may have something; true means that nothing more is wanted.
func (s *socket) readable(fd uintptr) (done bool) {
	for left := true; left; {
		in := inBuffers.Get().(*inBuffer)
		n, rest, err := in.read(fd, s.tells)
		switch {
		case n > 0:
			left, done = rest, !s.received(in.b[:n])
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			left = false
		case err == nil:
			s.inErr, done = io.EOF, true
		default:
			s.inErr, done = err, true
		}
		inBuffers.Put(in)
		if done {
			return true
		}
	}
	return false
}

// readableSealed is readable for a connection with TLS.
func (s *socket) readableSealed(fd uintptr) (done bool) {
	s.sealed.wire.fd = fd
	for !done {
		in := inBuffers.Get().(*inBuffer)
		n, err := s.sealed.conn.Read(in.b[:])
		switch {
		case n > 0: // an error comes again
			done = !s.received(in.b[:n])
		case err == errNothing: //nolint:errorlint // TLS returns it as it is
			inBuffers.Put(in)
			return false
		case err != nil:
			s.inErr, done = err, true
		}
		inBuffers.Put(in)
	}
	return true
}

// readNow reads what is there.
func (w *wire) readNow(b []byte) (int, error) {
	n, err := syscall.Read(int(w.fd), b)
	for err == syscall.EINTR {
		n, err = syscall.Read(int(w.fd), b)
	}
	switch {
	case err == syscall.EAGAIN:
		return 0, errNothing
	case err != nil:
		return 0, err
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}

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
