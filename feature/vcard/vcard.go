// Package vcard keeps one vCard for each account (XEP-0054). Its owner writes
// it, everybody may read it, and an account without one looks like no account.
package vcard

import (
	"context"
	"fmt"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/settings"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/stanza"
)

// NS is the namespace of XEP-0054.
const NS = "vcard-temp"

var name = elem.N(NS, "vCard")

// VCards is the store for one server.
type VCards struct {
	db       *store.DB
	settings *settings.Live
}

// New makes the feature.
func New(db *store.DB, live *settings.Live) *VCards {
	return &VCards{db: db, settings: live}
}

// Module answers for accounts. Writing somebody else's vCard is not answered
// here, so that the refusal is that of an account that does not exist.
func (v *VCards) Module() route.Module {
	return route.Module{
		Name:   "vcard",
		Claims: []route.Claim{{Spec: "XEP-0054", Version: "1.3.0", Covers: "complete", Note: "Setting somebody else's vCard is refused with service-unavailable, whether he exists or not. The server itself has no vCard."}},
		IQ: []route.IQ{
			{Type: "get", Payload: name, To: route.OwnAccount, Do: v.own},
			{Type: "set", Payload: name, To: route.OwnAccount, Do: v.set},
			{Type: "get", Payload: name, To: route.OtherAccount, Do: v.other},
		},
		Features: []route.Feature{{Of: route.Server, Var: NS}},
		Forget: func(ctx context.Context, tx store.Tx, a account.Account) error {
			return forget(ctx, tx, a.ID)
		},
	}
}

func (v *VCards) own(ctx context.Context, q *route.Query) (*elem.Node, error) {
	return v.get(ctx, q.Account.ID, stanza.Refuse(stanza.ItemNotFound, ""))
}

// other answers anybody: a vCard is world-readable (XEP-0054 security). One who
// has none must not be told from one who does not exist.
func (v *VCards) other(ctx context.Context, q *route.Query) (*elem.Node, error) {
	return v.get(ctx, q.Account.ID, stanza.Refuse(stanza.ServiceUnavailable, ""))
}

func (v *VCards) get(ctx context.Context, id int64, none error) (*elem.Node, error) {
	xml, err := load(ctx, v.db.Read(), id)
	if err != nil {
		return nil, err
	}
	if xml == nil {
		return nil, none
	}
	return elem.Raw(name, xml), nil
}

// set replaces the whole vCard; an empty one takes it away.
func (v *VCards) set(ctx context.Context, q *route.Query) (*elem.Node, error) {
	xml := q.Payload.Append(nil, stanza.NSClient)
	if limit := v.settings.Load().VCard.Bytes; len(xml) > limit {
		return nil, stanza.Refuse(stanza.PolicyViolation, fmt.Sprintf("a vCard may have %s, this one has %d bytes", settings.FormatSize(limit), len(xml)))
	}
	return nil, v.db.Write(ctx, func(tx store.Tx) error {
		if len(q.Payload.Children) == 0 {
			return forget(ctx, tx, q.Account.ID)
		}
		return put(ctx, tx, q.Account.ID, xml, photo(q.Payload))
	})
}
