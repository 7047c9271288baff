package route

import (
	"context"
	"fmt"

	"chancery/core/account"
	"chancery/core/session"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/stanza"
)

// Module is what a feature is to the rest of the server: a value it returns.
// Routing tables, disco answers and the list of supported specifications are
// derived from it; nothing registers itself.
type Module struct {
	Name     string
	Claims   []Claim
	IQ       []IQ
	Features []Feature // disco features beyond the namespaces of IQ
	Forms    []Form    // XEP-0128 extensions of the server's disco answer

	// Forget removes all that the feature keeps of an account, in the
	// transaction that removes the account.
	Forget func(ctx context.Context, tx store.Tx, a account.Account) error
}

// Claim says which specification is obeyed, and how far.
type Claim struct {
	Spec    string // "RFC 6121", "XEP-0191"
	Version string // of the document read; "" for RFCs
	Covers  string // "complete", "server role", "partial"
	Note    string // what is left out or decided
}

// Target says which addresses an iq handler answers for.
type Target uint8

const (
	// Server is the domain itself.
	Server Target = iota + 1
	// OwnAccount is the sender's own bare address, or no address at all.
	OwnAccount
	// OtherAccount is the bare address of an account of ours, asked by
	// somebody else, who may be of another server. The handler decides what
	// he may know.
	OtherAccount
	// Resource is the full address of a session of ours. The handler does not
	// answer; an error of it keeps the iq from the session.
	Resource
)

// IQ is one answer a feature gives.
type IQ struct {
	Type    string // "get" or "set"
	Payload elem.Name
	To      Target
	Do      Handler
	Silent  bool // do not list Payload.Space as a disco feature
}

// Handler answers a query: with the payload of the result (nil for an empty
// one) or an error. A *stanza.Error goes to the peer as it is; any other error
// is our fault, logged, and mute to the peer.
type Handler func(ctx context.Context, q *Query) (*elem.Node, error)

// Query is an iq on its way to a handler.
type Query struct {
	*stanza.Stanza
	Payload *elem.Node // the one child of the iq

	// From is the session that asks; nil when the iq came from elsewhere.
	Session *session.Session
	// Account is the account that is asked: the sender's own for OwnAccount,
	// the addressed one for OtherAccount and Resource, zero for Server.
	Account account.Account
	// Reply sends a stanza to the asker ahead of the result.
	Reply func(*stanza.Stanza)
	// Then, which the handler may set, is called behind the result.
	Then func()
}

// Feature is an entry of a disco answer.
type Feature struct {
	Of  Target // Server, or OwnAccount for the account's answer
	Var string
}

// Form is a XEP-0128 extension: called at each disco request.
type Form func() *elem.Node

type iqKey struct {
	typ     string
	payload elem.Name
	to      Target
}

// Table answers iqs by type, payload and target.
type Table struct {
	modules []Module
	iq      map[iqKey]Handler
}

// NewTable builds the table; two answers to one question are a mistake of the
// program.
func NewTable(modules ...Module) *Table {
	t := &Table{modules: modules, iq: map[iqKey]Handler{}}
	for _, m := range modules {
		for _, q := range m.IQ {
			k := iqKey{q.Type, q.Payload, q.To}
			if t.iq[k] != nil {
				panic(fmt.Sprintf("route: %s answers %v, which is answered already", m.Name, k))
			}
			t.iq[k] = q.Do
		}
	}
	return t
}

// Modules in the order given.
func (t *Table) Modules() []Module { return t.modules }

// Features lists what disco says of the server or of an account, without
// repetition, in the order of the modules.
func (t *Table) Features(of Target) []string {
	var out []string
	seen := map[string]bool{}
	add := func(v string) {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	for _, m := range t.modules {
		for _, q := range m.IQ {
			if q.To == of && !q.Silent {
				add(q.Payload.Space)
			}
		}
		for _, f := range m.Features {
			if f.Of == of {
				add(f.Var)
			}
		}
	}
	return out
}

// Forms collects the XEP-0128 extensions of all modules.
func (t *Table) Forms() []*elem.Node {
	var out []*elem.Node
	for _, m := range t.modules {
		for _, f := range m.Forms {
			if n := f(); n != nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// handler finds who answers.
func (t *Table) handler(typ string, payload elem.Name, to Target) Handler {
	return t.iq[iqKey{typ, payload, to}]
}
