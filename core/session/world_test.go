package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"chancery/core/settings"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

var romeo = jid.MustParse("romeo@a.example")

// world is what sessions of a test live in; it runs in a bubble, with a real
// database.
type world struct {
	t   *testing.T
	set *settings.Settings
	env *Env

	mu    sync.Mutex
	ended []string // what Ended was told, as "resource: ids"
}

func inWorld(t *testing.T, do func(t *testing.T, w *world)) {
	cfg := storetest.SQLiteConfig(t)
	synctest.Test(t, func(t *testing.T) {
		do(t, newWorld(t, storetest.Open(t, cfg)))
		synctest.Wait()
	})
}

func newWorld(t *testing.T, db *store.DB) *world {
	w := &world{t: t, set: settings.Defaults()}
	w.env = w.process(db)
	return w
}

// process is the environment of a process that serves over db.
func (w *world) process(db *store.DB) *Env {
	return &Env{DB: db, Settings: settings.Fixed(w.set), Log: slog.New(slog.DiscardHandler), Ended: func(s *Session, rest []Entry) {
		var ids []string
		for _, e := range rest {
			ids = append(ids, e.Stanza.ID)
		}
		w.mu.Lock()
		w.ended = append(w.ended, s.JID.Resource()+": "+strings.Join(ids, " "))
		w.mu.Unlock()
		if rows := s.Forget(); rows != nil {
			db.Append(rows, nil)
		}
	}}
}

func (w *world) told() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.ended, "; ")
}

// bind makes a session on a wire.
func (w *world) bind(resource string) (*Session, *wire) {
	full, err := romeo.WithResource(resource)
	if err != nil {
		w.t.Fatal(err)
	}
	wire := newWire()
	return New(w.env, "c-"+resource, full, 1, wire, Facts{Remote: "192.0.2.1:1"}), wire
}

// managed is bind with XEP-0198.
func (w *world) managed(resource string, resume bool) (*Session, *wire) {
	w.t.Helper()
	s, wire := w.bind(resource)
	if err := s.Enable(w.t.Context(), resume); err != nil {
		w.t.Fatal(err)
	}
	if got := wire.take(); !strings.HasPrefix(got, "<enabled ") {
		w.t.Fatal("enabled with", got)
	}
	return s, wire
}

// rows counts rows.
func (w *world) rows(table string) (n int) {
	w.t.Helper()
	synctest.Wait()
	if err := w.env.DB.Read().QueryRow(context.Background(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func message(id, inner string) *stanza.Stanza {
	st, err := stanza.Parse(fmt.Appendf(nil, "<message xmlns='jabber:client' from='juliet@a.example/balcony' to='romeo@a.example' type='chat' id='%s'>%s</message>", id, inner))
	if err != nil {
		panic(err)
	}
	return st
}

func chat(id string) *stanza.Stanza { return message(id, "<body>hark</body>") }
func typing(id string) *stanza.Stanza {
	return message(id, "<composing xmlns='http://jabber.org/protocol/chatstates'/>")
}

func presence(from, id, typ string) *stanza.Stanza {
	return &stanza.Stanza{Kind: stanza.Presence, Type: typ, ID: id, From: jid.MustParse(from), To: romeo}
}

// durable sends a stanza as the router does: in one commit with its row.
func durable(s *Session, st *stanza.Stanza) {
	h := s.Reserve(st, nil)
	if h == nil {
		s.Send(st)
		return
	}
	var rows []store.Row
	if h.Durable() {
		rows = append(rows, h.Row(h.e.At))
	}
	s.env.DB.Append(rows, func(err error) { h.Settle(err) })
}

// wire is a connection whose client the test plays.
type wire struct {
	mu    sync.Mutex
	open  sync.Cond
	got   strings.Builder
	stuck bool  // Write waits
	fail  error // Write fails
	ended string
	cut   bool
}

func newWire() *wire {
	w := &wire{}
	w.open.L = &w.mu
	return w
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.stuck && w.fail == nil {
		w.open.Wait()
	}
	if w.fail != nil {
		return 0, w.fail
	}
	return w.got.Write(p)
}

func (w *wire) End(rest []byte, reason *stream.Error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended != "" {
		return
	}
	w.got.Write(rest)
	w.ended = "closed"
	if reason != nil {
		w.ended = reason.Condition
	}
	w.fail = errors.New("closed")
	w.stuck = false
	w.open.Broadcast()
}

func (w *wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
}

// take is what was written since the last call, when nothing moves any more.
func (w *wire) take() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.got.String()
	w.got.Reset()
	return s
}

func (w *wire) set(stuck bool, fail error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stuck, w.fail = stuck, fail
	w.open.Broadcast()
}

func (w *wire) end() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// gist is the ids of stanzas, and the other elements by name, in order.
func gist(xml string) string {
	var out []string
	for _, m := range top.FindAllStringSubmatch(xml, -1) {
		switch name := m[1]; name {
		case "message", "presence", "iq":
			id := idAttr.FindStringSubmatch(m[2])
			if id == nil {
				id = []string{"", name}
			}
			out = append(out, id[1])
		case "a":
			out = append(out, "a"+hAttr.FindStringSubmatch(m[2])[1])
		case "resumed":
			out = append(out, "resumed"+hAttr.FindStringSubmatch(m[2])[1])
		case "r", "enabled":
			out = append(out, name)
		}
	}
	return strings.Join(out, " ")
}

var (
	top    = regexp.MustCompile(`<(message|presence|iq|a|r|resumed|enabled)\b([^>]*)>`)
	idAttr = regexp.MustCompile(` id='([^']*)'`)
	hAttr  = regexp.MustCompile(` h='([^']*)'`)
)

func (wire *wire) gets(t *testing.T, want string) {
	t.Helper()
	if got := gist(wire.take()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// takes counts a stanza that the client sends, and deals with it.
func takes(t *testing.T, s *Session, w Wire, st *stanza.Stanza) {
	t.Helper()
	if !s.Take(w, st, st.Kind != stanza.Message) {
		t.Error("not taken")
		return
	}
	s.Done(false)
}
