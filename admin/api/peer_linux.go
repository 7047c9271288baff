package api

import (
	"net"
	"syscall"
)

// peer asks the kernel for the user at the other end of a Unix socket.
func peer(c *net.UnixConn) (uid int, known bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	var cred *syscall.Ucred
	err = raw.Control(func(fd uintptr) {
		if u, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			cred = u
		}
	})
	if err != nil || cred == nil {
		return 0, false
	}
	return int(cred.Uid), true
}
