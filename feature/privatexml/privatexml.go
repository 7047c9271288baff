// Package privatexml keeps XML that a user's clients store for themselves
// (XEP-0049): one element for each name and namespace, for nobody else's eyes.
package privatexml

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

// NS is the namespace of XEP-0049.
const NS = "jabber:iq:private"

// Private is the store for one server.
type Private struct {
	db       *store.DB
	settings *settings.Live
}

// New makes the feature.
func New(db *store.DB, live *settings.Live) *Private {
	return &Private{db: db, settings: live}
}

// Module answers one's own clients. Others get what they get for an account
// that does not exist.
func (p *Private) Module() route.Module {
	query := elem.N(NS, "query")
	return route.Module{
		Name:   "privatexml",
		Claims: []route.Claim{{Spec: "XEP-0049", Version: "1.2", Covers: "complete", Note: "No namespace is reserved. The element of somebody else is refused with service-unavailable, whether he exists or not."}},
		IQ: []route.IQ{
			{Type: "get", Payload: query, To: route.OwnAccount, Do: p.get},
			{Type: "set", Payload: query, To: route.OwnAccount, Do: p.set},
		},
		Features: []route.Feature{{Of: route.Server, Var: NS}},
		Forget: func(ctx context.Context, tx store.Tx, a account.Account) error {
			return forget(ctx, tx, a.ID)
		},
	}
}

// get answers with the element that has the name asked for, empty when nothing
// is stored under it.
func (p *Private) get(ctx context.Context, q *route.Query) (*elem.Node, error) {
	asked := elements(q.Payload)
	if len(asked) != 1 || !storable(asked[0]) {
		return nil, stanza.Refuse(stanza.NotAcceptable, "ask for one element in a namespace of its own")
	}
	name := asked[0].Name
	answer := elem.New(NS, "query")
	xml, err := load(ctx, p.db.Read(), q.Account.ID, name)
	if err != nil {
		return nil, err
	}
	if xml == nil {
		return answer.Add(elem.New(name.Space, name.Local)), nil
	}
	return answer.Add(elem.Raw(name, xml)), nil
}

// set stores each element in place of the one with its name; an empty element
// takes the old one away, since it reads the same.
func (p *Private) set(ctx context.Context, q *route.Query) (*elem.Node, error) {
	all := elements(q.Payload)
	if len(all) == 0 {
		return nil, stanza.Refuse(stanza.NotAcceptable, "nothing to store")
	}
	for _, n := range all {
		if !storable(n) {
			return nil, stanza.Refuse(stanza.NotAcceptable, "what is stored needs a namespace of its own")
		}
	}
	limits := p.settings.Load().PrivateXML
	return nil, p.db.Write(ctx, func(tx store.Tx) error {
		for _, n := range all {
			if err := put(ctx, tx, q.Account.ID, n); err != nil {
				return err
			}
		}
		return p.within(ctx, tx, q.Account.ID, limits)
	})
}

// within refuses what makes the account's private XML too large; the whole set
// is rolled back.
func (p *Private) within(ctx context.Context, tx store.Tx, id int64, limits settings.PrivateXML) error {
	count, bytes, err := size(ctx, tx, id)
	if err != nil {
		return err
	}
	if count > limits.Elements {
		return stanza.Refuse(stanza.PolicyViolation, fmt.Sprintf("not more than %d elements can be stored", limits.Elements))
	}
	if bytes > limits.Bytes {
		return stanza.Refuse(stanza.PolicyViolation, fmt.Sprintf("not more than %s can be stored", settings.FormatSize(limits.Bytes)))
	}
	return nil
}

// elements leaves out the white space between them.
func elements(query *elem.Node) []*elem.Node {
	var out []*elem.Node
	for _, n := range query.Children {
		if n.Name.Local != "" {
			out = append(out, n)
		}
	}
	return out
}

// storable tells whether an element is in a namespace of its own.
func storable(n *elem.Node) bool {
	return n.Name.Space != NS && n.Name.Space != stanza.NSClient && n.Name.Space != ""
}

// empty tells whether an element says nothing but its name.
func empty(n *elem.Node) bool {
	return len(n.Attrs) == 0 && len(n.Children) == 0 && n.Text == ""
}
