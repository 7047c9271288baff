package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// profanity types into the terminal client profanity and reads its screen.
func profanity(ctx context.Context, s *stage) (checks int, err error) {
	t, err := s.terminal(ctx)
	if err != nil {
		return 0, err
	}
	defer t.end()
	jid, password := s.person(0)
	other, _ := s.person(1)
	host, port, _ := strings.Cut(s.srv.Ready().C2S, ":")
	connect := fmt.Sprintf("/connect %s server %s port %s tls force", jid, host, port)

	// Without the CA it must ask.
	steps := []struct{ keys, screen string }{
		{"", "Type '/help' to show complete help"},
		{connect, "password"},
		{password, "(?i)certificate"},
		{"/tls deny", "(?i)login failed|offline"},
		{"/tls certpath set " + t.certs, "Certificate path set"},
		{connect, "password"},
		{password, "logged in successfully"},
		{"/msg " + other + " hello from profanity", "me: hello from profanity"},
	}
	heard, stop, err := s.listen(ctx, 1)
	if err != nil {
		return 0, err
	}
	defer stop()
	for _, step := range steps {
		if err := t.enter(ctx, step.keys); err != nil {
			return checks, err
		}
		if err := t.shows(ctx, step.screen); err != nil {
			return checks, fmt.Errorf("after %q: %w", step.keys, err)
		}
		checks++
	}
	if err := until(ctx, 10*time.Second, func() bool { return strings.Contains(heard(), "hello from profanity") }); err != nil {
		return checks, fmt.Errorf("the other hears it: %w; heard %q", err, heard())
	}
	checks++
	if out, err := s.send(ctx, 1, s.srv.Ready().CA, "hello to profanity", "-j", s.srv.Ready().C2S, jid); err != nil {
		return checks, fmt.Errorf("answer: %w: %s", err, out)
	}
	if err := t.shows(ctx, "hello to profanity"); err != nil {
		return checks, err
	}
	return checks + 1, nil
}
