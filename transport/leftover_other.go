//go:build unix && !(linux && (amd64 || arm64))

package transport

import "syscall"

// leftover has nothing here: a read does not tell what it left behind.
type leftover struct{}

func tellsLeftover(uintptr) bool { return false }

// read is one attempt to read. It returns whether something may be left.
func (in *inBuffer) read(fd uintptr, _ bool) (n int, left bool, err error) {
	n, err = syscall.Read(int(fd), in.b[:])
	return n, true, err
}
