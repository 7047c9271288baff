package listen

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"chancery/core/settings"
)

// memory is a net.Listener whose connections are pipes with addresses.
type memory struct {
	queue chan result
	done  chan struct{}
	once  sync.Once
}

type result struct {
	conn net.Conn
	err  error
}

func newMemory() *memory { return &memory{queue: make(chan result), done: make(chan struct{})} }

func (m *memory) Accept() (net.Conn, error) {
	select {
	case r := <-m.queue:
		return r.conn, r.err
	case <-m.done:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error   { m.once.Do(func() { close(m.done) }); return nil }
func (m *memory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5222} }

// dial is a connection from an address.
func (m *memory) dial(from string) net.Conn {
	client, server := net.Pipe()
	m.queue <- result{conn: &addressed{server, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from))}}
	return client
}

type addressed struct {
	net.Conn
	remote net.Addr
}

func (a *addressed) RemoteAddr() net.Addr { return a.remote }

// lines counts what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

// door is a listener in memory with everything around it.
type door struct {
	*memory
	*Listener
	gate *Gate
	log  *lines
	live *settings.Settings
	stop context.CancelFunc
	done chan struct{}
}

func open(t *testing.T, cfg Config, change func(*settings.Settings), handle func(context.Context, *Conn)) *door {
	t.Helper()
	d := &door{memory: newMemory(), log: new(lines), live: settings.Defaults(), done: make(chan struct{})}
	if change != nil {
		change(d.live)
	}
	log := slog.New(slog.NewTextHandler(d.log, nil))
	d.gate = NewGate(settings.Fixed(d.live), log)
	d.Listener = On(d.memory, cfg, d.gate, log)
	ctx, stop := context.WithCancel(t.Context())
	d.stop = stop
	go func() {
		defer close(d.done)
		if err := d.Serve(ctx, handle); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	t.Cleanup(func() { stop(); <-d.done })
	return d
}

// echo answers with what it was given: the first byte says which way it came.
func echo(_ context.Context, c *Conn) {
	word := "plain "
	if c.TLS {
		word = "tls "
	}
	buf := make([]byte, 64)
	n, err := c.Read(buf)
	if err == nil {
		c.Write(append([]byte(word), buf[:n]...))
	}
}

// ask sends text and reads until the end.
func ask(c net.Conn, text string) string {
	go c.Write([]byte(text))
	b, _ := io.ReadAll(c)
	return string(b)
}

func TestFirstByteDecides(t *testing.T) {
	tests := []struct {
		name   string
		cfg    Config
		text   string
		want   string
		closed bool
	}{
		{"TLS", Config{}, "\x16\x03\x01", "tls \x16", false},
		{"a stream", Config{}, "<stream>", "plain <", false},
		{"something else, which the stream parser refuses", Config{}, "GET / HTTP/1.1\r\n", "plain G", false},
		{"strict TLS", Config{Mode: Strict}, "\x16\x03\x01", "tls \x16", false},
		{"strict something else", Config{Mode: Strict}, "GET / HTTP/1.1\r\n", "", true},
		{"direct TLS", Config{Direct: true}, "\x16\x03\x01", "tls \x16", false},
		{"direct something else", Config{Direct: true}, "\x00", "", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, test.cfg, nil, echo)
				if got := ask(d.dial("192.0.2.1:1000"), test.text); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
				if refused := d.gate.Stats().Refused["not-tls"] == 1; refused != test.closed {
					t.Errorf("counted as refused: %v", refused)
				}
			})
		})
	}
}

func TestPlainStreamInStrictModeGetsAReadableError(t *testing.T) {
	for _, cfg := range []Config{{Mode: Strict}, {Direct: true}, {Mode: Strict, Content: "jabber:server"}} {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, cfg, nil, echo)
			got := ask(d.dial("192.0.2.1:1000"), "<?xml version='1.0'?>")
			content := cfg.Content
			if content == "" {
				content = "jabber:client"
			}
			for _, part := range []string{"<stream:stream xmlns='" + content + "'", "<policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>", "</stream:error></stream:stream>"} {
				if !strings.Contains(got, part) {
					t.Errorf("no %s in %s", part, got)
				}
			}
		})
	}
}

// TestRefusalArrivesAlthoughThePeerGoesOnSending: closing at once would reset the connection and lose the error.
func TestRefusalArrivesAlthoughThePeerGoesOnSending(t *testing.T) {
	l := openTCP(t, Config{Mode: Strict}, nil, echo)
	c := dialTCP(t, l)
	if _, err := c.Write([]byte("<?xml version='1.0'?>" + strings.Repeat("<stream:stream>", 1000))); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasSuffix(string(got), "</stream:stream>") {
		t.Errorf("got %q, %v", got, err)
	}
}

func openTCP(t *testing.T, cfg Config, change func(*settings.Settings), handle func(context.Context, *Conn)) *Listener {
	t.Helper()
	s := settings.Defaults()
	if change != nil {
		change(s)
	}
	cfg.Address = "127.0.0.1:0"
	log := slog.New(slog.DiscardHandler)
	l, err := Open(t.Context(), cfg, NewGate(settings.Fixed(s), log), log)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	go func() { defer close(done); l.Serve(ctx, handle) }()
	t.Cleanup(func() { stop(); <-done })
	return l
}

func dialTCP(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestModeSwitchesWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, Config{}, nil, echo)
		want := func(part string) {
			t.Helper()
			if got := ask(d.dial("192.0.2.1:1000"), "<"); !strings.HasPrefix(got, part) {
				t.Errorf("in %s mode: got %q, want %q", d.Mode(), got, part)
			}
		}
		want("plain <")
		d.SetMode(Strict)
		want("<?xml")
		d.SetMode(Both)
		want("plain <")
	})
	if _, err := ParseMode("lax"); err == nil {
		t.Error("lax is a mode")
	}
}

func TestSilentPeerIsClosedInTime(t *testing.T) {
	for _, said := range []string{"", "\x16\x03"} { // nothing at all, and a ClientHello that stalls
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			d := open(t, Config{}, nil, func(_ context.Context, c *Conn) { io.Copy(io.Discard, c) })
			if got := ask(d.dial("192.0.2.1:1000"), said); got != "" {
				t.Errorf("got %q", got)
			}
			if waited := time.Since(began); waited != d.live.C2S.TLSTime {
				t.Errorf("closed after %v", waited)
			}
			synctest.Wait()
			if s := d.gate.Stats(); s.Open != 0 {
				t.Errorf("%d connections are left", s.Open)
			}
		})
	}
}

func TestPeerIsCutOffBeyondItsBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan error, 1)
		var read int
		d := open(t, Config{Budget: 100}, nil, func(_ context.Context, c *Conn) {
			n, err := io.Copy(io.Discard, c)
			read = int(n)
			got <- err
		})
		c := d.dial("192.0.2.1:1000")
		c.Write(make([]byte, 1000))
		if err := <-got; !errors.Is(err, ErrBudget) || read != 100 {
			t.Errorf("read %d bytes, then %v", read, err)
		}
	})
}

func TestTrustLiftsTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan int64, 1)
		d := open(t, Config{Budget: 100}, nil, func(_ context.Context, c *Conn) {
			io.ReadFull(c, make([]byte, 50))
			c.Trust()
			n, _ := io.Copy(io.Discard, c)
			got <- n
		})
		c := d.dial("192.0.2.1:1000")
		c.Write(make([]byte, 1000))
		c.Close()
		if n := <-got; n != 950 {
			t.Errorf("read %d more bytes", n)
		}
	})
}

func TestPanicEndsOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, Config{}, nil, func(ctx context.Context, c *Conn) {
			if c.TLS {
				panic("boom")
			}
			echo(ctx, c)
		})
		if got := ask(d.dial("192.0.2.1:1000"), "\x16"); got != "" {
			t.Errorf("got %q", got)
		}
		if got := ask(d.dial("192.0.2.1:1001"), "<"); got != "plain <" {
			t.Errorf("the next one got %q", got)
		}
		synctest.Wait()
		if s := d.gate.Stats(); s.Panics != 1 || s.Open != 0 || d.log.count("panic=boom") != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestCloseLetsConnectionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, Config{}, nil, func(_ context.Context, c *Conn) {
			c.SetDeadline(time.Time{})
			c.Go(func() { io.Copy(c, c) }) // outlives the handler
		})
		c := d.dial("192.0.2.1:1000")
		c.Write([]byte("<"))
		io.ReadFull(c, make([]byte, 1))
		d.Listener.Close()
		c.Write([]byte("still there?"))
		if got := make([]byte, 12); mustRead(t, c, got) != "still there?" {
			t.Errorf("got %q", got)
		}
		synctest.Wait()
		select {
		case <-d.done:
			t.Error("Serve has returned while a connection goes on")
		default:
		}
		c.Close()
		<-d.done
	})
}

func mustRead(t *testing.T, c net.Conn, b []byte) string {
	t.Helper()
	if _, err := io.ReadFull(c, b); err != nil {
		t.Error(err)
	}
	return string(b)
}

func TestContextCutsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, Config{}, nil, func(_ context.Context, c *Conn) {
			c.SetDeadline(time.Time{})
			io.Copy(io.Discard, c)
		})
		c := d.dial("192.0.2.1:1000")
		c.Write([]byte("<"))
		synctest.Wait()
		d.stop()
		<-d.done
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got %v", err)
		}
		if s := d.gate.Stats(); s.Open != 0 {
			t.Errorf("%d connections are left", s.Open)
		}
	})
}

// TestOutOfDescriptors: one line when it begins, one when it is over, and no busy loop between.
func TestOutOfDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, Config{}, nil, echo)
		began := time.Now()
		full := &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
		for range 20 {
			d.queue <- result{err: full}
		}
		if got := ask(d.dial("192.0.2.1:1000"), "<"); got != "plain <" {
			t.Errorf("got %q", got)
		}
		if waited := time.Since(began); waited < 10*time.Second || waited > 20*time.Second {
			t.Errorf("20 failures took %v", waited)
		}
		if a, b := d.log.count("cannot accept"), d.log.count("accepting connections again"); a != 1 || b != 1 {
			t.Errorf("%d and %d lines in the log", a, b)
		}
	})
}

func TestCloseDoesNotWaitForDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, Config{}, nil, echo)
		for range 10 {
			d.queue <- result{err: syscall.ENFILE}
		}
		began := time.Now()
		d.Listener.Close()
		<-d.done
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestPeerThatIsGoneAgainIsNoTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, Config{}, nil, echo)
		began := time.Now()
		d.queue <- result{err: syscall.ECONNABORTED}
		if got := ask(d.dial("192.0.2.1:1000"), "<"); got != "plain <" || !time.Now().Equal(began) || d.log.count("level") != 0 {
			t.Errorf("got %q after %v", got, time.Since(began))
		}
	})
}

func TestPortInUse(t *testing.T) {
	l := openTCP(t, Config{}, nil, echo)
	log := slog.New(slog.DiscardHandler)
	_, err := Open(t.Context(), Config{Name: "c2s", Address: l.Addr().String()}, l.gate, log)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v", err)
	}
	if _, err := Open(t.Context(), Config{Address: "nowhere"}, l.gate, log); err == nil || errors.Is(err, ErrInUse) {
		t.Errorf("got %v", err)
	}
}

// TestFloodFromOneAddressLeavesOthersAlone is the promise of the door: whoever floods gets nothing, and others are served.
func TestFloodFromOneAddressLeavesOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inside atomic.Int32
		d := open(t, Config{}, nil, func(ctx context.Context, c *Conn) {
			inside.Add(1)
			defer inside.Add(-1)
			echo(ctx, c)
		})
		var flood []net.Conn
		for range 10_000 {
			flood = append(flood, d.dial("198.51.100.7:9"))
		}
		if s := d.gate.Stats(); s.Open != d.live.Listen.PerAddress {
			t.Errorf("%d connections are open", s.Open)
		}
		if got := ask(d.dial("192.0.2.1:1000"), "<"); got != "plain <" {
			t.Errorf("an honest client got %q", got)
		}
		if n := d.log.count("connections are refused"); n != 1 {
			t.Errorf("%d lines in the log", n)
		}
		for _, c := range flood {
			c.Close()
		}
		synctest.Wait()
		if s := d.gate.Stats(); s.Open != 0 || inside.Load() != 0 {
			t.Errorf("%+v", s)
		}
	})
}
