// Package local runs the server, and PostgreSQL, as processes on this machine:
// the drills and the interoperability tests stand on it. Everything is in
// folders of its own and on the loopback, and ends by its process id.
package local

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

// Server is one `chancery dev` with data of its own, started again and again.
type Server struct {
	Command  []string // before `dev`: a binary, or go run ./cmd/chancery
	Data     string
	Database string // URL of PostgreSQL, or "" for SQLite
	Log      *Log

	cmd   *exec.Cmd
	pid   int                   // of the server itself, which `go run` stands before
	ready atomic.Pointer[Ready] // of the last start
}

// Ready is the line that `chancery dev --json` prints.
type Ready struct {
	Domain   string `json:"domain"`
	C2S      string `json:"c2s"`
	C2STLS   string `json:"c2s_tls"`
	CA       string `json:"ca_file"`
	PID      int    `json:"pid"`
	Accounts []struct {
		JID      string `json:"jid"`
		Password string `json:"password"`
		Admin    bool   `json:"admin"`
	} `json:"accounts"`

	Roots *x509.CertPool `json:"-"` // of CA
}

// Start runs the server and tells how long it took until it answered a client
// with stream features.
func (s *Server) Start(ctx context.Context) (time.Duration, error) {
	args := append(s.Command[1:len(s.Command):len(s.Command)], "dev", "--json", "--data", s.Data)
	if s.Database != "" {
		args = append(args, "--database", s.Database)
	}
	s.cmd = exec.Command(s.Command[0], args...)
	s.cmd.Stderr = s.Log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return 0, err
	}
	s.pid = s.cmd.Process.Pid
	line := make(chan string, 1)
	go func() {
		r := bufio.NewReader(out)
		text, _ := r.ReadString('\n')
		line <- text
		io.Copy(s.Log, r)
	}()
	select {
	case text := <-line:
		if err := s.learn(text); err != nil {
			s.Kill()
			return 0, fmt.Errorf("the server did not get ready: %w: %q\n%s", err, text, s.Log.Tail(20))
		}
	case <-time.After(2 * time.Minute):
		s.Kill()
		return 0, fmt.Errorf("the server did not get ready in two minutes\n%s", s.Log.Tail(20))
	case <-ctx.Done():
		s.Kill()
		return 0, ctx.Err()
	}
	if err := features(s.Ready()); err != nil {
		return 0, fmt.Errorf("first stream: %w", err)
	}
	return time.Since(began), nil
}

// learn reads the line, and the CA that clients must verify against.
func (s *Server) learn(line string) error {
	r := new(Ready)
	if err := json.Unmarshal([]byte(line), r); err != nil {
		return err
	}
	pem, err := os.ReadFile(r.CA)
	if err != nil {
		return err
	}
	r.Roots = x509.NewCertPool()
	if !r.Roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s has no certificate", r.CA)
	}
	s.ready.Store(r)
	if r.PID != 0 {
		s.pid = r.PID
	}
	return nil
}

// features waits for the server to answer a stream header.
func features(r *Ready) error {
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

// Kill is SIGKILL: nothing is said, nothing is finished.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	syscall.Kill(s.pid, syscall.SIGKILL)
	s.cmd.Wait()
	s.cmd = nil
}

// Stop asks politely and waits for it.
func (s *Server) Stop() error {
	if s.cmd == nil {
		return nil
	}
	defer func() { s.cmd = nil }()
	syscall.Kill(s.pid, syscall.SIGTERM)
	late := time.AfterFunc(20*time.Second, func() { syscall.Kill(s.pid, syscall.SIGKILL) })
	err := s.cmd.Wait()
	if !late.Stop() {
		return errors.New("the server did not stop in 20 s")
	}
	return err
}

// Alive tells whether the process still runs.
func (s *Server) Alive() bool { return s.cmd != nil && syscall.Kill(s.pid, 0) == nil }

// Accounts makes accounts through the admin socket.
func (s *Server) Accounts(ctx context.Context, names []string) error {
	var lines strings.Builder
	for _, name := range names {
		fmt.Fprintf(&lines, "%s@%s %s\n", name, s.Ready().Domain, Password(name))
	}
	_, err := s.Admin(ctx, lines.String(), "user", "import", "-")
	return err
}

// Admin runs an administrator's command against the running server.
func (s *Server) Admin(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	args = append(args, "--data", s.Data)
	all := append(s.Command[1:len(s.Command):len(s.Command)], args...)
	cmd := exec.CommandContext(ctx, s.Command[0], all...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return out, nil
}

// Ready is what the last start printed.
func (s *Server) Ready() *Ready { return s.ready.Load() }

// Password of an account that Accounts made.
func Password(name string) string { return "pass-of-" + name }

// Config is how name logs in.
func (s *Server) Config(name, resource string) client.Config {
	r := s.Ready()
	return client.Config{Addr: r.C2S, Domain: r.Domain, User: name, Password: Password(name), Resource: resource,
		Roots: r.Roots, Patience: 20 * time.Second}
}

// Log keeps what the server said, in a file and for questions.
type Log struct {
	mu   sync.Mutex
	file *os.File
	text bytes.Buffer
}

// NewLog makes server.log in dir.
func NewLog(dir string) (*Log, error) {
	f, err := os.Create(filepath.Join(dir, "server.log"))
	return &Log{file: f}, err
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	return l.file.Write(p)
}

// Mark is a place in the log, for Since.
func (l *Log) Mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Len()
}

// Since returns the lines behind a mark.
func (l *Log) Since(mark int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(string(l.text.Bytes()[mark:])), "\n")
}

// Tail is the last n lines.
func (l *Log) Tail(n int) string {
	lines := l.Since(0)
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
