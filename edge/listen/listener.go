// Package listen is the door: it binds ports, accepts connections, counts them by address, understands the PROXY
// protocol from trusted neighbours, and tells TLS from plain XMPP by the first byte.
//
// What it hands on is a Conn with a deadline and a byte limit already set. It knows nothing of XMPP streams beyond the one
// refusal that a plain stream gets where only TLS is taken.
package listen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Mode says whether a plain first byte is taken.
type Mode string

// The modes of a listener.
const (
	Both   Mode = "both"   // STARTTLS and direct TLS on one port (RFC 6120 §5, XEP-0368)
	Strict Mode = "strict" // direct TLS only; a plain stream gets a stream error and is closed
)

// ParseMode reads a mode from a configuration.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case Both, Strict:
		return m, nil
	}
	return "", fmt.Errorf("mode %q is neither both nor strict", s)
}

// Config is one listener.
type Config struct {
	Name    string         // what connections are said to have come in by: logs, metrics, systemd's FileDescriptorName
	Address string         // host:port; an empty host is all addresses of the machine
	Mode    Mode           // Both when empty
	Direct  bool           // a port for direct TLS: always strict, whatever Mode says
	Proxy   []netip.Prefix // neighbours that must, and alone may, send a PROXY header
	Content string         // default namespace of the stream that a refusal is written on; jabber:client when empty
	Budget  int            // bytes a peer may send before Conn.Trust; DefaultBudget when 0
}

// DefaultBudget holds a TLS handshake with a long client chain, a few stream headers, and the SASL messages of several
// attempts.
const DefaultBudget = 256 << 10

// ErrInUse is returned by Open when somebody else has the port.
var ErrInUse = errors.New("address already in use")

// Listener accepts on one port.
type Listener struct {
	cfg  Config
	gate *Gate
	log  *slog.Logger
	mode atomic.Pointer[Mode]
	sock net.Listener

	closed chan struct{} // Close was called
	once   sync.Once

	running sync.WaitGroup // goroutines of connections

	mu    sync.Mutex
	conns map[*Conn]struct{} // open ones, to be cut when time is up; also guards their field counted
	cut   bool
}

// Open binds the port. Nothing is accepted until Serve. A port that is taken gives an error that is ErrInUse.
func Open(ctx context.Context, cfg Config, gate *Gate, log *slog.Logger) (*Listener, error) {
	// Keep-alives of the kernel only find connections that the machine itself can see are dead; the short default interval
	// of Go would wake every phone four times a minute. Silent clients are pinged on the stream (XEP-0199).
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 4 * time.Minute, Interval: 30 * time.Second, Count: 4}}
	sock, err := lc.Listen(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, bindError(cfg, err)
	}
	return On(sock, cfg, gate, log), nil
}

func bindError(cfg Config, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen on %s (%s): %w", cfg.Address, cfg.Name, ErrInUse)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen on %s (%s): not allowed; ports below 1024 need CAP_NET_BIND_SERVICE or a socket from systemd", cfg.Address, cfg.Name)
	}
	return fmt.Errorf("listen on %s (%s): %w", cfg.Address, cfg.Name, err)
}

// On listens on a socket that is already bound: one that systemd handed over, or one in memory.
func On(sock net.Listener, cfg Config, gate *Gate, log *slog.Logger) *Listener {
	cfg.Mode = cmp.Or(cfg.Mode, Both)
	cfg.Content = cmp.Or(cfg.Content, "jabber:client")
	cfg.Budget = cmp.Or(cfg.Budget, DefaultBudget)
	l := &Listener{cfg: cfg, gate: gate, log: log.With("listener", cfg.Name), sock: sock,
		closed: make(chan struct{}), conns: map[*Conn]struct{}{}}
	l.SetMode(cfg.Mode)
	return l
}

// Name is that of the configuration.
func (l *Listener) Name() string { return l.cfg.Name }

// Addr is where it listens; the port is the real one when the configuration said 0.
func (l *Listener) Addr() net.Addr { return l.sock.Addr() }

// Direct tells whether this is a port for direct TLS.
func (l *Listener) Direct() bool { return l.cfg.Direct }

// Mode is the one in force.
func (l *Listener) Mode() Mode {
	if l.cfg.Direct {
		return Strict
	}
	return *l.mode.Load()
}

// SetMode switches between both and strict, for connections whose first byte has not come yet.
func (l *Listener) SetMode(m Mode) { l.mode.Store(&m) }

// Serve accepts until Close is called or ctx is done, and gives each connection to handle in a goroutine of its own. The
// connection is closed when handle, and all that it started with Conn.Go, have returned.
//
// Close only stops the accepting: Serve then returns when the last connection has ended by itself. When ctx is done, what
// is still open is cut.
func (l *Listener) Serve(ctx context.Context, handle func(context.Context, *Conn)) error {
	defer context.AfterFunc(ctx, l.cutAll)()
	var wait backoff
	for {
		nc, err := l.sock.Accept()
		switch {
		case err == nil:
			wait.over(l.log)
			l.take(ctx, nc, handle)
		case l.isClosed() || errors.Is(err, net.ErrClosed):
			l.Close()
			l.running.Wait()
			return nil
		case errors.Is(err, syscall.ECONNABORTED): // the peer has gone again
		default:
			wait.pause(l.log, err, l.closed)
		}
	}
}

// Close stops accepting. Connections go on.
func (l *Listener) Close() error {
	var err error
	l.once.Do(func() {
		close(l.closed)
		err = l.sock.Close()
	})
	return err
}

func (l *Listener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

func (l *Listener) cutAll() {
	l.Close()
	l.mu.Lock()
	l.cut = true
	open := make([]*Conn, 0, len(l.conns))
	for c := range l.conns {
		open = append(open, c)
	}
	l.mu.Unlock()
	for _, c := range open {
		c.Close()
	}
}

// take counts a new connection and starts its goroutine. What is over the limits is closed without a word: an answer
// would cost more than the flood.
func (l *Listener) take(ctx context.Context, nc net.Conn, handle func(context.Context, *Conn)) {
	c := newConn(l, nc)
	if why := l.admit(c); why != Welcome {
		nc.Close()
		return
	}
	if !l.keep(c) {
		c.Close()
		return
	}
	c.Go(func() {
		if l.greet(c) {
			handle(ctx, c)
		}
	})
}

// admit counts a neighbour's connection as nobody's until the PROXY header says whose it is.
func (l *Listener) admit(c *Conn) Refusal {
	if l.neighbour(c.remote.Addr()) {
		c.proxied = true
		return l.gate.enter(netip.Addr{})
	}
	return l.gate.enter(c.remote.Addr())
}

func (l *Listener) neighbour(a netip.Addr) bool {
	for _, p := range l.cfg.Proxy {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func (l *Listener) keep(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.cut {
		l.conns[c] = struct{}{}
	}
	return !l.cut
}

// rename notes that c is counted under a from now on. It is false when c has been closed meanwhile.
func (l *Listener) rename(c *Conn, a netip.Addr) bool {
	l.mu.Lock()
	_, open := l.conns[c]
	if open {
		c.counted = a
	}
	l.mu.Unlock()
	if !open {
		l.gate.unclaim(a)
	}
	return open
}

// forget says under which address c was counted.
func (l *Listener) forget(c *Conn) netip.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	return c.counted
}

// backoff waits while the process has no file descriptors or memory for another connection. The kernel keeps the callers
// in its backlog meanwhile.
type backoff struct {
	delay time.Duration // 0 while all is well
}

const longestPause = time.Second

func (b *backoff) pause(log *slog.Logger, err error, closed <-chan struct{}) {
	if b.delay == 0 {
		log.Error("cannot accept connections; new ones wait until there is room", "err", err)
		b.delay = 5 * time.Millisecond
	}
	t := time.NewTimer(b.delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-closed:
	}
	b.delay = min(2*b.delay, longestPause)
}

func (b *backoff) over(log *slog.Logger) {
	if b.delay != 0 {
		log.Info("accepting connections again")
		b.delay = 0
	}
}
