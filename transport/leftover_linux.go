//go:build linux && (amd64 || arm64)

package transport

import (
	"encoding/binary"
	"syscall"
	"unsafe"
)

// A read of a socket that tells what it left behind saves the next one, which would
// only learn that nothing is there: at a window of 1 that was every second read, and
// a fifteenth of the processor time (callboard bench relay --window 1). A short read alone does not tell it: the
// peer may have closed its side behind the last byte, and nobody would say so again.
// TCP_INQ (Linux 4.18) counts that as something left.

const (
	tcpInq     = 36 // setsockopt, and the type of the control message
	cmsgHeader = syscall.SizeofCmsghdr
)

// tellsLeftover asks for it. It returns false where there is no such thing.
func tellsLeftover(fd uintptr) bool {
	return syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpInq, 1) == nil
}

// leftover is the part of an inBuffer that the kernel fills besides.
type leftover struct {
	message syscall.Msghdr
	parts   syscall.Iovec
	control [cmsgHeader + 8]byte
}

// read is one attempt to read. It returns whether something may be left.
func (in *inBuffer) read(fd uintptr, tells bool) (n int, left bool, err error) {
	if !tells {
		n, err = syscall.Read(int(fd), in.b[:])
		return n, true, err
	}
	l := &in.leftover
	l.parts.Base, l.parts.Len = &in.b[0], uint64(len(in.b))
	l.message.Iov, l.message.Iovlen = &l.parts, 1
	l.message.Control, l.message.Controllen = &l.control[0], uint64(len(l.control))
	got, _, errno := syscall.Syscall(syscall.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&l.message)), 0)
	if errno != 0 {
		return 0, true, errno
	}
	return int(got), l.any(), nil
}

// any reads the control message: one without the count says nothing.
func (l *leftover) any() bool {
	header := (*syscall.Cmsghdr)(unsafe.Pointer(&l.control))
	if l.message.Controllen < cmsgHeader+4 || header.Level != syscall.IPPROTO_TCP || header.Type != tcpInq {
		return true
	}
	return binary.NativeEndian.Uint32(l.control[cmsgHeader:]) != 0
}
