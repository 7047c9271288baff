package carbons

import (
	"chancery/core/route"
	"chancery/core/session"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

const (
	nsMUC        = "http://jabber.org/protocol/muc#user"
	nsConference = "jabber:x:conference"
)

type direction bool

const (
	outgoing direction = false
	incoming direction = true
)

// eligible decides whether a message is copied (XEP-0280 recommended-rules), and remembers
// those that are, so that an error which answers one is copied as well.
func (c *Carbons) eligible(t *route.Transit, owner, peer jid.JID, d direction) bool {
	switch {
	case t.Kind != stanza.Message, t.Private:
		return false
	case t.Type == "error":
		return c.copied.has(owner, peer, t.ID)
	case !copies(t.Stanza, d):
		return false
	}
	c.copied.add(owner, peer, t.ID)
	return true
}

// copies is the rule for what is no error.
func copies(st *stanza.Stanza, d direction) bool {
	if st.Type == "groupchat" {
		return false
	}
	if invites(st) {
		return true
	}
	if d == incoming && st.From.IsFull() && st.Has(nsMUC, "x") {
		return false // a room has sent this to every client that is in it
	}
	switch st.Type {
	case "chat":
		return true
	case "", "normal":
		if st.Has(stanza.NSClient, "body") {
			return true
		}
	}
	return talks(st)
}

// invites tells a direct (XEP-0249) or a mediated invitation (XEP-0045).
func invites(st *stanza.Stanza) bool {
	if st.Has(nsConference, "x") {
		return true
	}
	x := st.Find(nsMUC, "x")
	return x != nil && x.Child(nsMUC, "invite") != nil
}

// talks tells the payloads of instant messaging: receipts, chat states, chat
// markers.
func talks(st *stanza.Stanza) bool {
	for _, p := range st.Parts {
		switch p.Name.Space {
		case "urn:xmpp:receipts", "http://jabber.org/protocol/chatstates", "urn:xmpp:chat-markers:0":
			return true
		}
	}
	return false
}

// sharing keeps the sessions that are in the room under the nick under which
// the message is sent: the others could not answer (XEP-0280 recommended-rules). When it is
// not known who is in the room, all are kept.
func sharing(others []*session.Session, t *route.Transit) []*session.Session {
	if t.Origin == nil {
		return others
	}
	var nick jid.JID
	for _, j := range t.Origin.Directed(false) {
		if j.Bare() == t.To.Bare() && j.IsFull() {
			nick = j
		}
	}
	if nick.IsZero() {
		return others
	}
	var out []*session.Session
	for _, s := range others {
		if s.KnowsDirectly(nick) {
			out = append(out, s)
		}
	}
	return out
}

// Forged tells a copy that we did not make: ours never come in. Whatever comes
// from a client or from another server and looks like one is a trap for clients
// that do not look at the sender (CVE-2017-5589 and kin).
func Forged(p elem.Part) bool {
	return p.Name.Space == NS && (p.Name.Local == "sent" || p.Name.Local == "received")
}
