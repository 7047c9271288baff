package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"chancery/admin/ops"
)

// Socket is the Unix socket of a running server. It accepts only its owner and root.
type Socket struct {
	*net.UnixListener
	path string
}

// ErrRunning says that another server answers on the socket.
var ErrRunning = errors.New("a server is running on this data folder already")

// Listen makes the socket, and takes the place of one that a dead server left behind.
func Listen(ctx context.Context, path string) (*Socket, error) {
	if c, err := dial(ctx, path); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", path, ErrRunning)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	short, release, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer release()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("the admin socket %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // the path may be the short one, which is gone by then
	// Nobody else gets as far as the socket before this: the folder is ours alone.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &Socket{l, path}, nil
}

// Close stops accepting and removes the socket.
func (s *Socket) Close() error {
	err := s.UnixListener.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return errors.Join(err, os.Remove(s.path))
}

// Accept waits for the next connection of somebody who may.
func (s *Socket) Accept() (net.Conn, error) {
	for {
		c, err := s.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, known := peer(c)
		if known && uid != 0 && uid != os.Geteuid() {
			c.Close()
			continue
		}
		return c, nil
	}
}

// actor is who is at the other end. Where the system does not tell, the mode of the file has let in only the owner.
func (s *Socket) actor(c net.Conn) ops.Actor {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ops.Actor{Name: "nobody"}
	}
	uid, known := peer(u)
	if !known {
		return ops.Local("owner")
	}
	if found, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return ops.Local(found.Username)
	}
	return ops.Local(strconv.Itoa(uid))
}

// maxSocketPath is what fits into sockaddr_un everywhere.
const maxSocketPath = 103

// shorten gives a path that fits into a socket address. Linux can reach a long one through an open folder.
func shorten(path string) (short string, release func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, fmt.Errorf("the path %s is longer than a socket's may be (%d bytes); use a data folder with a shorter path", path, maxSocketPath)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}

func dial(ctx context.Context, path string) (net.Conn, error) {
	short, release, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer release()
	d := net.Dialer{Timeout: 5 * time.Second}
	return d.DialContext(ctx, "unix", short)
}
