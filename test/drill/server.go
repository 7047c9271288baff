package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"chancery/test/client"
)

// server is one `chancery dev` with data of its own, started again and again.
type server struct {
	bin      string
	data     string
	database string // URL of PostgreSQL, or "" for SQLite
	log      *log

	cmd   *exec.Cmd
	ready atomic.Pointer[ready] // of the last start
}

// ready is the line that `chancery dev --json` prints.
type ready struct {
	Domain string `json:"domain"`
	C2S    string `json:"c2s"`
	CA     string `json:"ca_file"`
	roots  *x509.CertPool
}

// start runs the server and tells how long it took until it answered a client
// with stream features.
func (s *server) start(ctx context.Context) (time.Duration, error) {
	args := []string{"dev", "--json", "--data", s.data}
	if s.database != "" {
		args = append(args, "--database", s.database)
	}
	s.cmd = exec.Command(s.bin, args...)
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return 0, err
	}
	line := make(chan string, 1)
	go func() {
		r := bufio.NewReader(out)
		text, _ := r.ReadString('\n')
		line <- text
		io.Copy(s.log, r)
	}()
	select {
	case text := <-line:
		if err := s.learn(text); err != nil {
			s.kill()
			return 0, fmt.Errorf("the server did not get ready: %w: %q\n%s", err, text, s.log.tail(20))
		}
	case <-time.After(30 * time.Second):
		s.kill()
		return 0, fmt.Errorf("the server did not get ready in 30 s\n%s", s.log.tail(20))
	case <-ctx.Done():
		s.kill()
		return 0, ctx.Err()
	}
	if err := features(s.ready.Load()); err != nil {
		return 0, fmt.Errorf("first stream: %w", err)
	}
	return time.Since(began), nil
}

// learn reads the line, and the CA that clients must verify against.
func (s *server) learn(line string) error {
	r := new(ready)
	if err := json.Unmarshal([]byte(line), r); err != nil {
		return err
	}
	pem, err := os.ReadFile(r.CA)
	if err != nil {
		return err
	}
	r.roots = x509.NewCertPool()
	if !r.roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s has no certificate", r.CA)
	}
	s.ready.Store(r)
	return nil
}

// features waits for the server to answer a stream header.
func features(r *ready) error {
	c, err := net.DialTimeout("tcp", r.C2S, 5*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='%s' version='1.0'>", r.Domain)
	var got []byte
	b := make([]byte, 2048)
	for !bytes.Contains(got, []byte("</stream:features>")) {
		n, err := c.Read(b)
		if got = append(got, b[:n]...); err != nil {
			return fmt.Errorf("%w after %q", err, got)
		}
	}
	return nil
}

// kill is SIGKILL: nothing is said, nothing is finished.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.cmd = nil
}

// stop asks politely and waits for it.
func (s *server) stop() error {
	if s.cmd == nil {
		return nil
	}
	defer func() { s.cmd = nil }()
	s.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(20*time.Second, func() { s.cmd.Process.Kill() })
	err := s.cmd.Wait()
	if !late.Stop() {
		return errors.New("the server did not stop in 20 s")
	}
	return err
}

// alive tells whether the process still runs.
func (s *server) alive() bool { return s.cmd != nil && s.cmd.Process.Signal(syscall.Signal(0)) == nil }

// accounts makes the talkers' accounts through the admin socket.
func (s *server) accounts(ctx context.Context, names []string) error {
	for _, name := range names {
		cmd := exec.CommandContext(ctx, s.bin, "user", "add", name+"@"+s.ready.Load().Domain, "--password-file", "-", "--data", s.data)
		cmd.Stdin = strings.NewReader(password(name) + "\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("user add %s: %w: %s", name, err, out)
		}
	}
	return nil
}

func password(name string) string { return "pass-of-" + name }

// config is how name logs in.
func (s *server) config(name, resource string) client.Config {
	r := s.ready.Load()
	return client.Config{Addr: r.C2S, Domain: r.Domain, User: name, Password: password(name), Resource: resource,
		Roots: r.roots, Patience: 20 * time.Second}
}

// log keeps what the server said, in a file and for questions.
type log struct {
	mu   sync.Mutex
	file *os.File
	text bytes.Buffer
}

func newLog(dir string) (*log, error) {
	f, err := os.Create(filepath.Join(dir, "server.log"))
	return &log{file: f}, err
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	return l.file.Write(p)
}

// mark is a place in the log, for since.
func (l *log) mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Len()
}

// since returns the lines behind a mark.
func (l *log) since(mark int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(string(l.text.Bytes()[mark:])), "\n")
}

func (l *log) tail(n int) string {
	lines := l.since(0)
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
