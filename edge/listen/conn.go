package listen

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is one accepted connection, TLS or not. It is the net.Conn to give to crypto/tls.
//
// An idle connection should cost little. The parts that help: Go continues in a fresh goroutine, whose stack has not been
// grown by a TLS handshake; NoWait and Wait let a reader wait without holding a buffer.
type Conn struct {
	net.Conn
	// TLS tells that the first byte was that of a TLS record: the handshake begins at once, without STARTTLS.
	TLS bool

	l       *Listener
	remote  netip.AddrPort // of the client; from the PROXY header where there is one
	counted netip.Addr     // the address it is counted under; guarded by l.mu
	proxied bool           // a PROXY header must come first

	ahead   []byte // read and not yet given out
	noWait  bool
	drained bool // the last read emptied the socket
	probed  bool // Wait has looked once
	raw     syscall.RawConn
	probe   func(fd uintptr) bool

	budget  atomic.Int64 // bytes that may still be read; negative when there is no limit
	users   atomic.Int32 // goroutines
	isClose atomic.Bool
}

// unlimited is the budget of a peer that has proved who it is.
const unlimited = -1

// ErrBudget is returned by Read when a peer has sent too much before it proved who it is.
var ErrBudget = errors.New("too many bytes before authentication")

// ErrNoData is returned by Read after NoWait when there is nothing to read now. It is a net.Error with Timeout and
// Temporary, after which a tls.Conn can be read again.
var ErrNoData net.Error = noData{}

type noData struct{}

func (noData) Error() string   { return "nothing to read yet" }
func (noData) Timeout() bool   { return true }
func (noData) Temporary() bool { return true }

func newConn(l *Listener, nc net.Conn) *Conn {
	c := &Conn{Conn: nc, l: l, remote: addrPort(nc.RemoteAddr())}
	c.counted = c.remote.Addr()
	c.budget.Store(int64(l.cfg.Budget))
	return c
}

// Remote is the client's address: what the socket says, or a trusted neighbour. It is not valid for a connection that has
// no IP address.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// Via names the listener.
func (c *Conn) Via() string { return c.l.cfg.Name }

// Trust lifts the limit on bytes: the peer has proved who it is.
func (c *Conn) Trust() { c.budget.Store(unlimited) }

// Read gives out what the sniffing read ahead, then reads from the socket, within the byte limit.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
			c.ahead = nil
		}
		return n, nil
	}
	if c.noWait && c.drained {
		return 0, ErrNoData
	}
	left := c.budget.Load()
	if left == 0 {
		return 0, ErrBudget
	}
	asked := len(p)
	if left > 0 {
		p = p[:min(int64(asked), left)]
	}
	n, err := c.Conn.Read(p)
	// A short read has emptied the socket. A full one may have as well: then the next Read waits with its buffer in hand,
	// which costs memory and nothing else.
	c.drained = n < asked
	if left > 0 {
		// Trust may have been called meanwhile; then there is no limit any more.
		c.budget.CompareAndSwap(left, left-int64(n))
	}
	return n, err
}

// NoWait makes Read return ErrNoData where it would wait: the reader then gives its buffer back and calls Wait. Only the
// reading goroutine may call it.
func (c *Conn) NoWait() { c.noWait, c.drained = true, true }

// Wait returns when there is something to read, the peer has gone, or the read deadline has passed; the error is what a
// Read would have returned. It holds no buffer while it waits. Below a tls.Conn it may only be called after ErrNoData,
// when the tls.Conn itself has nothing left.
func (c *Conn) Wait() error {
	if len(c.ahead) > 0 {
		return nil
	}
	if c.raw == nil && !c.prepareProbe() {
		return c.waitAhead()
	}
	c.probed = false
	if err := c.raw.Read(c.probe); err != nil {
		return err
	}
	c.drained = false
	return nil
}

// waitAhead is Wait for connections that are not sockets. It does hold a buffer.
func (c *Conn) waitAhead() error {
	buf := make([]byte, 4096)
	noWait := c.noWait
	c.noWait = false
	n, err := c.Read(buf)
	c.noWait, c.drained = noWait, true
	c.ahead = buf[:n:n]
	if n > 0 {
		return nil
	}
	return err
}

// Go runs f in a fresh goroutine that belongs to the connection: the connection is closed when the last of its goroutines
// has returned, and Serve waits for it. A panic ends this connection and no other.
func (c *Conn) Go(f func()) {
	c.users.Add(1)
	c.l.running.Add(1)
	go c.run(f)
}

func (c *Conn) run(f func()) {
	defer c.l.running.Done()
	defer func() {
		if c.users.Add(-1) == 0 {
			c.Close()
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			c.l.gate.panics.Add(1)
			c.l.log.Error("a connection ended by a defect of this program", "peer", c.remote, "panic", p, "stack", string(debug.Stack()))
			c.Close()
		}
	}()
	f()
}

// Close closes the connection and gives its place to somebody else. It may be called more than once and from anywhere.
func (c *Conn) Close() error {
	if c.isClose.Swap(true) {
		return nil
	}
	err := c.Conn.Close()
	c.l.gate.leave(c.l.forget(c))
	return err
}

// Bounds of Linger.
const (
	lingerTime  = time.Second
	lingerBytes = 64 << 10
)

// Linger closes the connection so that what was written last still arrives. Closing a socket with unread input resets it,
// and the peer would lose the stream error that says why; so this half-closes, reads away what is under way for a second
// at most, and then closes. Nobody else may be reading.
func (c *Conn) Linger() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		c.Conn.SetDeadline(time.Now().Add(lingerTime))
		io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
	return c.Close()
}

func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case nil:
	default:
		ap, _ = netip.ParseAddrPort(a.String())
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
