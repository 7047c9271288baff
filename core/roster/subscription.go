package roster

import (
	"context"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// The four kinds of subscription presence.
const (
	subscribe    = "subscribe"
	subscribed   = "subscribed"
	unsubscribe  = "unsubscribe"
	unsubscribed = "unsubscribed"
)

// outbound is what an account's own subscription stanza makes of an item
// (RFC 6121 appendix A.2), and whether it is routed to the contact.
func outbound(i Item, typ string) (next Item, route bool) {
	switch typ {
	case subscribe: // A.2.1
		i.Listed = true
		i.Ask = i.Ask || !i.To
		return i, true
	case unsubscribe: // A.2.2
		i.To, i.Ask = false, false
		return i, true
	case subscribed: // A.2.3, and §3.4 where nothing was asked
		if i.Asked != nil {
			i.Listed, i.From, i.Asked = true, true, nil
			return i, true
		}
		if !i.From {
			i.Listed, i.Approved = true, true
		}
		return i, false
	default: // unsubscribed, A.2.4
		route = i.From || i.Asked != nil
		i.From, i.Approved, i.Asked = false, false, nil
		return i, route
	}
}

// inbound is what a contact's subscription stanza makes of an item (appendix
// A.3), whether the account's clients get it, and whether the request is
// answered at once with subscribed.
func inbound(i Item, st *stanza.Stanza) (next Item, deliver, grant bool) {
	switch st.Type {
	case subscribe: // A.3.1
		switch {
		case i.From:
			return i, false, true
		case i.Approved: // §3.4.2
			i.Listed, i.From, i.Asked = true, true, nil
			return i, false, true
		case i.Asked != nil:
			return i, false, false
		}
		i.Asked = remembered(st)
		return i, true, false
	case unsubscribe: // A.3.2
		deliver = i.From || i.Asked != nil
		i.From, i.Asked = false, nil
		return i, deliver, false
	case subscribed: // A.3.3
		if !i.Ask {
			return i, false, false
		}
		i.Ask, i.To = false, true
		return i, true, false
	default: // unsubscribed, A.3.4
		deliver = i.Ask || i.To
		i.Ask, i.To = false, false
		return i, deliver, false
	}
}

// maxRequest is how much of what a request says is kept until it is answered.
const maxRequest = 4 << 10

// remembered is a request as it is kept. Strangers may not fill the disk with long
// ones: those are delivered whole, once, and kept without what they say.
func remembered(st *stanza.Stanza) *stanza.Stanza {
	if len(st.Payload) <= maxRequest {
		return st
	}
	short := *st
	short.Payload, short.Parts = nil, nil
	return &short
}

// ask handles a client's subscription stanza (§3.1.2, §3.1.5, §3.2.2, §3.3.2).
// It goes out in the name of the account, to the account of the contact.
func (p *Presences) ask(ctx context.Context, t *route.Transit) error {
	owner, contact := *t.Sender, t.To.Bare()
	if contact == owner.JID {
		return stanza.Refuse(stanza.NotAllowed, "nobody subscribes to himself")
	}
	if err := p.mayAsk(ctx, owner, contact, t.Type); err != nil {
		return err
	}
	var route bool
	before, after, err := p.rosters.change(ctx, owner, contact, func(i Item) (Item, error) {
		i, route = outbound(i, t.Type)
		return i, nil
	}, nil)
	if err != nil {
		return err
	}
	if route {
		st := t.Addressed(contact)
		st.From = owner.JID
		p.router.Route(ctx, st)
	}
	if after.From && !before.From {
		p.appear(ctx, owner, contact)
	}
	if before.From && !after.From {
		p.vanish(ctx, owner, contact)
	}
	return nil
}

// mayAsk refuses to ask somebody whom the user has blocked (XEP-0191).
func (p *Presences) mayAsk(ctx context.Context, owner account.Account, contact jid.JID, typ string) error {
	if typ != subscribe {
		return nil
	}
	blocked, err := p.block.Blocks(ctx, owner, contact)
	if err == nil && blocked {
		return route.YouBlocked()
	}
	return err
}

// asked handles a contact's subscription stanza (§3.1.3, §3.1.6, §3.2.3, §3.3.3).
func (p *Presences) asked(ctx context.Context, t *route.Transit) error {
	owner, contact := *t.Recipient, t.From.Bare()
	st := t.Addressed(owner.JID)
	st.From = contact
	var deliver, grant bool
	before, after, err := p.rosters.change(ctx, owner, contact, func(i Item) (Item, error) {
		i, deliver, grant = inbound(i, st)
		return i, nil
	}, func() { // before the push, as §3.1.6, §3.2.3 and §3.3.3 demand
		if deliver {
			p.tell(owner.JID, st, st.Type == subscribe)
		}
	})
	if err != nil {
		return err
	}
	if grant {
		p.post(ctx, subscribed, owner.JID, contact)
	}
	if after.From && (grant || !before.From) {
		p.appear(ctx, owner, contact)
	}
	if before.From && !after.From {
		p.vanish(ctx, owner, contact)
	}
	return nil
}

// tell gives a subscription stanza to the clients: requests to the available
// resources, news to the interested ones (§3.1.3, §3.1.6).
func (p *Presences) tell(owner jid.JID, st *stanza.Stanza, request bool) {
	for _, s := range p.online.Sessions(owner) {
		if s.Presence() != nil || (!request && s.Wants(interested)) {
			s.Send(st)
		}
	}
}

// post sends a presence that the server makes in the name of an account.
func (p *Presences) post(ctx context.Context, typ string, from, to jid.JID) {
	p.router.Route(ctx, &stanza.Stanza{Kind: stanza.Presence, Type: typ, From: from, To: to})
}
