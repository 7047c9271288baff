package roster

import (
	"context"
	"slices"
	"strconv"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// Module answers roster queries (RFC 6121 §2).
func (p *Presences) Module() route.Module {
	r := p.rosters
	return route.Module{
		Name: "roster",
		Claims: []route.Claim{
			{Spec: "RFC 6121", Covers: "complete", Note: "Roster versioning (§2.6) answers a known version with an empty result, an older one with the whole roster."},
			{Spec: "XEP-0237", Version: "1.3", Covers: "complete", Note: "Became RFC 6121 §2.6."},
		},
		IQ: []route.IQ{
			{Type: "get", Payload: elem.N(NS, "query"), To: route.OwnAccount, Do: r.get},
			{Type: "set", Payload: elem.N(NS, "query"), To: route.OwnAccount, Do: p.set},
		},
		Features: []route.Feature{{Of: route.Server, Var: NS}},
		Forget: func(ctx context.Context, tx store.Tx, a account.Account) error {
			r.cache.Delete(a.ID)
			return forget(ctx, tx, a.ID)
		},
	}
}

// StreamFeatures are advertised after authentication: versioning (§2.6.1) and
// pre-approval (§3.4.1).
func StreamFeatures() []*elem.Node {
	return []*elem.Node{elem.New("urn:xmpp:features:rosterver", "ver"), elem.New("urn:xmpp:features:pre-approval", "sub")}
}

// get answers with the roster (§2.2), or with nothing when the client has that
// version (§2.6.3). From then on the session gets pushes.
func (r *Rosters) get(ctx context.Context, q *route.Query) (*elem.Node, error) {
	if q.Session == nil {
		return nil, stanza.Refuse(stanza.Forbidden, "")
	}
	l, err := r.Of(ctx, q.Account.ID)
	if err != nil {
		return nil, err
	}
	q.Then = func() { r.follow(ctx, q.Session, l) }
	version := strconv.FormatInt(l.Version, 10)
	if q.Payload.Attr("ver") == version {
		return nil, nil
	}
	n := elem.New(NS, "query").With("ver", version)
	for _, i := range l.Items() {
		n.Add(i.Node())
	}
	return n, nil
}

// set adds, changes or removes one contact (§2.3, §2.4, §2.5).
func (p *Presences) set(ctx context.Context, q *route.Query) (*elem.Node, error) {
	if q.Session == nil {
		return nil, stanza.Refuse(stanza.Forbidden, "")
	}
	items := q.Payload.ChildrenNamed(NS, "item")
	if len(items) != 1 {
		return nil, stanza.Refuse(stanza.BadRequest, "a roster set has exactly one item")
	}
	n := items[0]
	contact, err := jid.Parse(n.Attr("jid"))
	if err != nil {
		return nil, stanza.Refuse(stanza.BadRequest, "the item has no valid address")
	}
	contact = contact.Bare()
	if n.Attr("subscription") == "remove" {
		return nil, p.remove(ctx, q.Account, contact)
	}
	if contact == q.Account.JID {
		return nil, stanza.Refuse(stanza.NotAllowed, "nobody is his own contact")
	}
	name, groups, err := details(n)
	if err != nil {
		return nil, err
	}
	_, _, err = p.rosters.change(ctx, q.Account, contact, func(i Item) (Item, error) {
		i.Listed, i.Name, i.Groups = true, name, groups
		return i, nil
	}, nil)
	return nil, err
}

// maxName bounds a name and a group, in bytes.
const maxName, maxGroups = 1023, 100

// details reads name and groups within the rules of §2.3.3.
func details(n *elem.Node) (name string, groups []string, err error) {
	if name = n.Attr("name"); len(name) > maxName {
		return "", nil, stanza.Refuse(stanza.NotAcceptable, "the name is too long")
	}
	for _, g := range n.ChildrenNamed(NS, "group") {
		switch {
		case g.Text == "":
			return "", nil, stanza.Refuse(stanza.NotAcceptable, "a group has no name")
		case len(g.Text) > maxName || len(groups) == maxGroups:
			return "", nil, stanza.Refuse(stanza.NotAcceptable, "a group's name is too long, or there are too many groups")
		case slices.Contains(groups, g.Text):
			return "", nil, stanza.Refuse(stanza.BadRequest, "a group is named twice")
		}
		groups = append(groups, g.Text)
	}
	slices.Sort(groups)
	return name, groups, nil
}

// remove takes a contact out and cancels both subscriptions (§2.5.2).
func (p *Presences) remove(ctx context.Context, owner account.Account, contact jid.JID) error {
	before, _, err := p.rosters.change(ctx, owner, contact, func(i Item) (Item, error) {
		if !i.Listed {
			return i, stanza.Refuse(stanza.ItemNotFound, "the contact is not in the roster")
		}
		return Item{JID: contact}, nil
	}, nil)
	if err != nil {
		return err
	}
	p.cancel(ctx, owner.JID, before)
	if before.From {
		p.vanish(ctx, owner, contact)
	}
	return nil
}

// cancel tells a contact that both subscriptions have ended.
func (p *Presences) cancel(ctx context.Context, owner jid.JID, was Item) {
	if was.To || was.Ask {
		p.post(ctx, unsubscribe, owner, was.JID)
	}
	if was.From || was.Asked != nil {
		p.post(ctx, unsubscribed, owner, was.JID)
	}
}
