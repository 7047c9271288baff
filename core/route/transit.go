package route

import (
	"context"
	"time"

	"chancery/core/account"
	"chancery/core/session"
	"chancery/store"
	"chancery/xmpp/stanza"
)

// Transit is one stanza on its way and what is known of it. One goroutine owns
// it at a time: the reader that took it, then, after the commit, the one that
// tells. Stages add to it; the stanza itself is never changed in place, a stage
// that needs another replaces the pointer.
//
// Stages decide, and what they decide is committed at once: rows by Keep, copies
// for sessions by Hand, what others must hear by Then.
type Transit struct {
	*stanza.Stanza

	Origin    *session.Session // nil when it came from elsewhere: a service, another server
	Sender    *account.Account // ours, or nil
	Recipient *account.Account // ours, or nil
	At        time.Time

	Private bool // XEP-0280 <private/>, or the hint no-copy (XEP-0334)
	NoStore bool // XEP-0334 no-store or no-permanent-store
	Store   bool // XEP-0334 store

	// ArchiveID is our time-ordered id of this message; 0 until an archive
	// keeps it. The marks are the canonical <stanza-id/> (XEP-0359) for copies
	// to the sender's and to the recipient's sessions.
	ArchiveID                 int64
	SenderMark, RecipientMark []byte

	rows    []store.Row
	copies  []copied
	few     [2]copied // where copies begins: most messages go to one or two sessions
	after   []func(context.Context)
	finally func(context.Context)
	settled []func()
	again   bool // a second try, after the session it was meant for had gone
	reached int  // chosen sessions that took it
	own     account.Account
	other   account.Account
}

// copied is a stanza for a session: in its place in the durable queue, or to be
// sent.
type copied struct {
	to     *session.Session
	hold   *session.Hold // nil when it is to be sent
	st     *stanza.Stanza
	more   []byte
	chosen bool
}

// Keep adds rows to the commit.
func (t *Transit) Keep(rows ...store.Row) {
	if t.rows == nil {
		t.rows = make([]store.Row, 0, 4) // of the archive, of a queue, of a counter
	}
	t.rows = append(t.rows, rows...)
}

// Then adds something to be done after the commit, in order, before anybody is
// told. It runs in a goroutine that everybody waits for, so it must not wait for
// the database.
func (t *Transit) Then(f func(context.Context)) { t.after = append(t.after, f) }

// Finally adds something to be done when the fate of the stanza is known, whatever
// it is. What Then says of waiting goes for it, too.
func (t *Transit) Finally(f func()) { t.settled = append(t.settled, f) }

// Hand gives a session a copy: a place in its durable queue when it can be
// resumed, with the row in this commit; otherwise it is sent after the commit.
// more is canonical bytes after the payload.
func (t *Transit) Hand(s *session.Session, st *stanza.Stanza, more []byte) {
	t.hand(s, st, more, false)
}

func (t *Transit) hand(s *session.Session, st *stanza.Stanza, more []byte, chosen bool) {
	c := copied{to: s, st: st, more: more, chosen: chosen}
	if st.Kind == stanza.Message {
		if c.hold = s.Reserve(st, more); c.hold != nil && c.hold.Durable() {
			t.Keep(c.hold.Row(t.At))
		}
	}
	if t.copies == nil {
		t.copies = t.few[:0]
	}
	t.copies = append(t.copies, c)
}

// decided tells, when it went well, and releases the places in queues.
func (t *Transit) decided(ctx context.Context, err error) {
	if err == nil {
		for _, f := range t.after {
			f(ctx)
		}
	}
	for i := range t.copies {
		if c := &t.copies[i]; c.told(err) && c.chosen {
			t.reached++
		}
	}
	if err == nil && t.finally != nil {
		t.finally(ctx)
	}
	t.settle()
}

func (t *Transit) settle() {
	for _, f := range t.settled {
		f()
	}
	t.settled = nil
}

// told is false when the session is over, or err.
func (c *copied) told(err error) bool {
	if c.hold != nil {
		return c.hold.Settle(err) && err == nil
	}
	return err == nil && c.to.SendWith(c.st, c.more)
}

// abandon forgets what the stages had decided.
func (t *Transit) abandon(why error) {
	for i := range t.copies {
		if h := t.copies[i].hold; h != nil {
			h.Settle(why)
		}
	}
	t.rows, t.copies, t.after, t.finally = nil, nil, nil, nil
	t.settle()
}

// Namespace of XEP-0334 hints.
const nsHints = "urn:xmpp:hints"

// read notes what the stanza says about its own handling.
func (t *Transit) read() {
	for _, p := range t.Parts {
		switch p.Name.Space {
		case nsHints:
			switch p.Name.Local {
			case "no-store", "no-permanent-store":
				t.NoStore = true
			case "store":
				t.Store = true
			case "no-copy":
				t.Private = true
			}
		case "urn:xmpp:carbons:2":
			t.Private = t.Private || p.Name.Local == "private"
		}
	}
}
