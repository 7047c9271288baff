// Package sessiontest gives tests real sessions whose client is the test.
package sessiontest

import (
	"bytes"
	"io"
	"log/slog"
	"testing"
	"time"

	"chancery/core/online"
	"chancery/core/session"
	"chancery/core/settings"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

// Client is a session, and what it wrote.
type Client struct {
	*session.Session
	wire wire
}

// New binds a session without stream management. The account's id is for the
// test to choose; the facts say that the stream is encrypted.
func New(full string, account int64) *Client {
	return newClient(full, account, session.Facts{Remote: "192.0.2.1:5222", TLS: "TLS 1.3", Mechanism: "PLAIN"})
}

// NewPlain is New without encryption.
func NewPlain(full string, account int64) *Client {
	return newClient(full, account, session.Facts{Remote: "192.0.2.1:5222", Mechanism: "SCRAM-SHA-1"})
}

func newClient(full string, account int64, facts session.Facts) *Client {
	env := &session.Env{
		Settings: settings.Fixed(settings.Defaults()),
		Log:      slog.New(slog.DiscardHandler),
		Ended:    func(*session.Session, []session.Entry) {},
	}
	c := &Client{wire: make(wire, 1024)}
	c.Session = session.New(env, "test", jid.MustParse(full), account, c.wire, facts)
	return c
}

// Appear makes the session available, as after its initial presence.
func (c *Client) Appear() *Client {
	p := stanza.New(stanza.Presence, "")
	p.From = c.JID
	c.SetPresence(&session.Presence{Stanza: p, At: time.Now()})
	return c
}

// Got is everything that was written since the last call. A stanza of the
// test's own, sent behind it, tells the end, so nothing has to be waited for.
func (c *Client) Got(t testing.TB) string {
	t.Helper()
	end := stanza.New(stanza.Message, "")
	end.ID = "end of the test's reading"
	c.Send(end)
	mark := end.Append(nil, "")
	var all []byte
	for !bytes.HasSuffix(all, mark) {
		select {
		case b := <-c.wire:
			all = append(all, b...)
		case <-t.Context().Done():
			t.Fatal("the session wrote no end")
		case <-time.After(10 * time.Second):
			t.Fatalf("the session wrote %q and no end", all)
		}
	}
	return string(bytes.TrimSuffix(all, mark))
}

// Wire is what the session writes to, and where Take says that stanzas come from.
func (c *Client) Wire() session.Wire { return c.wire }

// wire is a connection that the test reads.
type wire chan []byte

func (w wire) Write(p []byte) (int, error) {
	select {
	case w <- bytes.Clone(p):
		return len(p), nil
	default:
		return 0, io.ErrShortWrite // nobody reads a thousand writes
	}
}

func (w wire) End(rest []byte, _ *stream.Error) { w <- bytes.Clone(rest) }

func (w wire) Cut() {}

// Online is the table of these clients.
func Online(t testing.TB, clients ...*Client) *online.Table {
	t.Helper()
	table := online.New()
	for _, c := range clients {
		if _, err := table.Bind(c.Session, online.Policy{}); err != nil {
			t.Fatal(err)
		}
	}
	return table
}
