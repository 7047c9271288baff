// Package mam keeps what users say and hear, and gives it back in pages
// (XEP-0313, with XEP-0059, XEP-0297, XEP-0359 and the preferences of XEP-0441).
//
// What is archived, for the sender and for the recipient alike:
//
//   - messages of type normal or chat with a body; normal ones also with a
//     subject alone;
//   - messages of these types without a body that change or answer what was said:
//     delivery receipts (XEP-0184), displayed markers (XEP-0333), reactions
//     (XEP-0444), retractions and fastenings (XEP-0424, XEP-0425, XEP-0422),
//     encrypted content (XEP-0384, XEP-0373), invitations to rooms (XEP-0045,
//     XEP-0249);
//   - any other message of these types, and headlines, that ask for it with the
//     hint store (XEP-0334).
//
// Never: the hints no-store and no-permanent-store, type error, type groupchat
// (the room has the archive), chat states by themselves, and what was refused or
// bounced. Each account may want less: see prefs.go.
//
// A message has one row, whoever keeps it, and is written in the same commit as
// everything else it causes: a message that cannot be archived is refused with an
// error of type wait. Files: rules.go what is kept; id.go what clients see of ids;
// tail.go and index.go how rows become findable; page.go and iq.go queries;
// sweep.go what goes away. docs/adr/0003-archive-schema.md has the reasons.
package mam

import (
	"context"
	"fmt"
	"log/slog"

	"chancery/base/lru"
	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/settings"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// NS is the namespace of XEP-0313.
const NS = "urn:xmpp:mam:2"

// nsIDs is that of XEP-0359.
const nsIDs = "urn:xmpp:sid:0"

var stanzaID = elem.N(nsIDs, "stanza-id")

// Contacts knows who stands in a roster, for those who archive nobody else.
type Contacts interface {
	Knows(ctx context.Context, owner account.Account, other jid.JID) (bool, error)
}

// MAM is the archive of all accounts.
type MAM struct {
	db       *store.DB
	settings *settings.Live
	contacts Contacts
	log      *slog.Logger

	keys    *keys
	finders finders
	tail    *tail // nil on PostgreSQL
	wishes  *lru.Cache[int64, *wishes]
}

// Open prepares the archive. What an earlier process had not indexed is read into
// memory, at most some 20,000 short rows.
func Open(ctx context.Context, db *store.DB, live *settings.Live, contacts Contacts, log *slog.Logger) (*MAM, error) {
	k, err := loadKeys(ctx, db)
	if err != nil {
		return nil, err
	}
	m := &MAM{
		db: db, settings: live, contacts: contacts, log: log,
		keys: k, finders: newFinders(db.Driver()), wishes: lru.New[int64, *wishes](rememberWishes),
	}
	if db.Driver() == store.SQLite {
		m.tail = newTail()
		err := loadTail(ctx, db.Read(), func(row message) {
			m.tail.add(entry{row.id, row.conversation}, row.owners()...)
		})
		if err != nil {
			return nil, fmt.Errorf("what is not indexed of the archive: %w", err)
		}
	}
	return m, nil
}

// Module answers queries, and says what is supported.
func (m *MAM) Module() route.Module {
	return route.Module{
		Name: "mam",
		Claims: []route.Claim{
			{Spec: "XEP-0313", Version: "1.1.3", Covers: "complete", Note: "Archives of accounts, each open to its owner alone; others get the answer of an account that does not exist. Messages of type groupchat are not in them. <count/> and index are given when the page is the whole result."},
			{Spec: "XEP-0441", Version: "0.2.0", Covers: "complete", Note: "Without the ad-hoc command."},
			{Spec: "XEP-0059", Version: "1.0", Covers: "server role", Note: "Pages by index are not supported."},
			{Spec: "XEP-0297", Version: "1.0", Covers: "server role"},
			{Spec: "XEP-0334", Version: "1.0.0", Covers: "server role", Note: "no-copy belongs to carbons."},
			{Spec: "XEP-0359", Version: "0.7.0", Covers: "complete"},
		},
		IQ: []route.IQ{
			{Type: "set", Payload: elem.N(NS, "query"), To: route.OwnAccount, Do: m.answer},
			{Type: "get", Payload: elem.N(NS, "query"), To: route.OwnAccount, Do: m.form},
			{Type: "get", Payload: elem.N(NS, "metadata"), To: route.OwnAccount, Do: m.metadata},
			{Type: "get", Payload: elem.N(NS, "prefs"), To: route.OwnAccount, Do: m.getPrefs},
			{Type: "set", Payload: elem.N(NS, "prefs"), To: route.OwnAccount, Do: m.setPrefs},
		},
		Features: []route.Feature{
			{Of: route.OwnAccount, Var: NS + "#extended"},
			{Of: route.OwnAccount, Var: NS + "#groupchat-field"},
			{Of: route.OwnAccount, Var: nsIDs},
			{Of: route.Server, Var: nsIDs},
		},
		Forget: m.forget,
	}
}

// Sent archives for the sender. The message must be on its way from t.Sender.
func (m *MAM) Sent(ctx context.Context, t *route.Transit) error {
	owner := *t.Sender
	t.Stanza = strip(t.Stanza, owner.JID)
	if !worthKeeping(t) {
		return nil
	}
	wanted, err := m.wants(ctx, owner, t.To)
	if err != nil || !wanted {
		return err
	}
	id := m.keep(t, colSender, owner)
	t.SenderMark = mark(owner.JID, m.keys.token(owner.ID, id))
	if t.To.Bare() == owner.JID { // one message, one place in the archive
		t.RecipientMark = t.SenderMark
	}
	return nil
}

// Received archives for the recipient, t.Recipient.
func (m *MAM) Received(ctx context.Context, t *route.Transit) error {
	owner := *t.Recipient
	if st := strip(t.Stanza, owner.JID); st != t.Stanza {
		t.Stanza = st
		if row := kept(t); row != nil {
			row[colStanza] = render(st)
		}
	}
	if t.From.Bare() == owner.JID || !worthKeeping(t) { // to oneself: Sent has done it
		return nil
	}
	wanted, err := m.wants(ctx, owner, t.From)
	if err != nil || !wanted {
		return err
	}
	id := m.keep(t, colRecipient, owner)
	t.RecipientMark = mark(owner.JID, m.keys.token(owner.ID, id))
	return nil
}

// keep makes owner one of those in whose archives the message stands.
func (m *MAM) keep(t *route.Transit, as int, owner account.Account) (id int64) {
	if row := kept(t); row != nil {
		row[as] = owner.ID
		row[colConversation] = m.keys.conversation(t.From.Bare(), t.To.Bare(), jid.JID{})
		return t.ArchiveID
	}
	if t.ArchiveID == 0 {
		t.ArchiveID = m.db.NewID()
	}
	row := []any{t.ArchiveID, nil, nil, m.keys.conversation(t.From.Bare(), t.To.Bare(), owner.JID), render(t.Stanza)}
	row[as] = owner.ID
	t.Keep(store.Row{Table: messages, Values: row})
	if m.tail != nil {
		t.Keep(store.Row{Table: tails, Values: row[:1]})
		t.Then(func(context.Context) { m.tail.enter(row) }) // before anybody is told
	}
	return t.ArchiveID
}

// kept is the row that the other half of the way has begun; nil when there is
// none.
func kept(t *route.Transit) []any {
	for _, r := range t.Kept() {
		if r.Table == messages {
			return r.Values
		}
	}
	return nil
}

// render is the message as it is stored.
func render(st *stanza.Stanza) []byte {
	return st.Append(make([]byte, 0, st.Size()+len(head)), stanza.NSClient)
}
