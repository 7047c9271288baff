// Package carbons keeps all clients of a user engaged in a conversation
// (XEP-0280): who asked for it gets a copy of what the user's other clients
// send and receive.
//
// What is copied is decided by XEP-0280 recommended-rules, all of which are
// obeyed, so that urn:xmpp:carbons:rules:0 is advertised.
package carbons

import (
	"context"

	"chancery/core/route"
	"chancery/core/session"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// Namespaces of XEP-0280 and of the forwarding in which copies travel (XEP-0297).
const (
	NS        = "urn:xmpp:carbons:2"
	NSRules   = "urn:xmpp:carbons:rules:0"
	nsForward = "urn:xmpp:forward:0"
)

// Online finds the sessions of an account.
type Online interface {
	Sessions(bare jid.JID) []*session.Session
}

// Carbons is the stage of the pipeline that makes copies.
type Carbons struct {
	online Online
	copied memory
}

// New makes the stage.
func New(online Online) *Carbons {
	return &Carbons{online: online, copied: newMemory()}
}

// Module turns copies on and off.
func (c *Carbons) Module() route.Module {
	return route.Module{
		Name: "carbons",
		Claims: []route.Claim{
			{Spec: "XEP-0280", Version: "1.0.1", Covers: "complete"},
			{Spec: "XEP-0297", Version: "1.0", Covers: "server role"},
		},
		IQ: []route.IQ{
			{Type: "set", Payload: elem.N(NS, "enable"), To: route.OwnAccount, Do: want(true)},
			{Type: "set", Payload: elem.N(NS, "disable"), To: route.OwnAccount, Do: want(false)},
		},
		Features: []route.Feature{
			{Of: route.Server, Var: NS}, {Of: route.Server, Var: NSRules},
			{Of: route.OwnAccount, Var: NSRules},
		},
	}
}

// want is idempotent, as XEP-0280 asks (handling multiple enable/disable
// requests).
func want(on bool) route.Handler {
	return func(_ context.Context, q *route.Query) (*elem.Node, error) {
		if q.Session == nil {
			return nil, stanza.Refuse(stanza.NotAllowed, "") // not hosted here
		}
		q.Session.SetWant(session.Copies, on)
		return nil, nil
	}
}

// Sent copies what one client of the user sends to the others.
func (c *Carbons) Sent(ctx context.Context, t *route.Transit) {
	if t.Sender == nil || t.To.Bare() == t.Sender.JID {
		return // to oneself: the receiving half sees to everybody
	}
	owner := t.Sender.JID
	others := c.wanting(owner, func(s *session.Session) bool { return s == t.Origin })
	if len(others) == 0 || !c.eligible(t, owner, t.To, outgoing) {
		return
	}
	if t.Has(nsMUC, "x") {
		others = sharing(others, t)
	}
	c.copy(t, "sent", owner, t.SenderMark, others)
}

// Received copies what reaches one client of the user to those that did not
// get it themselves.
func (c *Carbons) Received(ctx context.Context, t *route.Transit, chosen []*session.Session) {
	if t.Recipient == nil {
		return
	}
	owner := t.Recipient.JID
	others := c.wanting(owner, func(s *session.Session) bool {
		if s == t.Origin { // a message to oneself: the sender has it
			return true
		}
		for _, got := range chosen {
			if s == got {
				return true
			}
		}
		return false
	})
	if len(others) == 0 || !c.eligible(t, owner, t.From, incoming) {
		return
	}
	c.copy(t, "received", owner, t.RecipientMark, others)
}

// wanting lists the sessions that asked for copies, without those that have the
// message itself. Most accounts have one session and pay a look, no more.
func (c *Carbons) wanting(owner jid.JID, has func(*session.Session) bool) []*session.Session {
	var out []*session.Session
	for _, s := range c.online.Sessions(owner) {
		if s.Wants(session.Copies) && !has(s) {
			out = append(out, s)
		}
	}
	return out
}

// copy sends the copies once the message is safe. All share one payload, in
// which the message stands as the bytes it has.
func (c *Carbons) copy(t *route.Transit, direction string, owner jid.JID, mark []byte, to []*session.Session) {
	wrapped := wrap(t.Stanza, direction, owner, mark)
	for _, s := range to {
		t.Hand(s, wrapped.Addressed(s.JID), nil)
	}
}

// wrap puts a message into a copy from the owner's bare address.
func wrap(st *stanza.Stanza, direction string, owner jid.JID, mark []byte) *stanza.Stanza {
	b := make([]byte, 0, st.Size()+len(mark)+192)
	b = append(b, "<"+direction...)
	b = elem.AppendAttr(b, "xmlns", NS)
	b = append(b, "><forwarded"...)
	b = elem.AppendAttr(b, "xmlns", nsForward)
	b = append(b, '>')
	b = st.AppendWith(b, stanza.NSClient, mark)
	b = append(b, "</forwarded></"+direction+">"...)
	return &stanza.Stanza{
		Kind: stanza.Message, Type: st.Type, From: owner,
		Payload: b, Parts: []elem.Part{{Name: elem.N(NS, direction), End: len(b)}},
	}
}
