package listen

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// readAll reads without ever holding a buffer while it waits.
func readAll(c *Conn, r io.Reader) (string, error) {
	c.NoWait()
	var all strings.Builder
	for {
		buf := make([]byte, 100)
		n, err := r.Read(buf)
		all.Write(buf[:n])
		if errors.Is(err, ErrNoData) {
			err = c.Wait()
		}
		if err != nil {
			return all.String(), err
		}
	}
}

func TestReaderWaitsWithoutBuffer(t *testing.T) {
	type got struct {
		text string
		err  error
	}
	results := make(chan got, 1)
	l := openTCP(t, Config{}, nil, func(_ context.Context, c *Conn) {
		text, err := readAll(c, c)
		results <- got{text, err}
	})
	c := dialTCP(t, l)
	var want strings.Builder
	for i := range 300 {
		part := "<" + strings.Repeat(strconv.Itoa(i%10), i)
		want.WriteString(part)
		c.Write([]byte(part))
	}
	c.(*net.TCPConn).CloseWrite()
	if r := <-results; r.text != want.String() || r.err != io.EOF {
		t.Errorf("%d of %d bytes, %v", len(r.text), want.Len(), r.err)
	}
}

func TestWaitObeysTheReadDeadline(t *testing.T) {
	results := make(chan error, 1)
	l := openTCP(t, Config{}, nil, func(_ context.Context, c *Conn) {
		c.SetDeadline(time.Time{})
		io.ReadFull(c, make([]byte, 1))
		c.SetReadDeadline(time.Now().Add(-time.Second))
		results <- c.Wait()
	})
	dialTCP(t, l).Write([]byte("<"))
	if err := <-results; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestWaitEndsWhenTheConnectionIsClosed(t *testing.T) {
	results := make(chan error, 1)
	waiting := make(chan *Conn, 1)
	l := openTCP(t, Config{}, nil, func(_ context.Context, c *Conn) {
		io.ReadFull(c, make([]byte, 1))
		waiting <- c
		results <- c.Wait()
	})
	dialTCP(t, l).Write([]byte("<"))
	(<-waiting).Close()
	if err := <-results; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestCloseFromManySides(t *testing.T) {
	l := openTCP(t, Config{}, nil, func(_ context.Context, c *Conn) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { c.Close() })
		}
		all.Wait()
	})
	c := dialTCP(t, l)
	c.Write([]byte("<"))
	io.ReadAll(c)
	l.Close()
	l.running.Wait()
	if s := l.gate.Stats(); s.Open != 0 {
		t.Errorf("%d connections are left", s.Open)
	}
}
