package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// terminal is profanity in a tmux of its own, with a home of its own.
type terminal struct {
	socket string
	certs  string // folder with the CA, hashed as OpenSSL wants it
}

func (s *stage) terminal(ctx context.Context) (*terminal, error) {
	home := filepath.Join(s.dir, "profanity")
	t := &terminal{socket: filepath.Join(s.dir, "tmux"), certs: filepath.Join(home, "certs")}
	if err := os.MkdirAll(t.certs, 0o700); err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(s.srv.Ready().CA)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(t.certs, "ca.pem"), ca, 0o600); err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, "openssl", "rehash", t.certs).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("openssl rehash: %w: %s", err, out)
	}
	env := "env -u SSL_CERT_FILE HOME=" + home + " XDG_CONFIG_HOME=" + home + "/config XDG_DATA_HOME=" + home + "/data TERM=xterm LC_ALL=C.UTF-8"
	_, err = t.tmux(ctx, "-f", "/dev/null", "new-session", "-d", "-x", "140", "-y", "45", "-s", "p", env+" profanity")
	return t, err
}

func (t *terminal) tmux(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "tmux", append([]string{"-S", t.socket}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tmux %v: %w: %s", args, err, out)
	}
	return string(out), nil
}

// enter types a line; "" types nothing.
func (t *terminal) enter(ctx context.Context, line string) error {
	if line == "" {
		return nil
	}
	if _, err := t.tmux(ctx, "send-keys", "-t", "p", "-l", line); err != nil {
		return err
	}
	_, err := t.tmux(ctx, "send-keys", "-t", "p", "Enter")
	return err
}

// shows waits until the screen matches.
func (t *terminal) shows(ctx context.Context, pattern string) error {
	want := regexp.MustCompile(pattern)
	var screen string
	err := until(ctx, 15*time.Second, func() bool {
		s, err := t.tmux(ctx, "capture-pane", "-p", "-t", "p")
		screen = s
		return err == nil && want.MatchString(s)
	})
	if err != nil {
		return fmt.Errorf("%q on the screen: %w; it shows\n%s", pattern, err, strings.TrimSpace(screen))
	}
	return nil
}

func (t *terminal) end() { t.tmux(context.Background(), "kill-server") }
