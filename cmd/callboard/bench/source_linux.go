package bench

import "syscall"

// latePort leaves the choice of the port to connect, which can give one port to
// several connections to different addresses; and ports that have just been in use do
// not make the choice slow (IP_BIND_ADDRESS_NO_PORT, ip(7)).
func latePort(_, _ string, raw syscall.RawConn) error {
	const bindAddressNoPort = 24
	return raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, bindAddressNoPort, 1) // without it, it is only slower
	})
}
