package node

import (
	"errors"
	"net"
	"sync"
)

// Listener is a net.Listener without a network: Dial makes both ends. net.Pipe has no buffer, so a byte that was written
// has been read, and a peer that does not read stops a writer at once.
type Listener struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

// NewListener makes a listener that claims to have that address.
func NewListener(addr net.Addr) *Listener {
	return &Listener{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// Dial connects as from an address.
func (l *Listener) Dial(from *net.TCPAddr) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- addressed{server, l.addr, from}:
		return addressed{client, from, l.addr}, nil
	case <-l.done:
		return nil, errors.New("connection refused")
	}
}

// Accept returns the server's end.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close refuses everybody from now on.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is the address it was made with.
func (l *Listener) Addr() net.Addr { return l.addr }

// addressed gives a pipe the addresses of a TCP connection.
type addressed struct {
	net.Conn
	local, remote net.Addr
}

func (a addressed) LocalAddr() net.Addr  { return a.local }
func (a addressed) RemoteAddr() net.Addr { return a.remote }
