package listen_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chancery/core/settings"
	"chancery/edge/listen"
	"chancery/trust/keys"
	"chancery/trust/live"
)

// TestMain lets the test binary be the other end of BenchmarkIdleSession, so that the memory of the clients is not counted.
func TestMain(m *testing.M) {
	if addr := os.Getenv("IDLE_CLIENTS_OF"); addr != "" {
		idleClients(addr)
		return
	}
	os.Exit(m.Run())
}

// Sizes of a login and what it gets, as in the study that set the budget.
const (
	request  = 300
	response = 900
)

// idleClients opens as many TLS connections as it is told, says something on each, and waits for the end of its input.
func idleClients(addr string) {
	n, err := strconv.Atoi(os.Getenv("IDLE_CLIENTS"))
	var all []*tls.Conn
	for err == nil && len(all) < n {
		var c *tls.Conn
		if c, err = tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{live.ALPNClient}}); err == nil {
			all = append(all, c)
			_, werr := c.Write(make([]byte, request))
			_, rerr := io.ReadFull(c, make([]byte, response))
			err = errors.Join(werr, rerr)
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(all)
}

// pooled is where readers borrow their buffers.
type pooled struct{ sync.Pool }

func newPooled() *pooled {
	return &pooled{sync.Pool{New: func() any { return new([4096]byte) }}}
}

// session is the smallest user of a Conn: it answers, and while it is idle it has neither a buffer nor the stack of the
// handshake. It is also the example for how a stream is to be read.
func (p *pooled) session(c *listen.Conn, tc *tls.Conn) {
	c.NoWait()
	answer := make([]byte, response)
	for got := 0; ; {
		buf := p.Get().(*[4096]byte)
		n, err := tc.Read(buf[:])
		p.Put(buf)
		if got += n; got >= request {
			got = 0
			if _, err := tc.Write(answer); err != nil {
				return
			}
		}
		if errors.Is(err, listen.ErrNoData) {
			err = c.Wait()
		}
		if err != nil {
			return
		}
	}
}

func openTLS(tb testing.TB, serve func(*listen.Conn, *tls.Conn)) (addr string) {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	ca, err := keys.LocalCA(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	state := live.New(live.Config{Dir: tb.TempDir(), CA: ca, Domains: func() []string { return []string{"localhost"} }, Log: log})
	if err := state.Refresh(); err != nil {
		tb.Fatal(err)
	}
	config := state.Config(live.Clients, live.ALPNClient)
	set := settings.Defaults()
	set.Listen = settings.Listen{Burst: 1}
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	l, err := listen.Open(ctx, listen.Config{Name: "c2s", Address: "127.0.0.1:0"}, listen.NewGate(settings.Fixed(set), log), log)
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Serve(ctx, func(ctx context.Context, c *listen.Conn) {
			tc, _, err := state.Handshake(ctx, c, config, "")
			if err != nil {
				return
			}
			c.SetDeadline(time.Time{})
			c.Trust()
			c.Go(func() { serve(c, tc) })
		})
	}()
	tb.Cleanup(func() { stop(); <-done })
	return l.Addr().String()
}

// BenchmarkIdleSession reports what an idle TLS 1.3 connection costs below the XMPP session: the ceiling for all together
// is 16 KiB. Linux only: it reads /proc/self/statm.
func BenchmarkIdleSession(b *testing.B) {
	const sessions = 2000
	p := newPooled()
	addr := openTLS(b, p.session)
	for b.Loop() {
		before := resident(b)
		client := exec.Command(os.Args[0])
		client.Env = append(os.Environ(), "IDLE_CLIENTS_OF="+addr, "IDLE_CLIENTS="+strconv.Itoa(sessions))
		in, err := client.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := client.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := client.Start(); err != nil {
			b.Fatal(err)
		}
		line := make([]byte, 64)
		if n, _ := out.Read(line); string(line[:n]) != "ready\n" {
			b.Fatalf("clients: %s", line)
		}
		b.ReportMetric(float64(resident(b)-before)/sessions, "B/session")
		in.Close()
		client.Wait()
	}
}

// resident is the memory of this process in bytes, after everything that can be given back has been.
func resident(b *testing.B) int {
	b.Helper()
	for range 3 { // stacks shrink by half in each cycle
		runtime.GC()
	}
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// TestRecordsAreReadWholeWithoutHoldingABuffer sends records of many sizes through TLS to a reader that waits on the socket.
func TestRecordsAreReadWholeWithoutHoldingABuffer(t *testing.T) {
	var sum atomic.Int64
	done := make(chan struct{})
	p := newPooled()
	addr := openTLS(t, func(c *listen.Conn, tc *tls.Conn) {
		defer close(done)
		c.NoWait()
		for {
			buf := p.Get().(*[4096]byte)
			n, err := tc.Read(buf[:])
			for _, b := range buf[:n] {
				sum.Add(int64(b))
			}
			p.Put(buf)
			if errors.Is(err, listen.ErrNoData) {
				err = c.Wait()
			}
			if err != nil {
				return
			}
		}
	})
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := int64(0)
	for i := range 400 {
		record := make([]byte, i*i%40_000+1)
		for j := range record {
			record[j] = byte(i + j)
			want += int64(record[j])
		}
		if _, err := c.Write(record); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	<-done
	if got := sum.Load(); got != want {
		t.Errorf("the sum of all bytes is %d, want %d", got, want)
	}
}
