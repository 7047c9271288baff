//go:build unix

package listen

import "syscall"

// prepareProbe is true when Wait can ask the socket itself.
func (c *Conn) prepareProbe() bool {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	c.raw, c.probe = raw, c.readable
	return true
}

// readable looks whether the socket has something, the first time; the second time the poller has said so. Should that be
// a mistake, Read waits instead.
func (c *Conn) readable(fd uintptr) bool {
	if c.probed {
		return true
	}
	c.probed = true
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
	return err != syscall.EAGAIN && err != syscall.EINTR
}

// descriptors is how many files the process may have open; 0 when that is not known.
func descriptors() int {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return 0
	}
	const enough = 1 << 30 // RLIM_INFINITY and the like
	return int(min(uint64(r.Cur), enough))
}
