package main

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// sendxmpp sends with go-sendxmpp over STARTTLS and over direct TLS, listens
// with another, and sees that it refuses a server that it cannot verify.
func sendxmpp(ctx context.Context, s *stage) (checks int, err error) {
	jid, _ := s.person(1)
	heard, stop, err := s.listen(ctx, 1)
	if err != nil {
		return 0, err
	}
	defer stop()
	ready := s.srv.Ready()
	for _, way := range []struct {
		body string
		args []string
	}{
		{"over STARTTLS", []string{"-j", ready.C2S}},
		{"over direct TLS", []string{"-t", "-j", ready.C2STLS}},
	} {
		if out, err := s.send(ctx, 0, ready.CA, way.body, append(way.args, jid)...); err != nil {
			return checks, fmt.Errorf("send %s: %w: %s", way.body, err, out)
		}
		if err := until(ctx, 10*time.Second, func() bool { return strings.Contains(heard(), way.body) }); err != nil {
			return checks, fmt.Errorf("hear what was sent %s: %w; heard %q", way.body, err, heard())
		}
		checks++
	}
	out, err := s.send(ctx, 0, "", "unverified", "-j", ready.C2S, jid)
	if err == nil || !bytes.Contains(out, []byte("x509")) {
		return checks, fmt.Errorf("without the CA: %v: %s; want a refusal by the client", err, out)
	}
	return checks + 1, nil
}

// send writes one message as a person; ca is who to believe.
func (s *stage) send(ctx context.Context, person int, ca, body string, args ...string) ([]byte, error) {
	cmd := s.goSendxmpp(ctx, person, ca, args...)
	cmd.Stdin = strings.NewReader(body + "\n")
	return cmd.CombinedOutput()
}

// listen starts a listener; heard is what it has printed so far.
func (s *stage) listen(ctx context.Context, person int) (heard func() string, stop func(), err error) {
	cmd := s.goSendxmpp(ctx, person, s.srv.Ready().CA, "-l", "-j", s.srv.Ready().C2S)
	b := new(buffer)
	cmd.Stdout, cmd.Stderr = b, b
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	return b.String, func() { cmd.Process.Kill(); cmd.Wait() }, nil
}

func (s *stage) goSendxmpp(ctx context.Context, person int, ca string, args ...string) *exec.Cmd {
	jid, password := s.person(person)
	cmd := exec.CommandContext(ctx, "go-sendxmpp", append([]string{"-u", jid, "-p", password}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+s.dir, "SSL_CERT_FILE="+ca)
	return cmd
}

// buffer may be read while a process writes into it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func lines(b []byte) iter.Seq[string] { return strings.SplitSeq(string(b), "\n") }
