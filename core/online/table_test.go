package online

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"chancery/core/session"
	"chancery/core/settings"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

var (
	romeo  = jid.MustParse("romeo@a.example")
	juliet = jid.MustParse("juliet@a.example")
)

type deaf struct{}

func (deaf) Write(p []byte) (int, error) { return len(p), nil }
func (deaf) End([]byte, *stream.Error)   {}
func (deaf) Cut()                        {}

var env = &session.Env{Settings: settings.Fixed(settings.Defaults()), Log: slog.New(slog.DiscardHandler), Ended: func(*session.Session, []session.Entry) {}}

func bound(full string) *session.Session {
	return session.New(env, full, jid.MustParse(full), 1, deaf{}, session.Facts{})
}

func TestAResourceIsBoundTwice(t *testing.T) {
	for _, c := range []struct {
		policy   string
		max      int
		there    []string
		ended    bool // the one who has the resource
		err      error
		replaced bool
		after    int
	}{
		{"replace", 10, []string{"phone"}, false, nil, true, 1},
		{"refuse", 10, []string{"phone"}, false, ErrConflict, false, 1},
		{"rename", 10, []string{"phone"}, false, ErrConflict, false, 1},
		{"refuse", 10, []string{"phone"}, true, nil, true, 1},
		{"rename", 10, []string{"phone"}, true, nil, true, 1},
		{"replace", 10, []string{"desk"}, false, nil, false, 2},
		{"refuse", 10, []string{"desk"}, false, nil, false, 2},
		{"replace", 2, []string{"desk", "hall"}, false, ErrTooMany, false, 2},
		{"replace", 2, []string{"desk", "phone"}, false, nil, true, 2}, // takes a place that was taken
		{"refuse", 2, []string{"desk", "phone"}, false, ErrConflict, false, 2},
		{"replace", 0, []string{"desk", "hall"}, false, nil, false, 3}, // no bound
	} {
		name := fmt.Sprintf("%s at most %d, %v, ended %v", c.policy, c.max, c.there, c.ended)
		table := New()
		var old *session.Session
		for _, r := range c.there {
			s := bound("romeo@a.example/" + r)
			if _, err := table.Bind(s, Policy{Conflict: c.policy}); err != nil {
				t.Fatal(err)
			}
			if r == "phone" {
				if old = s; c.ended {
					s.EndNow(nil)
				}
			}
		}
		s := bound("romeo@a.example/phone")
		replaced, err := table.Bind(s, Policy{Conflict: c.policy, Max: c.max})
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if (replaced != nil) != c.replaced || replaced != nil && replaced != old {
			t.Errorf("%s: replaced %v", name, replaced)
		}
		if n := len(table.Sessions(romeo)); n != c.after || table.Count() != n || len(table.All()) != n {
			t.Errorf("%s: %d sessions, count %d, want %d", name, n, table.Count(), c.after)
		}
		if got := table.Session(s.JID); (got == s) != (c.err == nil) {
			t.Errorf("%s: found %v", name, got)
		}
		if replaced != nil && (table.Remove(replaced) || table.Session(s.JID) != s) {
			t.Errorf("%s: the end of the old one took the new one out", name)
		}
	}
}

func TestWhoIsThere(t *testing.T) {
	table := New()
	sessions := map[string]*session.Session{}
	for _, full := range []string{"romeo@a.example/phone", "romeo@a.example/desk", "juliet@a.example/balcony"} {
		sessions[full] = bound(full)
		table.Bind(sessions[full], Policy{})
	}
	phone := sessions["romeo@a.example/phone"]
	if len(table.Available(romeo)) != 0 || table.Session(romeo) != nil || table.Session(jid.MustParse("romeo@a.example/hall")) != nil {
		t.Error("somebody is there who is not")
	}
	phone.SetPresence(&session.Presence{Stanza: stanza.New(stanza.Presence, ""), Priority: -1})
	if got := table.Available(romeo); len(got) != 1 || got[0] != phone {
		t.Error("available:", got)
	}
	if got := table.Sessions(jid.MustParse("romeo@b.example")); len(got) != 0 {
		t.Error("another domain has", got)
	}
	before := table.Sessions(romeo)
	if !table.Remove(phone) || table.Remove(phone) {
		t.Error("removed not once")
	}
	if len(before) != 2 || before[0] != phone {
		t.Error("a list that somebody holds was changed")
	}
	table.Remove(sessions["romeo@a.example/desk"])
	if table.Count() != 1 || table.Sessions(romeo) != nil || len(table.Sessions(juliet)) != 1 {
		t.Error("left", table.All())
	}
}

func TestAnotherAccountFindsNoSessionToResume(t *testing.T) {
	table := New()
	s := bound("romeo@a.example/phone")
	table.Bind(s, Policy{})
	table.Resumable("id", s)
	for _, c := range []struct {
		id   string
		who  jid.JID
		want *session.Session
	}{{"id", romeo, s}, {"id", juliet, nil}, {"id", s.JID, nil}, {"other", romeo, nil}, {"", romeo, nil}} {
		if got := table.Resume(c.id, c.who); got != c.want {
			t.Errorf("%q as %s finds %v", c.id, c.who, got)
		}
	}
	s.EndNow(nil)
	table.Resumable("late", s)
	if table.Resume("late", romeo) != nil {
		t.Error("a session that was over is kept for ever")
	}
}

func TestManyComeAndGo(t *testing.T) {
	table := New()
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			for i := range 200 {
				s := bound(fmt.Sprintf("u%d@a.example/%d", i%5, g))
				table.Bind(s, Policy{Conflict: "replace"})
				table.Sessions(s.JID.Bare())
				table.Available(s.JID.Bare())
				if i%3 > 0 {
					table.Remove(s)
				}
			}
		})
	}
	wait.Wait()
	for _, s := range table.All() {
		table.Remove(s)
	}
	if table.Count() != 0 {
		t.Error(table.Count(), "are left")
	}
}
