//go:build !unix

package transport

import "sync"

// Systems without non-blocking reads on a file descriptor wait in Read, and
// write on a goroutine: slower, and the same to everybody outside of this file.

type inBuffer struct {
	b [16 << 10]byte
	n int
}

var inBuffers = sync.Pool{New: func() any { return new(inBuffer) }}

func (in *inBuffer) free() { inBuffers.Put(in) }

// fill waits until something has come in.
func (s *socket) fill() (*inBuffer, error) {
	in := inBuffers.Get().(*inBuffer)
	n, err := s.nc.Read(in.b[:])
	in.n = n
	if n > 0 {
		return in, nil
	}
	in.free()
	return nil, err
}

func (*socket) readable(uintptr) bool { return false }

// tryWrite writes nothing: all is left to drain.
func (*socket) tryWrite([]byte) (int, error) { return 0, nil }
