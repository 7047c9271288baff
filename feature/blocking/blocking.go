// Package blocking lets users decide whom they do not want to hear of
// (XEP-0191). To those on the list the user looks like one who is offline.
//
// The rule is asked for every stanza between an account of ours and anybody, so
// the lists are kept in memory, within bounds.
package blocking

import (
	"context"
	"log/slog"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/session"
	"chancery/core/settings"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// NS is the namespace of XEP-0191. The condition that goes with a stanza to
// somebody blocked, in urn:xmpp:blocking:errors, is the router's.
const NS = "urn:xmpp:blocking"

// Contacts knows who is entitled to an account's presence.
type Contacts interface {
	// Watchers lists the bare addresses with a subscription from or both.
	Watchers(ctx context.Context, owner account.Account) ([]jid.JID, error)
}

// Online finds the sessions of an account.
type Online interface {
	Sessions(bare jid.JID) []*session.Session
}

// Router takes a stanza that the server makes, without asking whether the
// sender has blocked the recipient.
type Router interface {
	Route(ctx context.Context, st *stanza.Stanza)
}

// Blocking keeps the lists of all accounts.
type Blocking struct {
	db       *store.DB
	settings *settings.Live
	contacts Contacts
	online   Online
	router   Router
	log      *slog.Logger
	lists    cache
}

// New makes the feature.
func New(db *store.DB, live *settings.Live, contacts Contacts, online Online, router Router, log *slog.Logger) *Blocking {
	return &Blocking{db: db, settings: live, contacts: contacts, online: online, router: router, log: log, lists: newCache(maxWeight)}
}

// Module answers the blocking commands.
func (b *Blocking) Module() route.Module {
	return route.Module{
		Name:   "blocking",
		Claims: []route.Claim{{Spec: "XEP-0191", Version: "1.3", Covers: "complete", Note: "Polite: subscriptions are kept. One's own account and one's own server cannot be blocked."}},
		IQ: []route.IQ{
			{Type: "get", Payload: elem.N(NS, "blocklist"), To: route.OwnAccount, Do: b.list},
			{Type: "set", Payload: elem.N(NS, "block"), To: route.OwnAccount, Do: b.block},
			{Type: "set", Payload: elem.N(NS, "unblock"), To: route.OwnAccount, Do: b.unblock},
		},
		Features: []route.Feature{{Of: route.Server, Var: NS}},
		Forget: func(ctx context.Context, tx store.Tx, a account.Account) error {
			b.lists.drop(a.ID)
			return forget(ctx, tx, a.ID)
		},
	}
}

// Blocks tells whether nothing may pass between owner and other.
func (b *Blocking) Blocks(ctx context.Context, owner account.Account, other jid.JID) (bool, error) {
	l, err := b.of(ctx, owner.ID)
	if err != nil || len(l) == 0 {
		return false, err
	}
	// XEP-0191 privacy: one's own resources are never
	// blocked. Nor is the server, without which nothing could be unblocked.
	if other.Bare() == owner.JID || other == owner.JID.Server() {
		return false, nil
	}
	return l.blocks(other), nil
}

// of is the list of an account, from memory if it is there.
func (b *Blocking) of(ctx context.Context, id int64) (list, error) {
	l, age, ok := b.lists.get(id)
	if ok {
		return l, nil
	}
	l, err := load(ctx, b.db.Read(), id)
	if err != nil {
		return nil, err
	}
	b.lists.put(id, l, age)
	return l, nil
}

// Changed forgets what is known of an account: its list was changed elsewhere.
func (b *Blocking) Changed(id int64) { b.lists.drop(id) }
