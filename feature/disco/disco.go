// Package disco tells what the server and its accounts are and can do
// (XEP-0030, with the forms of XEP-0128), and offers the hash of the server's
// answer with the stream features (XEP-0115), so that clients need not ask.
//
// Nothing is listed by hand: the answer is derived from the modules that give
// the answers.
package disco

import (
	"context"
	"sync/atomic"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/session"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// Namespaces of XEP-0030 and XEP-0115.
const (
	NSInfo  = "http://jabber.org/protocol/disco#info"
	NSItems = "http://jabber.org/protocol/disco#items"
	NSCaps  = "http://jabber.org/protocol/caps"
)

// Modules is what the answers are derived from: a route.Table.
type Modules interface {
	Features(of route.Target) []string
	Forms() []*elem.Node
}

// Rights knows who may learn of an account's presence, and so of its
// existence.
type Rights interface {
	Sees(ctx context.Context, owner account.Account, other jid.JID) (bool, error)
}

// Online finds the sessions of an account.
type Online interface {
	Sessions(bare jid.JID) []*session.Session
}

// Item is something that belongs to the server and has an address of its own.
type Item struct {
	JID  jid.JID
	Name string
}

// Disco answers disco requests.
type Disco struct {
	Software string // name of the server's identity
	Home     string // URL of the software, the node of its capabilities
	Rights   Rights
	Online   Online
	// Services lists what a domain of ours offers beside itself; nil for
	// nothing.
	Services func(domain jid.JID) []Item

	modules Modules
	server  atomic.Pointer[description]
}

// Describe hands over the modules. It is called once, before the first
// request: the table of modules contains this one, so it comes later.
func (d *Disco) Describe(m Modules) { d.modules = m }

// Module answers for the server, for one's own account, and for the accounts
// of others to those entitled.
func (d *Disco) Module() route.Module {
	info, items := elem.N(NSInfo, "query"), elem.N(NSItems, "query")
	return route.Module{
		Name: "disco",
		Claims: []route.Claim{
			{Spec: "XEP-0030", Version: "2.5.0", Covers: "complete", Note: "The items of an account are refused with service-unavailable to those who may not see its presence, like those of an account that does not exist (RFC 6121 §8.5.1)."},
			{Spec: "XEP-0128", Version: "1.0.1", Covers: "complete"},
			{Spec: "XEP-0115", Version: "1.6.0", Covers: "server role", Note: "Capabilities of the server in its stream features; presence is not optimised."},
		},
		IQ: []route.IQ{
			{Type: "get", Payload: info, To: route.Server, Do: d.serverInfo},
			{Type: "get", Payload: info, To: route.OwnAccount, Do: d.accountInfo},
			{Type: "get", Payload: info, To: route.OtherAccount, Do: d.entitled(d.accountInfo)},
			{Type: "get", Payload: items, To: route.Server, Do: d.serverItems},
			{Type: "get", Payload: items, To: route.OwnAccount, Do: d.accountItems},
			{Type: "get", Payload: items, To: route.OtherAccount, Do: d.entitled(d.accountItems)},
		},
		Features: []route.Feature{{Of: route.Server, Var: NSCaps}},
	}
}

// serverInfo describes the server. The node of its capabilities is the server
// itself (XEP-0115 discover); there are no others.
func (d *Disco) serverInfo(_ context.Context, q *route.Query) (*elem.Node, error) {
	now, node := d.describe(), q.Payload.Attr("node")
	if node != "" && node != d.Home+"#"+now.ver {
		return nil, noNode()
	}
	return elem.New(NSInfo, "query").With("node", node).Add(now.info...), nil
}

// accountInfo describes an account (XEP-0030 info-basic, bare addresses). Who
// administers the server is not told.
func (d *Disco) accountInfo(_ context.Context, q *route.Query) (*elem.Node, error) {
	if q.Payload.Attr("node") != "" {
		return nil, noNode()
	}
	return elem.New(NSInfo, "query").
		Add(identity("account", "registered", "")).
		Add(features(d.modules.Features(route.OwnAccount))...), nil
}

func (d *Disco) serverItems(_ context.Context, q *route.Query) (*elem.Node, error) {
	if q.Payload.Attr("node") != "" {
		return nil, noNode()
	}
	answer := elem.New(NSItems, "query")
	if d.Services != nil {
		for _, it := range d.Services(q.To) {
			answer.Add(elem.New(NSItems, "item").With("jid", it.JID.String()).With("name", it.Name))
		}
	}
	return answer, nil
}

// accountItems lists the available resources (XEP-0030 items-basic).
func (d *Disco) accountItems(_ context.Context, q *route.Query) (*elem.Node, error) {
	if q.Payload.Attr("node") != "" {
		return nil, noNode()
	}
	answer := elem.New(NSItems, "query")
	for _, s := range d.Online.Sessions(q.Account.JID) {
		if s.Presence() != nil {
			answer.Add(elem.New(NSItems, "item").With("jid", s.JID.String()))
		}
	}
	return answer, nil
}

// entitled lets those through who may see the account's presence (XEP-0030
// security). The refusal is what the router says of an account that does not
// exist.
func (d *Disco) entitled(do route.Handler) route.Handler {
	return func(ctx context.Context, q *route.Query) (*elem.Node, error) {
		sees, err := d.Rights.Sees(ctx, q.Account, q.From)
		if err != nil {
			return nil, err
		}
		if !sees {
			return nil, stanza.Refuse(stanza.ServiceUnavailable, "")
		}
		return do(ctx, q)
	}
}

func noNode() error { return stanza.Refuse(stanza.ItemNotFound, "no such node") }

func identity(category, typ, name string) *elem.Node {
	return elem.New(NSInfo, "identity").With("category", category).With("type", typ).With("name", name)
}

func features(vars []string) []*elem.Node {
	nodes := make([]*elem.Node, len(vars))
	for i, v := range vars {
		nodes[i] = elem.New(NSInfo, "feature").With("var", v)
	}
	return nodes
}
